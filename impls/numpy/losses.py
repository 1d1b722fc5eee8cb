"""Losses, each followed by its gradient with respect to the outputs.

Element by element, (batch, outputs), then reduced over the outputs and
over the batch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import MeanSquaredError, SoftmaxCrossEntropy

from .activations import sigmoid, softmax, wide

Array = NDArray[Any]


def squared_error(p: Array, y: Array) -> Array:
    return (p - y) ** 2


def squared_error_gradient(p: Array, y: Array) -> Array:
    return 2 * (p - y)


def binary_cross_entropy(p: Array, y: Array) -> Array:
    # 1. 0 log 0 = 0: a term with a factor 0 does not look at p
    log_p = np.log(np.where(y > 0, p, 1))
    log_q = np.log1p(-np.where(y < 1, p, 0))
    # 2. the log of the probability of y
    return -(y * log_p) - (1 - y) * log_q


def binary_cross_entropy_gradient(p: Array, y: Array) -> Array:
    p_or_1, p_or_0 = np.where(y > 0, p, 1), np.where(y < 1, p, 0)
    return (1 - y) / (1 - p_or_0) - y / p_or_1


def binary_cross_entropy_with_logits(z: Array, y: Array) -> Array:
    # 1. softplus(z) - y z; z - y z is z (1 - y), without cancelling
    linear = np.where(z <= 0, -z * y, z * (1 - y))
    # 2. the rest of softplus
    return linear + np.log1p(np.exp(np.where(z <= 0, z, -z)))


def binary_cross_entropy_with_logits_gradient(
    z: Array, y: Array
) -> Array:
    # sigmoid(z) - y, where z > 0 as (1 - y) - (1 - sigmoid(z))
    return np.where(z <= 0, sigmoid(z) - y, (1 - y) - sigmoid(-z))


def one_hot(y: Array, z: Array) -> Array:
    return y if y.ndim == 2 else np.eye(z.shape[1], dtype=z.dtype)[y]


def softmax_cross_entropy(z: Array, y: Array) -> Array:
    # 1. shifted, so that exp does not overflow
    z = z - z.max(axis=1, keepdims=True)
    # 2. log sum exp
    log_sum = np.log(np.exp(z).sum(axis=1, keepdims=True))
    # 3. minus the log of the probability of y
    y = one_hot(y, z)  # 0 times inf is NaN: sum where y > 0
    terms = np.where(y > 0, y * (log_sum - z), 0)
    return terms.sum(axis=1)  # (batch,)


def softmax_cross_entropy_gradient(z: Array, y: Array) -> Array:
    y = one_hot(y, z)
    return softmax(z) * y.sum(axis=1, keepdims=True) - y


def reduce(losses: Array, how: str) -> Array:
    """Return the mean or the sum over the last axis, or all of them."""
    if how == "mean":
        return losses.mean(axis=-1)
    return losses.sum(axis=-1) if how == "sum" else losses


def loss(spec: Any, outputs: Array, y: Array) -> Array:
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


def loss_gradient(spec: Any, outputs: Array, y: Array) -> Array:
    """Return its gradient with respect to the outputs."""
    p = wide(outputs)
    return gradient(spec, p, y).astype(outputs.dtype, copy=False)


def gradient(spec: Any, p: Array, y: Array) -> Array:
    batch, width = p.shape
    n = batch if spec.reduction == "mean" else 1
    if isinstance(spec, SoftmaxCrossEntropy):
        return softmax_cross_entropy_gradient(p, y) / n
    n *= width if spec.outputs == "mean" else 1
    if isinstance(spec, MeanSquaredError):
        return squared_error_gradient(p, y) / n
    if spec.from_logits:
        return binary_cross_entropy_with_logits_gradient(p, y) / n
    return binary_cross_entropy_gradient(p, y) / n
