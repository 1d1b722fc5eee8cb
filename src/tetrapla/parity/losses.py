"""The reference: losses and their gradients (spec/losses.py)."""

import numpy as np

from tetrapla.parity.activations import log_sum_exp, nothing, sigmoid, softmax
from tetrapla.parity.quantity import Quantity, exact, if_positive, select
from tetrapla.spec.contract import Array
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)


def loss(spec: Loss, p: Quantity, y: Array) -> Quantity:
    """Return the loss: a scalar, or (batch,) with reduction "none"."""
    examples = _examples(spec, p, y)
    if spec.reduction == "none":
        return examples
    return examples.mean() if spec.reduction == "mean" else examples.sum()


def gradient(spec: Loss, p: Quantity, y: Array) -> Quantity:
    """Return the gradient of the reduced loss with respect to p."""
    da = _slopes(spec, p, y)
    if getattr(spec, "outputs", "sum") == "mean":
        da = da / p.shape[1]
    return da / len(p) if spec.reduction == "mean" else da


def _examples(spec: Loss, p: Quantity, y: Array) -> Quantity:
    """Return the loss of each example, (batch,)."""
    match spec:
        case MeanSquaredError():
            difference = p - exact(p.ar, y)
            elements = difference * difference
        case BinaryCrossEntropy(from_logits=True):
            elements = _from_logits(p, exact(p.ar, y))
        case BinaryCrossEntropy():
            elements = _from_probabilities(p, exact(p.ar, y))
        case SoftmaxCrossEntropy():
            return (_rows(p, y) * (log_sum_exp(p) - p)).sum(1)
        case _:
            raise TypeError(f"the reference has no {spec!r}")
    return elements.mean(1) if spec.outputs == "mean" else elements.sum(1)


def _slopes(spec: Loss, p: Quantity, y: Array) -> Quantity:
    """Return dL_i/dp_ij with all reductions as sums, (batch, outputs)."""
    match spec:
        case MeanSquaredError():
            return 2 * (p - exact(p.ar, y))
        case BinaryCrossEntropy(from_logits=True):
            labels = exact(p.ar, y)  # 1 - sigmoid(z) = sigmoid(-z) does not cancel
            return if_positive(p, (1 - labels) - sigmoid(-p), sigmoid(p) - labels)
        case BinaryCrossEntropy():
            labels = exact(p.ar, y)
            one = select(y > 0, labels / p, nothing(p))
            zero = select(y < 1, (1 - labels) / (1 - p), nothing(p))
            return zero - one
        case SoftmaxCrossEntropy():
            rows = _rows(p, y)  # that add up to 1 within their own rounding
            return rows.sum(1, keepdims=True) * softmax(p) - rows
    raise TypeError(f"the reference has no {spec!r}")


def _from_logits(z: Quantity, y: Quantity) -> Quantity:
    """Return z (1 - y) for z > 0 and -z y else, plus log(1 + exp(-|z|))."""
    linear = if_positive(z, z * (1 - y), -z * y)
    return linear + (-abs(z)).apply("exp").apply("log1p")


def _from_probabilities(p: Quantity, y: Quantity) -> Quantity:
    """Return -(y log p + (1 - y) log(1 - p)); a factor of 0 makes 0."""
    one = select(y.value > 0, y * p.apply("log"), nothing(p))
    zero = select(y.value < 1, (1 - y) * (-p).apply("log1p"), nothing(p))
    return -(one + zero)


def _rows(p: Quantity, y: Array) -> Quantity:
    """Return the labels as rows of probabilities, (batch, outputs)."""
    return exact(p.ar, y if y.ndim == 2 else np.eye(p.shape[1])[y])
