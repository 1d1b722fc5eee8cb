"""Many learning rates at once: the gradient, mapped by vmap.

Weights, slots and rates have a leading axis; the data has none.
"""

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from tetrapla.spec import Loops, Loss

from . import losses
from .layers import Sequential
from .optimizers import Optimizer
from .training import penalty


def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    weights: dict[str, Tensor],
    etas: Tensor,
    x: Tensor,
    y: Tensor,
    key: Tensor | None = None,
    l2: float = 0.0,
) -> Tensor:
    def objective(
        weights: dict[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        outputs = functional_call(model, weights, (x, key))  # forward
        value = losses.loss(loss, outputs, y)  # loss
        return value + penalty(weights, l2), value

    gradients, values = vmap(grad(objective, has_aux=True))(weights)
    (group,) = optimizer.param_groups
    group["t"] += 1
    for name, theta in weights.items():  # update, element by element
        eta = etas.view(-1, *[1] * (theta.ndim - 1))
        g = optimizer.decay(theta, gradients[name], eta)
        slots = optimizer.state[theta]
        optimizer.update(theta, g, slots, group["t"], eta)
    return values


@torch.no_grad()
def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    weights: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
    loops: Loops,
) -> None:
    l2 = loops.training.l2
    for epoch in loops.epochs():
        order = loops.order(epoch, len(x))  # shuffle
        for rows, key, etas in loops.batches(order):
            batch = x[rows], y[rows]
            values = train_step(
                model, loss, optimizer, weights, etas, *batch, key, l2
            )
            loops.end_step(values, len(rows))
