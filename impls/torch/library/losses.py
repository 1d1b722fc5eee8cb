"""Losses as torch.nn's own modules; autograd derives their gradients.

Quirks: a reduction of "mean" or "sum" is over all elements. nn.BCELoss
clamps its logarithms at -100, so that p = 0, y = 1 costs 100.
"""

from typing import Any

from torch import Tensor, nn

from tetrapla.spec import MeanSquaredError, SoftmaxCrossEntropy

from ..activations import wide


def module(spec: Any, reduction: str) -> nn.Module:
    """Return torch's module of the loss, with torch's reduction."""
    if isinstance(spec, SoftmaxCrossEntropy):
        return nn.CrossEntropyLoss(reduction=reduction)
    if isinstance(spec, MeanSquaredError):
        return nn.MSELoss(reduction=reduction)
    if spec.from_logits:
        return nn.BCEWithLogitsLoss(reduction=reduction)
    return nn.BCELoss(reduction=reduction)


def reduce(losses: Tensor, how: str) -> Tensor:
    """Return the mean or the sum over the last axis, or all of them."""
    if how == "mean":
        return losses.mean(dim=-1)
    return losses.sum(dim=-1) if how == "sum" else losses


def loss(spec: Any, outputs: Tensor, y: Tensor) -> Tensor:
    """Return the loss that the specification names."""
    outputs = wide(outputs)
    if isinstance(spec, SoftmaxCrossEntropy):
        return module(spec, spec.reduction)(outputs, y)
    if spec.outputs == spec.reduction:  # over all elements
        return module(spec, spec.reduction)(outputs, y)
    elements = module(spec, "none")(outputs, y)
    return reduce(reduce(elements, spec.outputs), spec.reduction)
