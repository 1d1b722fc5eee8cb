"""Losses; jax.grad derives their gradients.

Element by element, (batch, outputs), then reduced over the outputs and
over the batch. Each kink is a `where`, as in activations.py.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from tetrapla.spec import MeanSquaredError, SoftmaxCrossEntropy

from .activations import wide


def squared_error(p: Array, y: Array) -> Array:
    return (p - y) ** 2


def binary_cross_entropy(p: Array, y: Array) -> Array:
    # 1. 0 log 0 = 0: a term with a factor 0 does not look at p
    log_p = jnp.log(jnp.where(y > 0, p, 1))
    log_q = jnp.log1p(-jnp.where(y < 1, p, 0))
    # 2. the log of the probability of y
    return -(y * log_p) - (1 - y) * log_q


def binary_cross_entropy_with_logits(z: Array, y: Array) -> Array:
    # 1. softplus(z) - y z; z - y z is z (1 - y), without cancelling
    linear = jnp.where(z <= 0, -z * y, z * (1 - y))
    # 2. the rest of softplus
    return linear + jnp.log1p(jnp.exp(jnp.where(z <= 0, z, -z)))


def one_hot(y: Array, z: Array) -> Array:
    if y.ndim == 2:
        return y
    return jax.nn.one_hot(y, z.shape[1], dtype=z.dtype)


def softmax_cross_entropy(z: Array, y: Array) -> Array:
    # 1. shifted, so that exp does not overflow
    z = z - lax.stop_gradient(z.max(axis=1, keepdims=True))
    # 2. log sum exp
    log_sum = jnp.log(jnp.exp(z).sum(axis=1, keepdims=True))
    # 3. minus the log of the probability of y
    y = one_hot(y, z)  # 0 times inf is NaN: sum where y > 0
    terms = jnp.where(y > 0, y * (log_sum - z), 0)
    return terms.sum(axis=1)  # (batch,)


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
