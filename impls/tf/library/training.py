"""All together: shuffle, batches, forward, loss, gradient, update."""

from functools import partial

import keras
import tensorflow as tf

from tetrapla.spec import Loop, Loss

from . import losses
from .layers import Dropout, parameters, places


def set_key(model: keras.Sequential, key: tf.Tensor | None) -> None:
    """Turn dropout on, with the masks of the key, or off."""
    for layer in model.layers:
        if isinstance(layer, Dropout):
            layer.key = key


def penalty(model: keras.Sequential, l2: float) -> tf.Tensor | float:
    """Return l2 / 2 sum ||W||^2, over the kernels and no bias."""
    if l2 == 0:
        return 0.0
    half = keras.regularizers.L2(l2 / 2)  # Keras has no factor 1/2
    dense = [c for c in model.layers if hasattr(c, "kernel")]
    return sum(half(layer.kernel) for layer in dense)


def loss_and_gradients(
    model: keras.Sequential,
    loss: Loss,
    x: tf.Tensor,
    y: tf.Tensor,
    key: tf.Tensor | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
    set_key(model, key)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = losses.loss(loss, model(x), y)
    dw, dx = tape.gradient(value, (parameters(model), x))
    return value, dw, dx


def train_step(
    model: keras.Sequential,
    loss: Loss,
    optimizer: keras.Optimizer,
    x: tf.Tensor,
    y: tf.Tensor,
    key: tf.Tensor | None = None,
    l2: float = 0.0,
) -> tf.Tensor:
    set_key(model, key)
    with tf.GradientTape() as tape:  # outside the tape: no gradients
        outputs = model(x)  # 4. forward
        value = losses.loss(loss, outputs, y)  # 5. loss
        total = value + penalty(model, l2)
    theta = model.trainable_variables
    gradients = tape.gradient(total, theta)  # 6. gradient
    optimizer.apply(gradients, theta)  # 7. update
    return value


def fit(
    model: keras.Sequential,
    loss: Loss,
    optimizer: keras.Optimizer,
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
                optimizer.learning_rate = eta  # schedule
                value = step(*batch, key)
            loop.end_step(value, len(rows))


def trace(
    model: keras.Sequential,
    loss: Loss,
    x: tf.Tensor,
    y: tf.Tensor,
    key: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Return all stages: forward, loss, then the chain rule."""
    set_key(model, key)
    stages, back = {}, {}
    with tf.GradientTape() as tape:
        tape.watch(x)
        a = back["input.grad"] = x
        for i, layer in places(model):
            if isinstance(layer, keras.layers.Dense):
                back[f"{i}.bias.grad"] = layer.bias
                back[f"{i}.weight.grad"] = layer.kernel
                stages[f"{i}.z"] = back[f"{i}.dz"] = a = layer(a)
            else:
                if isinstance(layer, Dropout) and key is not None:
                    mask = layer.mask(key, tf.shape(a))
                    stages[f"{i}.mask"] = mask
                a = layer(a)
            stages[f"{i}.a"] = back[f"{i}.da"] = a
        stages["loss"] = value = losses.loss(loss, a, y)
    gradients = tape.gradient(value, list(back.values()))
    named = zip(reversed(back), reversed(gradients), strict=True)
    return stages | dict(named)
