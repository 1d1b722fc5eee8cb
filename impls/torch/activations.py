"""Activations a = g(z); autograd derives g'.

Quirks: abs and maximum have derivatives of their own choice at a tie,
so every kink is a `where`, whose derivative is that of the branch
taken. The branch not taken must stay finite: 0 times inf is NaN.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tetrapla.spec import Activation


def identity(z: Tensor) -> Tensor:
    return z


def sigmoid(z: Tensor) -> Tensor:
    e = torch.exp(torch.where(z <= 0, z, -z))  # exp(-|z|)
    return torch.where(z <= 0, e, 1) / (1 + e)


def tanh(z: Tensor) -> Tensor:
    return torch.tanh(z)


def relu(z: Tensor) -> Tensor:
    return torch.where(z <= 0, 0, z)


def softmax(z: Tensor) -> Tensor:
    z = z - z.amax(dim=-1, keepdim=True).detach()
    e = torch.exp(z)
    return e / e.sum(dim=-1, keepdim=True)


def leaky_relu(z: Tensor, negative_slope: float) -> Tensor:
    return torch.where(z <= 0, negative_slope * z, z)


def elu(z: Tensor, alpha: float) -> Tensor:
    # the branch not taken must not overflow: expm1 sees z <= 0 only
    e = torch.expm1(torch.where(z <= 0, z, 0))
    return torch.where(z <= 0, alpha * e, z)


def softplus(z: Tensor) -> Tensor:
    e = torch.exp(torch.where(z <= 0, z, -z))
    return relu(z) + torch.log1p(e)


def silu(z: Tensor) -> Tensor:
    return z * sigmoid(z)


def gelu_erf(z: Tensor) -> Tensor:
    # 1 + erf(z / sqrt 2) = erfc(-z / sqrt 2) without cancelling
    return 0.5 * z * torch.erfc(-math.sqrt(0.5) * z)


def gelu_tanh(z: Tensor) -> Tensor:
    # beyond 30, tanh(u) is -1 or 1: z^3 need not overflow
    c = torch.clamp(z, -30, 30)
    u = math.sqrt(2 / math.pi) * (c + 0.044715 * c * c * c)
    return z * sigmoid(2 * u)  # (1 + tanh u) / 2 does not cancel so


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "identity": identity,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "softmax": softmax,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "softplus": softplus,
    "silu": silu,
    "gelu_erf": gelu_erf,
    "gelu_tanh": gelu_tanh,
}


def wide(x: Tensor) -> Tensor:
    """Return halves as float32: functions round once, at their end."""
    return x.float() if x.dtype.itemsize == 2 else x


def activation(spec: Activation, z: Tensor) -> Tensor:
    """Return g(z), for the g that the specification names."""
    return FUNCTIONS[spec.name](wide(z), **spec.parameters).to(z.dtype)


def activation_gradient(
    spec: Activation, z: Tensor, da: Tensor
) -> Tensor:
    """Return dz = g'(z) da."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(activation(spec, z), z, da)[0]
