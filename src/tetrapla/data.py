"""Small real data sets, standardised and split the same way everywhere.

scikit-learn brings the data with it: nothing is downloaded. Each set is
shuffled by the shared generator (threefry.permutation) and its first fifth
is the test set; every column is then standardised with the mean and the
standard deviation of the training rows, so that nothing of the test rows
leaks into training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import threefry
from tetrapla.spec.layers import Dense, Dropout, Layer, Sequential
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from tetrapla.spec.metrics import measure

Floats = NDArray[np.float64]

SEED: Final = 0


class MissingExtraError(ImportError):
    """A package outside the base install is missing.

    The message names the extra to install.
    """


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test data, and what a network for them looks like.

    x is float64 (n, features). y depends on the loss: int64 classes (n,)
    for softmax cross-entropy, float64 (n, 1) for binary cross-entropy (0.0
    and 1.0) and for the mean squared error.
    """

    name: str
    x_train: Floats
    y_train: NDArray[Any]
    x_test: Floats
    y_test: NDArray[Any]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]  # of the classes, in order; or of the one target
    loss: Loss
    hidden: tuple[int, ...]  # widths of the hidden layers that suit the data

    def network(
        self, hidden: tuple[int, ...] | None = None, dropout: float = 0.0
    ) -> Sequential:
        """Return a network for the data, with ReLU between its layers.

        Its outputs are what the loss expects: logits, or the target itself.
        With a rate of `dropout`, every hidden layer is followed by one.

        >>> [layer.outputs for layer in lecture().network().layers]
        [3, 1]
        """
        softmax = isinstance(self.loss, SoftmaxCrossEntropy)
        last = len(self.target_names) if softmax else 1
        widths = [self.x_train.shape[1], *(self.hidden if hidden is None else hidden)]
        layers: list[Layer] = []
        for n, m in pairwise(widths):
            layers.append(Dense(n, m, "relu"))
            if dropout:
                layers.append(Dropout(dropout))
        return Sequential(*layers, Dense(widths[-1], last))

    @property
    def metric(self) -> str:
        """What `score` measures: "accuracy", or "R^2" for a regression."""
        return "R^2" if isinstance(self.loss, MeanSquaredError) else "accuracy"

    def score(self, outputs: NDArray[Any]) -> float:
        """Return how well a network's outputs for x_test fit y_test; 1 is best.

        The accuracy of the likelier class, or the coefficient of
        determination R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2.

        Parameters
        ----------
        outputs
            (n_test, outputs), as Backend.forward returns them.
        """
        name = "r2" if self.metric == "R^2" else self.metric
        return measure(name, self.loss, outputs, self.y_test)


def digits() -> Dataset:
    """Handwritten digits, 8x8 pixels, ten classes; 1,438 + 359 examples.

    A pixel that is 0 in every training image is left as it is.

    Source: the test set of Alpaydin and Kaynak, Optical recognition of
    handwritten digits (UCI, 1998), as scikit-learn's load_digits.
    """
    raw = _raw("load_digits")
    train, test = _split(len(raw.data))
    return Dataset(
        name="digits",
        **_standardised("x", raw.data, train, test),
        y_train=raw.target[train].astype(np.int64),
        y_test=raw.target[test].astype(np.int64),
        feature_names=_names(raw.feature_names),
        target_names=_names(raw.target_names),
        loss=SoftmaxCrossEntropy(),
        hidden=(64,),
    )


def breast_cancer() -> Dataset:
    """Tumours measured, malignant (0) or benign (1); 456 + 113 examples.

    Source: Street, Wolberg and Mangasarian, Nuclear feature extraction for
    breast tumor diagnosis (1993), as scikit-learn's load_breast_cancer.
    """
    raw = _raw("load_breast_cancer")
    train, test = _split(len(raw.data))
    y = raw.target.astype(np.float64)[:, None]
    return Dataset(
        name="breast-cancer",
        **_standardised("x", raw.data, train, test),
        y_train=y[train],
        y_test=y[test],
        feature_names=_names(raw.feature_names),
        target_names=_names(raw.target_names),
        loss=BinaryCrossEntropy(),
        hidden=(16,),
    )


def diabetes() -> Dataset:
    """Progression of diabetes within a year; 354 + 88 examples.

    The target is standardised too: a loss of 1 on the training rows is
    that of always answering their mean.

    Source: Efron, Hastie, Johnstone and Tibshirani, Least angle regression
    (2004), as scikit-learn's load_diabetes, unscaled.
    """
    raw = _raw("load_diabetes", scaled=False)
    train, test = _split(len(raw.data))
    return Dataset(
        name="diabetes",
        **_standardised("x", raw.data, train, test),
        **_standardised("y", raw.target[:, None], train, test),
        feature_names=_names(raw.feature_names),
        target_names=("disease progression",),
        loss=MeanSquaredError(),
        hidden=(16,),
    )


def lecture() -> Dataset:
    """Will I pass this class? Three students, fail (0) or pass (1).

    The lectures a student attended and the hours spent on the project, as
    they are; the three are both the training and the test data. The
    suggested network is the lecture's, 2-3-1. Needs no scikit-learn.
    """
    x = np.array([[4.0, 5.0], [2.0, 1.0], [5.0, 8.0]])
    y = np.array([[1.0], [0.0], [1.0]])
    return Dataset(
        name="lecture",
        x_train=x,
        y_train=y,
        x_test=x.copy(),
        y_test=y.copy(),
        feature_names=("lectures attended", "hours on the project"),
        target_names=("fail", "pass"),
        loss=BinaryCrossEntropy(),
        hidden=(3,),
    )


DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "breast-cancer": breast_cancer,
    "diabetes": diabetes,
    "lecture": lecture,
}


def _raw(loader: str, **options: Any) -> Any:
    try:
        datasets = import_module("sklearn.datasets")
    except ModuleNotFoundError:
        raise MissingExtraError(
            "this data set comes with scikit-learn: pip install 'tetrapla[data]'"
        ) from None
    return getattr(datasets, loader)(**options)


def _split(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the training and of the test set."""
    order = threefry.permutation(threefry.fold_in(threefry.key(SEED), threefry.SPLIT), n)
    return order[n // 5 :], order[: n // 5]


def _standardised(
    name: str, a: Floats, train: NDArray[np.int64], test: NDArray[np.int64]
) -> dict[str, Any]:
    mean, deviation = a[train].mean(axis=0), a[train].std(axis=0)
    constant = np.ptp(a[train], axis=0) == 0  # its deviation may round to above 0
    scale = np.where(constant, 1.0, deviation)
    rows = {f"{name}_train": train, f"{name}_test": test}
    return {label: (a[r] - mean) / scale for label, r in rows.items()}


def _names(names: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in names)
