"""Activations a = g(z) as torch.nn modules; autograd derives g'.

Quirks: nn.Softplus is linear above its threshold, by default 20, where
float64 still sees the difference. nn.LeakyReLU's slope is 0.01 unless
given; nn.GELU is the erf form.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tetrapla.spec import Activation


def identity() -> nn.Module:
    return nn.Identity()


def sigmoid() -> nn.Module:
    return nn.Sigmoid()


def tanh() -> nn.Module:
    return nn.Tanh()


def relu() -> nn.Module:
    return nn.ReLU()


def softmax() -> nn.Module:
    return nn.Softmax(dim=-1)


def leaky_relu(negative_slope: float) -> nn.Module:
    return nn.LeakyReLU(negative_slope)


def elu(alpha: float) -> nn.Module:
    return nn.ELU(alpha)


def softplus() -> nn.Module:
    return nn.Softplus(threshold=40)  # exp(-40) is nothing beside 40


def silu() -> nn.Module:
    return nn.SiLU()


def gelu_erf() -> nn.Module:
    return nn.GELU()


def gelu_tanh() -> nn.Module:
    return nn.GELU(approximate="tanh")


MODULES: dict[str, Callable[..., nn.Module]] = {
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


def module(spec: Activation) -> nn.Module:
    """Return torch's module of the g that the specification names."""
    return MODULES[spec.name](**spec.parameters)


def activation(spec: Activation, z: Tensor) -> Tensor:
    """Return g(z)."""
    return module(spec)(z)


def activation_gradient(
    spec: Activation, z: Tensor, da: Tensor
) -> Tensor:
    """Return dz = g'(z) da."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(activation(spec, z), z, da)[0]
