"""PyTorch: keras.fit on it, and loops written by hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adam import adam
from torch.utils.data import DataLoader, TensorDataset

import tetrapla as tp
from tetrapla.benchmarks.contest import Contestant, LeftOut
from tetrapla.benchmarks.of_keras import keras_fit
from tetrapla.benchmarks.ours import ours
from tetrapla.benchmarks.problems import Problem


def contestants(problem: Problem) -> list[Contestant | LeftOut]:
    steps, passes = problem.steps, problem.passes
    found: list[Contestant | LeftOut] = [
        *ours(problem, ["torch", "torch.nn"]),
        keras_fit(problem, "torch"),
        Contestant("DataLoader", "peer", "the tutorial's loop", steps, loader(problem)),
        Contestant(
            "fused Adam on slices", "loop", "randperm, fused=True", steps, slices(problem)
        ),
        Contestant(
            "by hand, no graph", "loop", "flat buffers, fused Adam", steps, flat(problem)
        ),
    ]
    if problem.compiled:
        why = "the whole step, through torch.func"
        found.append(Contestant("torch.compile", "loop", why, steps, compiled(problem)))
    if problem.device != "cpu":
        why = "torch.cuda.graph, fused Adam"
        for unit, rows in (("step", problem.batch), ("epoch", problem.n)):
            run = graphed(problem, rows)
            found.append(Contestant(f"CUDA graph per {unit}", "loop", why, steps, run))
    products = floor(problem, optimizer=False)
    return [
        *found,
        Contestant("torch products", "products", "the products alone", passes, products),
        Contestant("torch floor", "floor", "products, fused Adam", passes, floor(problem)),
    ]


@contextmanager
def scope(device: str) -> Iterator[str]:
    """Let all compute as precisely as ours; give the device's name."""
    backend = tp.load("torch", device).implementation
    with backend.scope():
        if device == "cpu":
            yield "cpu"
            return
        with torch.cuda.device(backend.place):  # of streams, and of graphs
            yield torch.cuda.get_device_name(backend.place)


def place(problem: Problem) -> torch.device:
    return tp.load("torch", problem.device).implementation.place


def model(problem: Problem) -> nn.Sequential:
    a, b, c, d = problem.widths
    relu = nn.ReLU
    made = nn.Sequential(nn.Linear(a, b), relu(), nn.Linear(b, c), relu(), nn.Linear(c, d))
    return made.to(place(problem))


def tensors(problem: Problem) -> tuple[Tensor, Tensor]:
    x, y = map(torch.from_numpy, problem.data())
    return x.to(place(problem)), y.to(place(problem))


