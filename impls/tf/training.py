"""All together: shuffle, batches, forward, loss, gradient, update."""

from functools import partial

import tensorflow as tf

from tetrapla.spec import Loop, Loss

from . import losses
from .activations import activation
from .layers import Dense, Dropout, Sequential
from .optimizers import Optimizer


def penalty(
    weights: dict[str, tf.Variable], l2: float
) -> tf.Tensor | float:
    """Return l2 / 2 sum ||W||^2, over the matrices and no bias."""
    if l2 == 0:
        return 0.0
    matrices = [w for w in weights.values() if len(w.shape) == 2]
    return l2 / 2 * sum(tf.reduce_sum(w**2) for w in matrices)


def loss_and_gradients(
    model: Sequential,
    loss: Loss,
    x: tf.Tensor,
    y: tf.Tensor,
    key: tf.Tensor | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = losses.loss(loss, model(x, key), y)
    dw, dx = tape.gradient(value, (model.weights(), x))
    return value, dw, dx


def train_step(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: tf.Tensor,
    y: tf.Tensor,
    key: tf.Tensor | None = None,
    l2: float = 0.0,
) -> tf.Tensor:
    with tf.GradientTape() as tape:  # outside the tape: no gradients
        outputs = model(x, key)  # 4. forward
        value = losses.loss(loss, outputs, y)  # 5. loss
        total = value + penalty(model.weights(), l2)
    gradients = tape.gradient(total, model.weights())  # 6. gradient
    optimizer.step(gradients)  # 7. update
    return value


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: tf.Tensor,
    y: tf.Tensor,
    loop: Loop,
) -> None:
    step = partial(
        train_step, model, loss, optimizer, l2=loop.training.l2
    )
    step = tf.function(step, autograph=False)  # per batch size
    for epoch in loop.epochs():  # 1. until converged
        order = loop.order(epoch, len(x))  # 2. shuffle
        for rows, key, eta in loop.batches(order):  # 3. batches
            with tf.device(x.device):  # where the data are
                batch = tf.gather(x, rows), tf.gather(y, rows)
                optimizer.eta.assign(eta)  # schedule
                value = step(*batch, key)
            loop.end_step(value, len(rows))


def trace(
    model: Sequential,
    loss: Loss,
    x: tf.Tensor,
    y: tf.Tensor,
    key: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Return all stages: forward, loss, then the chain rule."""
    stages, back = {}, {}
    with tf.GradientTape() as tape:
        tape.watch(x)
        a = back["input.grad"] = x
        for i, layer in enumerate(model.layers):
            if isinstance(layer, Dense):
                back[f"{i}.bias.grad"] = layer.bias
                back[f"{i}.weight.grad"] = layer.weight
                z = layer.linear(a)
                stages[f"{i}.z"] = back[f"{i}.dz"] = z
                a = activation(layer.activation, z)
            elif isinstance(layer, Dropout):
                if key is not None:
                    mask = layer.mask(key, tf.shape(a))
                    stages[f"{i}.mask"] = mask
                a = layer(a, key)
            stages[f"{i}.a"] = back[f"{i}.da"] = a
        stages["loss"] = value = losses.loss(loss, a, y)
    gradients = tape.gradient(value, list(back.values()))
    named = zip(reversed(back), reversed(gradients), strict=True)
    return stages | dict(named)
