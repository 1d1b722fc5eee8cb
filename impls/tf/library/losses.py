"""Losses as keras's own objects; the tape derives their gradients.

Quirks: a loss computes in float32, or the user's dtype, unless one is
given. Keras takes the mean over an example's outputs, always: its "sum"
adds the examples' means. Probabilities are clipped at 1e-7, so that
p = 0, y = 1 costs 16.1. Outputs of a sigmoid or softmax remember their
logits, and Keras computes from those, from_logits or not: here the loss
is that of the outputs.
"""

from typing import Any

import keras
import tensorflow as tf

from tetrapla.spec import (
    MeanSquaredError,
    SoftmaxCrossEntropy,
    Support,
)

from ..activations import wide

# the specification's reductions over the batch, and Keras's
REDUCTIONS = {
    "mean": "sum_over_batch_size",
    "sum": "sum",
    "none": None,
}


def module(
    spec: Any, y: tf.Tensor, reduction: str, dtype: str
) -> keras.losses.Loss:
    """Return Keras's object of the loss, with a reduction of ours."""
    how: Any = {"reduction": REDUCTIONS[reduction], "dtype": dtype}
    if isinstance(spec, MeanSquaredError):
        return keras.losses.MeanSquaredError(**how)
    how["from_logits"] = True
    if not isinstance(spec, SoftmaxCrossEntropy):
        how["from_logits"] = spec.from_logits
        return keras.losses.BinaryCrossentropy(**how)
    if y.shape.rank == 1:  # classes
        return keras.losses.SparseCategoricalCrossentropy(**how)
    return keras.losses.CategoricalCrossentropy(**how)


def reduce(losses: tf.Tensor, how: str) -> tf.Tensor:
    """Return the mean or the sum over the last axis, or all of them."""
    if how == "mean":
        return tf.reduce_mean(losses, axis=-1)
    return tf.reduce_sum(losses, axis=-1) if how == "sum" else losses


def loss(spec: Any, outputs: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return the loss that the specification names."""
    outputs = wide(outputs)
    dtype = outputs.dtype.name
    outputs = tf.identity(outputs)  # without the logits it remembers
    if getattr(spec, "outputs", "mean") == "mean":
        return module(spec, y, spec.reduction, dtype)(y, outputs)
    # each output as an example of its own: no mean over several
    y, outputs = y[..., tf.newaxis], outputs[..., tf.newaxis]
    elements = module(spec, y, "none", dtype)(y, outputs)
    return reduce(reduce(elements, spec.outputs), spec.reduction)


def supports(spec: Any) -> Support:
    """Return whether keras.losses has the loss, and how."""
    if getattr(spec, "outputs", "mean") == "sum":
        return Support(
            "composed",
            "Keras's loss of each output by itself, then the sum, "
            "where Keras takes the mean",
        )
    return Support("native")