def loader(problem: Problem) -> Callable[[], float]:
    """pytorch.org/tutorials/beginner/basics/optimization_tutorial.html."""
    device = place(problem)
    whole = TensorDataset(*map(torch.from_numpy, problem.data()))
    data = DataLoader(whole, batch_size=problem.batch, shuffle=True)
    net, loss_fn = model(problem), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

    def run() -> float:
        for _ in range(problem.epochs):
            for x, y in data:
                x, y = x.to(device), y.to(device)
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
            for rows in torch.randperm(problem.n, device=x.device).split(problem.batch):
                loss = functional.cross_entropy(net(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        return loss.item()

    return run


def flat(problem: Problem) -> Callable[[], float]:
    """Backpropagation by hand, no graph; one vector of parameters, one of gradients."""
    x, y = tensors(problem)
    onehot = functional.one_hot(y, problem.widths[-1]).float()
    (w1, b1, w2, b2, w3, b3), theta = vector(problem)
    (g1, h1, g2, h2, g3, h3), g = vector(problem)
    m, v, t = torch.zeros_like(theta), torch.zeros_like(theta), theta.new_zeros(())

    @torch.no_grad()
    def run() -> float:
        for _ in range(problem.epochs):
            order = torch.randperm(problem.n, device=x.device)
            both = x[order].split(problem.batch), onehot[order].split(problem.batch)
            for xb, yb in zip(*both, strict=True):
                a1 = torch.addmm(b1, xb, w1).relu_()
                a2 = torch.addmm(b2, a1, w2).relu_()
                z = torch.addmm(b3, a2, w3)
                d = torch.softmax(z, 1).sub_(yb).div_(len(xb))
                torch.mm(a2.t(), d, out=g3)
                torch.sum(d, 0, out=h3)
                d = torch.mm(d, w3.t()).mul_(a2 > 0)
                torch.mm(a1.t(), d, out=g2)
                torch.sum(d, 0, out=h2)
                d = torch.mm(d, w2.t()).mul_(a1 > 0)
                torch.mm(xb.t(), d, out=g1)
                torch.sum(d, 0, out=h1)
                fused(theta, g, m, v, t)
        return functional.cross_entropy(z, yb).item()

    return run


def vector(problem: Problem) -> tuple[list[Tensor], Tensor]:
    """Return w1, b1, w2 ..., as views of one vector, and that."""
    net = model(problem)
    own = [p.detach().t() if p.ndim == 2 else p.detach() for p in net.parameters()]
    flat = torch.cat([p.flatten() for p in own])
    parts = flat.split([p.numel() for p in own])
    return [part.view(p.shape) for part, p in zip(parts, own, strict=True)], flat


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
    def step(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
        c1, c2 = c[0], c[1]
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
        # all at once: a GPU would be waited for with each
        counts = range(count + 1, count + 1 + problem.steps)
        # four numbers each: 16 bytes, or torch.compile copies what is not aligned
        each = [[1 - 0.9**t, 1 - 0.999**t, 0, 0] for t in counts]
        corrections = iter(torch.tensor(each, device=x.device))
        count += problem.steps
        for _ in range(problem.epochs):
            for rows in torch.randperm(problem.n, device=x.device).split(problem.batch):
                with torch.no_grad():
                    loss = step(next(corrections), x[rows], y[rows])
        return loss.item()

    return run


def graphed(problem: Problem, at_once: int) -> Callable[[], float]:
    """docs.pytorch.org/docs/stable/notes/cuda.html, whole-network capture.

    A graph does the steps of `at_once` of an epoch's rows: those that lie
    where its first ones lay.
    """
    x, y = tensors(problem)
    net = model(problem)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=True, capturable=True)
    graphs: dict[int, tuple[Tensor, torch.cuda.CUDAGraph, Tensor]] = {}

    def steps(order: Tensor) -> Tensor:
        for rows in order.split(problem.batch):
            loss = functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()  # to None: a graph's gradients are its own
        return loss.detach()

    def run() -> float:
        for _ in range(problem.epochs):
            for rows in torch.randperm(problem.n, device=x.device).split(at_once):
                if len(rows) not in graphs:
                    order = rows.clone()
                    graphs[len(rows)] = order, *captured(partial(steps, order))
                order, graph, loss = graphs[len(rows)]
                order.copy_(rows)
                graph.replay()
        return loss.item()

    return run


def captured(work: Callable[[], Any]) -> tuple[torch.cuda.CUDAGraph, Any]:
    """Return a CUDA graph of some work, and what the work returned: the graph's own."""
    side = torch.cuda.Stream()  # what is made lazily must not be made in a graph
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = work()
    return graph, found


def floor(problem: Problem, optimizer: bool = True) -> Callable[..., None]:
    x = tensors(problem)[0][: problem.batch]
    (w1, _, w2, _, w3, _), theta = vector(problem)
    (g1, _, g2, _, g3, _), g = vector(problem)
    m, v, t = torch.zeros_like(theta), torch.zeros_like(theta), theta.new_zeros(())
    z1, z2, z3 = (x.new_empty(len(x), d) for d in problem.widths[1:])
    d1, d2 = torch.empty_like(z1), torch.empty_like(z2)
    graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def work(passes: int) -> None:
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

    @torch.no_grad()
    def run(passes: int = problem.passes) -> None:
        if problem.device == "cpu":
            work(passes)
            return
        if passes not in graphs:  # launched one by one, they wait for the host
            graphs[passes], _ = captured(partial(work, passes))
        graphs[passes].replay()
        torch.cuda.synchronize()

    return run
