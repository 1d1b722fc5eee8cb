"""Losses as Optax's functions; jax.grad derives their gradients.

Quirks: they are not reduced. Binary cross-entropy takes logits only.
With a class y, softmax cross-entropy is logsumexp(z) - z_y: as far off
as z is large.
"""

from typing import Any

import optax
from jax import Array

from tetrapla.spec import (
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    Support,
)

from ..activations import wide


def softmax_cross_entropy(z: Array, y: Array) -> Array:
    if y.ndim == 2:
        return optax.losses.softmax_cross_entropy(z, y)
    return optax.losses.softmax_cross_entropy_with_integer_labels(z, y)


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
        elements = optax.losses.squared_error(outputs, y)
    else:
        elements = optax.losses.sigmoid_binary_cross_entropy(outputs, y)
    return reduce(reduce(elements, spec.outputs), spec.reduction)


def supports(spec: Loss) -> Support:
    """Return whether Optax has the loss."""
    if getattr(spec, "from_logits", True):
        return Support("native")
    return Support(
        "no",
        "optax.losses.sigmoid_binary_cross_entropy takes logits, it "
        "has no from_logits=False",
    )
