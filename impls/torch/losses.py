"""Losses; autograd derives their gradients.

Element by element, (batch, outputs), then reduced over the outputs and
over the batch. Each kink is a `where`, as in activations.py.
"""

from typing import Any

import torch
from torch import Tensor

from tetrapla.spec import MeanSquaredError, SoftmaxCrossEntropy

from .activations import wide


def squared_error(p: Tensor, y: Tensor) -> Tensor:
    return (p - y) ** 2


def binary_cross_entropy(p: Tensor, y: Tensor) -> Tensor:
    # 1. 0 log 0 = 0: a term with a factor 0 does not look at p
    log_p = torch.log(torch.where(y > 0, p, 1))
    log_q = torch.log1p(-torch.where(y < 1, p, 0))
    # 2. the log of the probability of y
    return -(y * log_p) - (1 - y) * log_q


def binary_cross_entropy_with_logits(z: Tensor, y: Tensor) -> Tensor:
    # 1. softplus(z) - y z; z - y z is z (1 - y), without cancelling
    linear = torch.where(z <= 0, -z * y, z * (1 - y))
    # 2. the rest of softplus
    return linear + torch.log1p(torch.exp(torch.where(z <= 0, z, -z)))


def one_hot(y: Tensor, z: Tensor) -> Tensor:
    if y.ndim == 2:
        return y
    return torch.eye(z.shape[1], dtype=z.dtype, device=z.device)[y]


def softmax_cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    # 1. shifted, so that exp does not overflow
    z = z - z.amax(dim=1, keepdim=True).detach()
    # 2. log sum exp
    log_sum = torch.log(torch.exp(z).sum(dim=1, keepdim=True))
    # 3. minus the log of the probability of y
    y = one_hot(y, z)  # 0 times inf is NaN: sum where y > 0
    terms = torch.where(y > 0, y * (log_sum - z), 0)
    return terms.sum(dim=1)  # (batch,)


def reduce(losses: Tensor, how: str) -> Tensor:
    """Return the mean or the sum over the last axis, or all of them."""
    if how == "mean":
        return losses.mean(dim=-1)
    return losses.sum(dim=-1) if how == "sum" else losses


def loss(spec: Any, outputs: Tensor, y: Tensor) -> Tensor:
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
