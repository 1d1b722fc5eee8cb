"""All together: shuffle, batches, forward, loss, gradient, update."""

from functools import partial
from typing import Any

import jax
from jax import Array

from tetrapla.spec import Loop, Loss

from . import losses
from .activations import activation
from .layers import Dense, Dropout, Sequential
from .optimizers import Optimizer, State


def objective(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> Array:
    outputs = model(x, key)  # forward
    return losses.loss(loss, outputs, y)  # loss


def loss_and_gradients(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> tuple[Array, dict[str, Array], Array]:
    differentiate = jax.value_and_grad(objective, argnums=(0, 2))
    value, (dmodel, dx) = differentiate(model, loss, x, y, key)
    return value, dmodel.weights(), dx


@partial(jax.jit, static_argnames=("loss", "optimizer"))
def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    state: State,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> tuple[Array, dict[str, Array], State]:
    differentiate = jax.value_and_grad(objective)
    value, dmodel = differentiate(model, loss, x, y, key)  # gradient
    eta = optimizer.hyper.lr
    weights, state = optimizer.step(  # update
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
) -> State:
    for epoch in loop.epochs():  # until converged
        order = loop.order(epoch, len(x))  # shuffle
        for rows, key in loop.batches(order):
            batch = x[rows], y[rows]
            value, weights, state = train_step(
                model, loss, optimizer, state, *batch, key
            )
            model.load(weights)
            loop.end_step(value, len(rows))
    return state


def trace(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> dict[str, Array]:
    """Return all stages: forward, loss, then the chain rule."""
    # compiled one by one: each is given what the one before returned
    linear = jax.jit(Dense.linear)
    g = jax.jit(activation, static_argnames="spec")
    loss_of = jax.jit(losses.loss, static_argnames="spec")
    mask = jax.jit(Dropout.mask, static_argnames="shape")
    drop = jax.jit(Dropout.__call__)
    stages: dict[str, Array] = {}
    pullbacks: list[Any] = []
    a = x
    for i, layer in enumerate(model.layers):
        if isinstance(layer, Dense):
            z, dense_vjp = jax.vjp(linear, layer, a)
            a, g_vjp = jax.vjp(partial(g, layer.activation), z)
            stages[f"{i}.z"] = z
            pullbacks.append((dense_vjp, g_vjp))
        elif isinstance(layer, Dropout):
            if key is not None:
                stages[f"{i}.mask"] = mask(layer, key, a.shape)
            a, vjp = jax.vjp(partial(drop, layer, key=key), a)
            pullbacks.append(vjp)
        stages[f"{i}.a"] = a
    value, loss_vjp = jax.vjp(lambda a: loss_of(loss, a, y), a)
    stages["loss"] = value
    (da,) = loss_vjp(jax.numpy.ones_like(value))
    for i, layer in reversed(list(enumerate(model.layers))):
        stages[f"{i}.da"] = da
        if isinstance(layer, Dense):
            dense_vjp, g_vjp = pullbacks[i]
            (dz,) = g_vjp(da)
            dlayer, da = dense_vjp(dz)
            stages[f"{i}.dz"] = dz
            stages[f"{i}.weight.grad"] = dlayer.weight[...]
            stages[f"{i}.bias.grad"] = dlayer.bias[...]
        else:
            (da,) = pullbacks[i](da)
    stages["input.grad"] = da
    return stages
