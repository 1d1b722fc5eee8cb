"""Losses; the tape derives their gradients.

Element by element, (batch, outputs), then reduced over the outputs and
over the batch. Each kink is a `where`, as in activations.py.
"""

from typing import Any

import tensorflow as tf

from tetrapla.spec import MeanSquaredError, SoftmaxCrossEntropy

from .activations import wide


def squared_error(p: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return (p - y) ** 2


def binary_cross_entropy(p: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    # 1. 0 log 0 = 0: a term with a factor 0 does not look at p
    log_p = tf.math.log(tf.where(y > 0, p, 1))
    log_q = tf.math.log1p(-tf.where(y < 1, p, 0))
    # 2. the log of the probability of y
    return -(y * log_p) - (1 - y) * log_q


def binary_cross_entropy_with_logits(
    z: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    # 1. softplus(z) - y z; z - y z is z (1 - y), without cancelling
    linear = tf.where(z <= 0, -z * y, z * (1 - y))
    # 2. the rest of softplus
    return linear + tf.math.log1p(tf.exp(tf.where(z <= 0, z, -z)))


def one_hot(y: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    if y.shape.rank == 2:
        return y
    return tf.one_hot(y, z.shape[1], dtype=z.dtype)


def softmax_cross_entropy(z: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    # 1. shifted, so that exp does not overflow
    z = z - tf.stop_gradient(tf.reduce_max(z, axis=1, keepdims=True))
    # 2. log sum exp
    log_sum = tf.math.log(
        tf.reduce_sum(tf.exp(z), axis=1, keepdims=True)
    )
    # 3. minus the log of the probability of y
    y = one_hot(y, z)  # 0 times inf is NaN: sum where y > 0
    terms = tf.where(y > 0, y * (log_sum - z), 0)
    return tf.reduce_sum(terms, axis=1)  # (batch,)


def reduce(losses: tf.Tensor, how: str) -> tf.Tensor:
    """Return the mean or the sum over the last axis, or all of them."""
    if how == "mean":
        return tf.reduce_mean(losses, axis=-1)
    return tf.reduce_sum(losses, axis=-1) if how == "sum" else losses


def loss(spec: Any, outputs: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return the loss that the specification names."""
    outputs = wide(outputs)
    if isinstance(spec, SoftmaxCrossEntropy):
        return reduce(softmax_cross_entropy(outputs, y), spec.reduction)
    if isinstance(spec, MeanSquaredError):
        elements = squared_error(outputs, y)
    elif spec.from_logits:
        elements = binary_cross_entropy_with_logits(outputs, y)
    else:
        elements = binary_cross_entropy(outputs, y)
    return reduce(reduce(elements, spec.outputs), spec.reduction)
