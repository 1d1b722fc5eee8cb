"""All together: shuffle, batches, forward, loss, gradient, update."""

from functools import partial

import jax
from jax import Array

from tetrapla.spec import Loop, Loss

from . import losses
from .activations import activation, activation_gradient
from .layers import Dense, Dropout, Sequential
from .optimizers import Optimizer, State


def penalty(weights: dict[str, Array], l2: float) -> Array | float:
    """Return l2 / 2 sum ||W||^2, over the matrices and no bias."""
    if l2 == 0:
        return 0.0
    matrices = [w for w in weights.values() if w.ndim == 2]
    return l2 / 2 * sum((w**2).sum() for w in matrices)


def objective(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
    l2: float = 0.0,
) -> tuple[Array, Array]:
    outputs = model(x, key)  # 4. forward
    value = losses.loss(loss, outputs, y)  # 5. loss
    return value + penalty(model.weights(), l2), value


def loss_and_gradients(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> tuple[Array, dict[str, Array], Array]:
    differentiate = jax.value_and_grad(
        objective, argnums=(0, 2), has_aux=True
    )
    (_, value), (dmodel, dx) = differentiate(model, loss, x, y, key)
    return value, dmodel.weights(), dx


@partial(jax.jit, static_argnames=("loss", "optimizer", "l2"))
def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    state: State,
    eta: float,
    x: Array,
    y: Array,
    key: Array | None = None,
    l2: float = 0.0,
) -> tuple[Array, dict[str, Array], State]:
    differentiate = jax.value_and_grad(objective, has_aux=True)
    (_, value), dmodel = differentiate(  # 6. gradient
        model, loss, x, y, key, l2
    )
    weights, state = optimizer.step(  # 7. update
        model.weights(), dmodel.weights(), state, eta
    )
    return value, weights, state


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    state: State,
    x: Array,
    y: Array,
    loop: Loop,
) -> None:
    l2 = loop.training.l2
    for epoch in loop.epochs():  # 1. until converged
        order = loop.order(epoch, len(x))  # 2. shuffle
        for rows, key, eta in loop.batches(order):  # 3. batches
            batch = x[rows], y[rows]
            value, weights, new = train_step(
                model, loss, optimizer, state, eta, *batch, key, l2
            )
            model.load(weights)
            state.update(new)
            loop.end_step(value, len(rows))


# Each stage of a trace is compiled by itself, so that it starts from
# what the one before it returned.
drop = jax.jit(Dropout.__call__)
mask_of = jax.jit(Dropout.mask, static_argnames="shape")
g = jax.jit(activation, static_argnames="spec")
g_gradient = jax.jit(activation_gradient, static_argnames="spec")
loss_of = jax.jit(losses.loss, static_argnames="spec")
loss_gradient = jax.jit(
    jax.grad(losses.loss, argnums=1), static_argnames="spec"
)


@jax.jit
def linear(layer: Dense, x: Array) -> Array:
    return layer.linear(x)


@jax.jit
def linear_gradient(
    layer: Dense, x: Array, dz: Array
) -> tuple[Dense, Array]:
    _, pullback = jax.vjp(linear, layer, x)
    return pullback(dz)


@jax.jit
def drop_gradient(
    layer: Dropout, x: Array, key: Array | None, da: Array
) -> Array:
    _, pullback = jax.vjp(lambda x: layer(x, key), x)
    return pullback(da)[0]


def trace(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> dict[str, Array]:
    """Return all stages: forward, loss, then the chain rule."""
    stages: dict[str, Array] = {}
    inputs = []
    a = x
    for i, layer in enumerate(model.layers):
        inputs.append(a)
        if isinstance(layer, Dense):
            stages[f"{i}.z"] = z = linear(layer, a)
            a = g(layer.activation, z)
        elif isinstance(layer, Dropout):
            if key is not None:
                stages[f"{i}.mask"] = mask_of(layer, key, a.shape)
            a = drop(layer, a, key)
        stages[f"{i}.a"] = a
    stages["loss"] = loss_of(loss, a, y)
    da = loss_gradient(loss, a, y)
    for i, layer in reversed(list(enumerate(model.layers))):
        stages[f"{i}.da"] = da
        if isinstance(layer, Dense):
            z = stages[f"{i}.z"]
            stages[f"{i}.dz"] = dz = g_gradient(layer.activation, z, da)
            dlayer, da = linear_gradient(layer, inputs[i], dz)
            stages[f"{i}.weight.grad"] = dlayer.weight[...]
            stages[f"{i}.bias.grad"] = dlayer.bias[...]
        else:
            da = drop_gradient(layer, inputs[i], key, da)
    stages["input.grad"] = da
    return stages
