"""Metrics: how well outputs fit labels, in numbers for people.

A metric is no loss: nothing goes down its gradient, so it is the same NumPy
code for every backend, float64, of the outputs that the backend computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)

Array = NDArray[Any]


def accuracy(loss: Loss, outputs: Array, y: Array) -> float:
    """Return the share of right answers.

    Of classes: the largest output's (the first of several) is the label's.
    Of binary labels: the more likely answer, z > 0 or p > 1/2, is the
    label's, y > 1/2, counted for every output.
    """
    if isinstance(loss, SoftmaxCrossEntropy):
        classes = y if y.ndim == 1 else np.argmax(y, axis=1)
        return float(np.mean(np.argmax(outputs, axis=1) == classes))
    threshold = 0.0 if getattr(loss, "from_logits", False) else 0.5
    return float(np.mean((outputs > threshold) == (y > 0.5)))


def mean_absolute_error(loss: Loss, outputs: Array, y: Array) -> float:
    """Return the mean of |p - y| over all elements."""
    return float(np.mean(np.abs(outputs.astype(np.float64) - y)))


def r2(loss: Loss, outputs: Array, y: Array) -> float:
    """Return R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2, NaN for constant y.

    The mean of y is that of each output.
    """
    p, y = outputs.astype(np.float64), y.astype(np.float64)
    total = float(np.sum((y - y.mean(axis=0)) ** 2))
    return 1.0 - float(np.sum((y - p) ** 2)) / total if total else float("nan")


@dataclass(frozen=True)
class Metric:
    """A metric, and the losses whose outputs and labels it can read."""

    of: Callable[[Loss, Array, Array], float]
    losses: tuple[type[Loss], ...]


METRICS = {
    "accuracy": Metric(accuracy, (SoftmaxCrossEntropy, BinaryCrossEntropy)),
    "mean_absolute_error": Metric(mean_absolute_error, (MeanSquaredError,)),
    "r2": Metric(r2, (MeanSquaredError,)),
}


def metrics(given: object, loss: Loss) -> tuple[str, ...]:
    """Return the names of metrics that suit the loss; each once.

    >>> metrics(["accuracy"], SoftmaxCrossEntropy())
    ('accuracy',)
    """
    if not isinstance(given, list | tuple):
        raise InvalidInputError(f"metrics must be a tuple of names, got {given!r}")
    there = [name for name, metric in METRICS.items() if isinstance(loss, metric.losses)]
    for name in given:
        if name not in there:
            raise InvalidInputError(
                f"metrics of {loss.name} are {', '.join(there)}; got {name!r}"
            )
    if len(set(given)) != len(given):
        raise InvalidInputError(f"metrics must each be there once, got {given!r}")
    return tuple(given)


def measure(name: str, loss: Loss, outputs: Array, y: Array) -> float:
    """Return the metric of that name."""
    return METRICS[name].of(loss, outputs, y)
