"""PyTorch: keras.fit on it, and loops written by hand."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adam import adam
from torch.utils.data import DataLoader, TensorDataset

from tetrapla.benchmarks.contest import Contestant
from tetrapla.benchmarks.of_keras import keras_fit
from tetrapla.benchmarks.ours import ours
from tetrapla.benchmarks.problems import Problem


def contestants(problem: Problem) -> list[Contestant]:
    steps, passes = problem.steps, problem.passes
    found = [
        *ours(problem, ["torch", "torch.nn"]),
        keras_fit(problem, "torch"),
        Contestant("DataLoader", "peer", "the tutorial's loop", steps, loader(problem)),
        Contestant(
            "fused Adam on slices", "loop", "randperm, fused=True", steps, slices(problem)
        ),
        Contestant(
            "flat buffers", "loop", "gradients into one vector", steps, flat(problem)
        ),
    ]
    if problem.compiled:
        why = "the whole step, through torch.func"
        found.append(Contestant("torch.compile", "loop", why, steps, compiled(problem)))
    products = floor(problem, optimizer=False)
    return [
        *found,
        Contestant("torch products", "products", "the products alone", passes, products),
        Contestant("torch floor", "floor", "products, fused Adam", passes, floor(problem)),
    ]


def model(problem: Problem) -> nn.Sequential:
    a, b, c, d = problem.widths
    relu = nn.ReLU
    return nn.Sequential(nn.Linear(a, b), relu(), nn.Linear(b, c), relu(), nn.Linear(c, d))


def tensors(problem: Problem) -> tuple[Tensor, Tensor]:
    x, y = problem.data()
    return torch.from_numpy(x), torch.from_numpy(y)


def loader(problem: Problem) -> Callable[[], float]:
    """pytorch.org/tutorials/beginner/basics/optimization_tutorial.html."""
    data = DataLoader(
        TensorDataset(*tensors(problem)), batch_size=problem.batch, shuffle=True
    )
    net, loss_fn = model(problem), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

    def run() -> float:
        for _ in range(problem.epochs):
            for x, y in data:
                loss = loss_fn(net(x), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        return loss.item()

    return run


def slices(problem: Problem) -> Callable[[], float]:
    x, y = tensors(problem)
    net = model(problem)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=True)

    def run() -> float:
        for _ in range(problem.epochs):
            for rows in torch.randperm(problem.n).split(problem.batch):
                loss = functional.cross_entropy(net(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        return loss.item()

    return run


def flat(problem: Problem) -> Callable[[], float]:
    """Parameters and gradients are views of one vector each, for one fused Adam."""
    x, y = tensors(problem)
    net = model(problem)
    theta = nn.utils.parameters_to_vector(net.parameters()).detach()
    g, m, v = (torch.zeros_like(theta) for _ in range(3))
    at = 0
    for p in net.parameters():
        part = slice(at, at + p.numel())
        p.data, p.grad = theta[part].view(p.shape), g[part].view(p.shape)
        at += p.numel()
    t = torch.zeros(())

    def run() -> float:
        for _ in range(problem.epochs):
            for rows in torch.randperm(problem.n).split(problem.batch):
                g.zero_()
                loss = functional.cross_entropy(net(x[rows]), y[rows])
                loss.backward()
                with torch.no_grad():
                    fused(theta, g, m, v, t)
        return loss.item()

    return run


def fused(theta: Tensor, g: Tensor, m: Tensor, v: Tensor, t: Tensor) -> None:
    adam(
        [theta],
        [g],
        [m],
        [v],
        [],
        [t],
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=0.001,
        weight_decay=0,
        eps=1e-8,
        maximize=False,
    )


def compiled(problem: Problem) -> Callable[[], float]:
    x, y = tensors(problem)
    net = model(problem)
    theta = {name: p.detach().clone() for name, p in net.named_parameters()}
    m = {name: torch.zeros_like(p) for name, p in theta.items()}
    v = {name: torch.zeros_like(p) for name, p in theta.items()}

    def loss_of(theta: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs = torch.func.functional_call(net, theta, (x,))
        return functional.cross_entropy(outputs, y)

    @torch.compile(dynamic=False)
    def step(c1: Tensor, c2: Tensor, x: Tensor, y: Tensor) -> Tensor:
        gradients, loss = torch.func.grad_and_value(loss_of)(theta, x, y)
        for name, g in gradients.items():
            m[name].lerp_(g, 0.1)
            v[name].mul_(0.999).addcmul_(g, g, value=0.001)
            root = (v[name] / c2).sqrt() + 1e-8
            theta[name].sub_(0.001 * (m[name] / c1) / root)
        return loss

    count = 0

    def run() -> float:
        nonlocal count
        for _ in range(problem.epochs):
            for rows in torch.randperm(problem.n).split(problem.batch):
                count += 1
                c = torch.tensor([1 - 0.9**count, 1 - 0.999**count])
                with torch.no_grad():
                    loss = step(c[0], c[1], x[rows], y[rows])
        return loss.item()

    return run


def floor(problem: Problem, optimizer: bool = True) -> Callable[..., None]:
    x = tensors(problem)[0][: problem.batch]
    net = model(problem)
    w1, w2, w3 = (p.detach().t().contiguous() for p in net.parameters() if p.ndim == 2)
    g1, g2, g3 = (torch.empty_like(w) for w in (w1, w2, w3))
    theta = nn.utils.parameters_to_vector(net.parameters()).detach()
    g, m, v = (torch.zeros_like(theta) for _ in range(3))
    t = torch.zeros(())
    z1, z2, z3 = (torch.empty(len(x), d) for d in problem.widths[1:])
    d1, d2 = torch.empty_like(z1), torch.empty_like(z2)

    @torch.no_grad()
    def run(passes: int = problem.passes) -> None:
        for _ in range(passes):
            torch.mm(x, w1, out=z1)
            torch.mm(z1, w2, out=z2)
            torch.mm(z2, w3, out=z3)
            torch.mm(z2.t(), z3, out=g3)
            torch.mm(z3, w3.t(), out=d2)
            torch.mm(z1.t(), d2, out=g2)
            torch.mm(d2, w2.t(), out=d1)
            torch.mm(x.t(), d1, out=g1)
            if optimizer:
                fused(theta, g, m, v, t)

    return run
