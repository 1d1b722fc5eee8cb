"""Losses: what is compared, and how single losses become one number.

A loss has one value per example, shape (batch,). Losses that compare
element by element (mean squared error, binary cross-entropy) first reduce
over an example's outputs, `outputs` = "mean" or "sum"; then every loss
reduces over the batch, `reduction` = "mean", "sum" or "none". With the
defaults, "mean" of "mean" is the mean over all elements, as in every
framework. "sum" is where they differ: PyTorch sums all elements
(outputs="sum"), Keras sums the examples' means (outputs="mean").

Labels have the shape of the outputs and are never broadcast: (n,) against
(n, 1) is refused.
"""

from dataclasses import dataclass
from typing import ClassVar

from tetrapla.spec import checks
from tetrapla.spec.errors import InvalidInputError

REDUCTIONS = ("mean", "sum", "none")
OVER_OUTPUTS = ("mean", "sum")


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Base of the losses; not a loss itself."""

    name: ClassVar[str]
    reduction: str = "mean"

    def __post_init__(self) -> None:
        checks.choice("reduction", self.reduction, REDUCTIONS)


@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(Loss):
    """L_i = mean_j (p_ij - y_ij)^2; dL_i/dp_ij = 2 (p_ij - y_ij) / outputs.

    No factor 1/2. Shapes: p and y (batch, outputs).

    Source: Deep Learning (2016), eq. 5.4.
    """

    outputs: str = "mean"
    name: ClassVar[str] = "mean_squared_error"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("outputs", self.outputs, OVER_OUTPUTS)


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(Loss):
    """L_i = mean_j -(y_ij log p_ij + (1 - y_ij) log(1 - p_ij)).

    Labels y in [0, 1]; shapes (batch, outputs).

    from_logits=True (the default): p = sigmoid(z) and the loss is computed
    from the logit z, as z (1 - y) for z > 0 and -z y else, plus
    log(1 + exp(-|z|)). dL/dz = sigmoid(z) - y, at z = 0 too: 1/2 - y.

    from_logits=False: from probabilities p in [0, 1], exactly: a term whose
    factor y or 1 - y is 0 is 0; p = 0 with y = 1 costs +inf, and its
    gradient -y/p + (1 - y)/(1 - p) is -inf. Nothing is clipped: clipping
    has gradient 0 where it matters most. (PyTorch clamps the logarithm and
    answers 100; Keras clips p at 1e-7 and answers 16.1.)

    Source: Deep Learning (2016), eq. 5.59 and section 6.2.2.2.
    """

    from_logits: bool = True
    outputs: str = "mean"
    name: ClassVar[str] = "binary_cross_entropy"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.flag("from_logits", self.from_logits)
        checks.choice("outputs", self.outputs, OVER_OUTPUTS)


@dataclass(frozen=True, kw_only=True)
class SoftmaxCrossEntropy(Loss):
    """L_i = -sum_j y_ij log softmax(z_i)_j = sum_j y_ij (log sum_k e^z_ik - z_ij).

    Labels are classes, integers (batch,), or rows of probabilities,
    one-hot for instance, (batch, outputs). dL_i/dz_ij = softmax(z_i)_j - y_ij
    where a row of y adds up to 1.

    The labels of a single output are all class 0: the loss is exactly 0.0
    and there is nothing to learn.

    Source: Deep Learning (2016), section 6.2.2.3.
    """

    name: ClassVar[str] = "softmax_cross_entropy"


LOSSES: dict[str, type[Loss]] = {
    MeanSquaredError.name: MeanSquaredError,
    "mse": MeanSquaredError,
    BinaryCrossEntropy.name: BinaryCrossEntropy,
    "bce": BinaryCrossEntropy,
    SoftmaxCrossEntropy.name: SoftmaxCrossEntropy,
}


def loss(given: Loss | str) -> Loss:
    """Return the loss that a name or an object stands for.

    >>> loss("mse")
    MeanSquaredError(reduction='mean', outputs='mean')
    """
    if isinstance(given, Loss) and type(given) in LOSSES.values():
        return given
    if isinstance(given, str) and given in LOSSES:
        return LOSSES[given]()
    expected = ", ".join(LOSSES)
    raise InvalidInputError(f"loss must be a loss or one of {expected}; got {given!r}")
