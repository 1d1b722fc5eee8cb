"""All together: shuffle, batches, forward, loss, gradient, update."""

import jax
import optax
from flax import nnx
from jax import Array

from tetrapla.spec import Loop, Loss

from . import losses
from .activations import activation, activation_gradient
from .layers import Dropout, Sequential, named, parameters, places


@nnx.jit
def forward(
    model: Sequential, x: Array, key: Array | None = None
) -> Array:
    return model(x, rngs=key)  # with a key, dropout is on


def penalty(model: Sequential, l2: float) -> Array | float:
    """Return l2 / 2 sum ||W||^2, over the kernels and no bias."""
    if l2 == 0:
        return 0.0
    matrices = [w for w in parameters(model).values() if w.ndim == 2]
    return l2 / 2 * optax.tree.norm(matrices, squared=True)


def objective(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
    l2: float = 0.0,
) -> tuple[Array, Array]:
    outputs = model(x, rngs=key)  # 4. forward
    value = losses.loss(loss, outputs, y)  # 5. loss
    return value + penalty(model, l2), value


@nnx.jit(static_argnames="loss")
def loss_and_gradients(
    model: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    key: Array | None = None,
) -> tuple[Array, dict[str, Array], Array]:
    differentiate = nnx.value_and_grad(
        objective, argnums=(0, 2), has_aux=True
    )
    (_, value), (dmodel, dx) = differentiate(model, loss, x, y, key)
    dw = {name: g[...] for name, g in named(model, dmodel).items()}
    return value, dw, dx


@nnx.jit(static_argnames=("loss", "l2"))
def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: nnx.Optimizer,
    eta: float,
    x: Array,
    y: Array,
    key: Array | None = None,
    l2: float = 0.0,
) -> Array:
    differentiate = nnx.value_and_grad(objective, has_aux=True)
    (_, value), dmodel = differentiate(  # 6. gradient
        model, loss, x, y, key, l2
    )
    optimizer.update(model, dmodel, rate=eta)  # 7. update
    return value


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: nnx.Optimizer,
    x: Array,
    y: Array,
    loop: Loop,
) -> None:
    l2 = loop.training.l2
    for epoch in loop.epochs():  # 1. until converged
        order = loop.order(epoch, len(x))  # 2. shuffle
        for rows, key, eta in loop.batches(order):  # 3. batches
            batch = x[rows], y[rows]
            value = train_step(
                model, loss, optimizer, eta, *batch, key, l2
            )
            loop.end_step(value, len(rows))


# Each stage of a trace is compiled by itself, so that it starts from
# what the one before it returned.
mask_of = nnx.jit(Dropout.mask, static_argnames="shape")
g = jax.jit(activation, static_argnames="spec")
g_gradient = jax.jit(activation_gradient, static_argnames="spec")
loss_of = jax.jit(losses.loss, static_argnames="spec")
loss_gradient = jax.jit(
    jax.grad(losses.loss, argnums=1), static_argnames="spec"
)


@jax.jit
def backward(
    model: Sequential, x: Array, key: Array | None, da: Array
) -> tuple[Sequential, Array]:
    _, pullback = jax.vjp(lambda m, x: m(x, rngs=key), model, x)
    return pullback(da)


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
    for i, child in places(model):
        alone = Sequential(child)
        inputs.append((i, alone, a))
        if isinstance(child, Dropout) and key is not None:
            stages[f"{i}.mask"] = mask_of(child, key, a.shape)
        a = forward(alone, a, key)
        if isinstance(child, nnx.Linear):
            stages[f"{i}.z"] = a
        stages[f"{i}.a"] = a
    stages["loss"] = loss_of(loss, a, y)
    da = loss_gradient(loss, a, y)
    for i, alone, a in reversed(inputs):
        stages.setdefault(f"{i}.da", da)  # an activation comes first
        (child,) = alone.layers
        if isinstance(child, nnx.Linear):
            stages[f"{i}.dz"] = da
        dalone, da = backward(alone, a, key, da)
        if isinstance(child, nnx.Linear):
            (dchild,) = dalone.layers
            stages[f"{i}.weight.grad"] = dchild.kernel[...]
            stages[f"{i}.bias.grad"] = dchild.bias[...]
    stages["input.grad"] = da
    return stages
