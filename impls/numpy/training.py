"""All together: shuffle, batches, forward, loss, gradient, update."""

from typing import Any

from numpy.typing import NDArray

from tetrapla.spec import Loop, Loss

from . import losses
from .activations import activation
from .layers import Dense, Dropout, Key, Sequential
from .optimizers import Optimizer

Array = NDArray[Any]


def penalty_gradients(
    weights: dict[str, Array], l2: float
) -> dict[str, Array]:
    """Return the gradients of l2 / 2 sum ||W||^2: l2 W."""
    return {n: l2 * w for n, w in weights.items() if w.ndim == 2}


def loss_and_gradients(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Key | None = None,
) -> tuple[Array, dict[str, Array], Array]:
    outputs = model(x, key)
    value = losses.loss(loss, outputs, y)
    dx = model.backward(losses.loss_gradient(loss, outputs, y))
    return value, model.gradients(), dx


def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Array,
    y: Array,
    key: Key | None = None,
    l2: float = 0.0,
) -> Array:
    outputs = model(x, key)  # 4. forward
    value = losses.loss(loss, outputs, y)  # 5. loss
    da = losses.loss_gradient(loss, outputs, y)  # 6. gradient
    model.backward(da)
    gradients = model.gradients()
    if l2 != 0:
        more = penalty_gradients(model.weights(), l2)
        for name in more:
            gradients[name] = gradients[name] + more[name]
    optimizer.step(gradients)  # 7. update
    return value


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Array,
    y: Array,
    loop: Loop,
) -> None:
    l2 = loop.training.l2
    for epoch in loop.epochs():  # 1. until converged
        order = loop.order(epoch, len(x))  # 2. shuffle
        for rows, key, eta in loop.batches(order):  # 3. batches
            batch = x[rows], y[rows]
            optimizer.eta = eta  # schedule
            value = train_step(model, loss, optimizer, *batch, key, l2)
            loop.end_step(value, len(rows))


def trace(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Key | None = None,
) -> dict[str, Array]:
    """Return all stages: forward, loss, then the chain rule."""
    stages: dict[str, Any] = {}
    a = x
    for i, layer in enumerate(model.layers):
        if isinstance(layer, Dense):
            layer.z = stages[f"{i}.z"] = layer.linear(a)
            a = activation(layer.activation, layer.z)
        elif isinstance(layer, Dropout):
            a = layer(a, key)
            if key is not None:
                stages[f"{i}.mask"] = layer.kept
        stages[f"{i}.a"] = a
    stages["loss"] = losses.loss(loss, a, y)
    da = losses.loss_gradient(loss, a, y)
    for i, layer in reversed(list(enumerate(model.layers))):
        stages[f"{i}.da"] = da
        da = layer.backward(da)
        if isinstance(layer, Dense):
            stages[f"{i}.dz"] = layer.dz
            stages[f"{i}.weight.grad"] = layer.weight_grad
            stages[f"{i}.bias.grad"] = layer.bias_grad
    stages["input.grad"] = da
    return stages
