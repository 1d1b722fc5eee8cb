"""Metrics: how well outputs fit labels, in numbers for people.

A metric is no loss: nothing goes down its gradient, so it is the same NumPy
code for every backend, float64, of the outputs that the backend computed.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

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


class Metric(ABC):
    """A metric of samples that are added piece by piece."""

    losses: ClassVar[tuple[type[Loss], ...]]  # whose outputs and labels it reads

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    @abstractmethod
    def add(self, outputs: Array, y: Array) -> None:
        """Count some samples."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The metric of all samples so far."""


class Mean(Metric):
    """A mean over all elements."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self.sum, self.count = 0.0, 0

    def add(self, outputs: Array, y: Array) -> None:
        values = self.of_each(outputs, y)
        self.sum += float(np.sum(values, dtype=np.float64))
        self.count += values.size

    @property
    def value(self) -> float:
        return self.sum / self.count

    @abstractmethod
    def of_each(self, outputs: Array, y: Array) -> Array:
        """Return what the mean is of."""


class Accuracy(Mean):
    """The share of right answers.

    Of classes: the largest output's (the first of several) is the label's.
    Of binary labels: the more likely answer, z > 0 or p > 1/2, is the
    label's, y > 1/2, counted for every output.
    """

    losses = (SoftmaxCrossEntropy, BinaryCrossEntropy)

    def of_each(self, outputs: Array, y: Array) -> Array:
        if isinstance(self.loss, SoftmaxCrossEntropy):
            answers: Array = np.argmax(outputs, axis=1)
            classes = y if y.ndim == 1 else np.argmax(y, axis=1)
        else:
            logits = getattr(self.loss, "from_logits", False)
            answers, classes = outputs > (0.0 if logits else 0.5), y > 0.5
        right: Array = np.equal(answers, classes)
        return right


class MeanAbsoluteError(Mean):
    """The mean of |p - y| over all elements."""

    losses = (MeanSquaredError,)

    def of_each(self, outputs: Array, y: Array) -> Array:
        return np.abs(outputs.astype(np.float64) - y)


class R2(Metric):
    """R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2, NaN for constant y.

    The mean of y is that of each output. Two pieces' sums of squares around
    their means add up to the whole's with what the means differ by: Chan,
    Golub, LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances".
    """

    losses = (MeanSquaredError,)

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self.residual = self.total = 0.0
        self.mean: Array = np.zeros(())
        self.count = 0

    def add(self, outputs: Array, y: Array) -> None:
        p, y = outputs.astype(np.float64), y.astype(np.float64)
        n, count, mean = len(y), self.count + len(y), y.mean(axis=0)
        apart = mean - self.mean
        self.residual += float(np.sum((y - p) ** 2))
        self.total += float(np.sum((y - mean) ** 2))
        self.total += float(np.sum(apart**2)) * self.count * n / count
        self.mean = mean if self.count == 0 else self.mean + apart * (n / count)
        self.count = count

    @property
    def value(self) -> float:
        return 1.0 - self.residual / self.total if self.total else float("nan")


METRICS: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "mean_absolute_error": MeanAbsoluteError,
    "r2": R2,
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


def metric(name: str, loss: Loss) -> Metric:
    """Return the metric of that name, of no samples yet."""
    return METRICS[name](loss)


def measure(name: str, loss: Loss, outputs: Array, y: Array) -> float:
    """Return the metric of that name, of these samples."""
    of_all = metric(name, loss)
    of_all.add(outputs, y)
    return of_all.value


class Scores:
    """The mean loss and the metrics of n samples that are added piece by piece."""

    def __init__(self, names: tuple[str, ...], loss: Loss, n: int) -> None:
        self.loss, self.n = 0.0, n
        self.metrics = {name: metric(name, loss) for name in names}

    def add(self, outputs: Array, y: Array, loss: float) -> None:
        """Count some samples, whose mean loss is `loss`."""
        self.loss += loss * (len(y) / self.n)
        for each in self.metrics.values():
            each.add(outputs, y)

    @property
    def values(self) -> dict[str, float]:
        """The metrics of all samples so far."""
        return {name: each.value for name, each in self.metrics.items()}
