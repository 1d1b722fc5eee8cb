"""All together: shuffle, batches, forward, loss, gradient, update.

Halves go through the model under torch.autocast, which casts the
weights where they are used and leaves them float32. Quirks: it keeps
the cast weights until the outermost autocast ends, and a run inside
another's would go on with its first ones; softmax and softplus come
back as float32 on a GPU, and are rounded here.
"""

import torch
from torch import Tensor, nn, optim

from tetrapla.spec import Loop, Loss

from . import losses
from .layers import Dropout, parameters, places, transposed


def set_key(model: nn.Module, key: Tensor | None) -> None:
    """Turn dropout on, with the masks of the key, or off."""
    model.train(key is not None)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.key = key


def lowered(x: Tensor) -> torch.autocast:
    """Return torch's mixed precision for halves, none for others."""
    return torch.autocast(
        x.device.type,
        x.dtype,
        enabled=x.dtype.itemsize == 2,
        cache_enabled=False,
    )


def outputs_of(model: nn.Module, x: Tensor) -> Tensor:
    with lowered(x):
        return model(x).to(x.dtype)


def penalty(weights: dict[str, Tensor], l2: float) -> Tensor | float:
    """Return l2 / 2 sum ||W||^2, over the matrices and no bias."""
    if l2 == 0:
        return 0.0
    matrices = [w for w in weights.values() if w.ndim == 2]
    return l2 / 2 * sum(w.square().sum() for w in matrices)


def loss_and_gradients(
    model: nn.Sequential,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    set_key(model, key)
    x = x.detach().requires_grad_()
    value = losses.loss(loss, outputs_of(model, x), y)
    weights = parameters(model)
    *dw, dx = torch.autograd.grad(value, [*weights.values(), x])
    dw = [transposed(g) for g in dw]  # (inputs, outputs)
    return value.detach(), dict(zip(weights, dw, strict=True)), dx


def train_step(
    model: nn.Sequential,
    loss: Loss,
    optimizer: optim.Optimizer,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
    l2: float = 0.0,
) -> Tensor:
    set_key(model, key)
    optimizer.zero_grad()  # or gradients add up
    outputs = outputs_of(model, x)  # 4. forward
    value = losses.loss(loss, outputs, y)  # 5. loss
    total = value + penalty(parameters(model), l2)
    total.backward()  # 6. gradient
    optimizer.step()  # 7. update
    return value.detach()


def fit(
    model: nn.Sequential,
    loss: Loss,
    optimizer: optim.Optimizer,
    x: Tensor,
    y: Tensor,
    loop: Loop,
) -> None:
    l2 = loop.training.l2
    for epoch in loop.epochs():  # 1. until converged
        order = loop.order(epoch, len(x))  # 2. shuffle
        for rows, key, eta in loop.batches(order):  # 3. batches
            batch = x[rows], y[rows]
            for group in optimizer.param_groups:
                group["lr"] = eta  # schedule
            value = train_step(model, loss, optimizer, *batch, key, l2)
            loop.end_step(value, len(rows))


def trace(
    model: nn.Sequential,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return all stages: forward, loss, then the chain rule."""
    set_key(model, key)
    stages, back = {}, {}
    a = x.detach().requires_grad_()
    back["input.grad"] = a
    for i, module in places(model):
        if isinstance(module, nn.Linear):
            back[f"{i}.bias.grad"] = module.bias
            back[f"{i}.weight.grad"] = module.weight
            a = outputs_of(module, a)
            stages[f"{i}.z"] = back[f"{i}.dz"] = a
        else:
            if isinstance(module, Dropout) and key is not None:
                stages[f"{i}.mask"] = module.mask(key, a.shape)
            a = outputs_of(module, a)
        stages[f"{i}.a"] = back[f"{i}.da"] = a
    stages["loss"] = value = losses.loss(loss, a, y)
    gradients = torch.autograd.grad(value, list(back.values()))
    for name, g in zip(
        reversed(back), reversed(gradients), strict=True
    ):
        weight = name.endswith("weight.grad")
        stages[name] = transposed(g) if weight else g
    return stages
