"""All together: shuffle, batches, forward, loss, gradient, update."""

import torch
from torch import Tensor

from tetrapla.spec import Loop, Loss

from . import losses
from .activations import activation
from .layers import Dense, Dropout, Sequential
from .optimizers import Optimizer


def penalty(weights: dict[str, Tensor], l2: float) -> Tensor | float:
    """Return l2 / 2 sum ||W||^2, over the matrices and no bias."""
    if l2 == 0:
        return 0.0
    matrices = [w for w in weights.values() if w.ndim == 2]
    return l2 / 2 * sum((w**2).sum() for w in matrices)


def loss_and_gradients(
    model: Sequential,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    x = x.detach().requires_grad_()
    value = losses.loss(loss, model(x, key), y)
    weights = model.weights()
    *dw, dx = torch.autograd.grad(value, [*weights.values(), x])
    return value.detach(), dict(zip(weights, dw, strict=True)), dx


def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
    l2: float = 0.0,
) -> Tensor:
    optimizer.zero_grad()  # or gradients add up
    outputs = model(x, key)  # 4. forward
    value = losses.loss(loss, outputs, y)  # 5. loss
    total = value + penalty(model.weights(), l2)
    total.backward()  # 6. gradient
    optimizer.step()  # 7. update
    return value.detach()


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    loop: Loop,
) -> None:
    l2 = loop.training.l2
    for epoch in loop.epochs():  # 1. until converged
        order = loop.order(epoch, len(x))  # 2. shuffle
        for rows, key, eta in loop.batches(order):  # 3. batches
            batch = x[rows], y[rows]
            optimizer.param_groups[0]["lr"] = eta  # schedule
            value = train_step(model, loss, optimizer, *batch, key, l2)
            loop.end_step(value, len(rows))


def trace(
    model: Sequential,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return all stages: forward, loss, then the chain rule."""
    stages, back = {}, {}
    a = x.detach().requires_grad_()
    back["input.grad"] = a
    for i, layer in enumerate(model.children()):
        if isinstance(layer, Dense):
            back[f"{i}.bias.grad"] = layer.bias
            back[f"{i}.weight.grad"] = layer.weight
            stages[f"{i}.z"] = back[f"{i}.dz"] = z = layer.linear(a)
            a = activation(layer.activation, z)
        elif isinstance(layer, Dropout):
            if key is not None:
                stages[f"{i}.mask"] = layer.mask(key, a.shape)
            a = layer(a, key)
        stages[f"{i}.a"] = back[f"{i}.da"] = a
    stages["loss"] = value = losses.loss(loss, a, y)
    gradients = torch.autograd.grad(value, list(back.values()))
    named = zip(reversed(back), reversed(gradients), strict=True)
    return stages | dict(named)
