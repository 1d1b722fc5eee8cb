"""Activations a = g(z), each followed by its derivative times da.

NumPy has no automatic differentiation: `sigmoid_gradient(z, da)` is
the vector-Jacobian product g'(z) da, derived by hand. Its quirk: no
erfc (the standard library has it, number by number).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import Activation

Array = NDArray[Any]


def identity(z: Array) -> Array:
    return z


def identity_gradient(z: Array, da: Array) -> Array:
    return da


def sigmoid(z: Array) -> Array:
    e = np.exp(np.where(z <= 0, z, -z))  # exp(-|z|) never overflows
    return np.where(z <= 0, e, 1) / (1 + e)


def sigmoid_gradient(z: Array, da: Array) -> Array:
    # s (1 - s), with 1 - s as sigmoid(-z): it does not cancel
    return da * sigmoid(z) * sigmoid(-z)


def tanh(z: Array) -> Array:
    return np.tanh(z)


def tanh_gradient(z: Array, da: Array) -> Array:
    return da * (1 - np.tanh(z) ** 2)


def relu(z: Array) -> Array:
    return np.where(z <= 0, 0, z)


def relu_gradient(z: Array, da: Array) -> Array:
    return np.where(z <= 0, 0, da)


def softmax(z: Array) -> Array:
    z = z - z.max(axis=-1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


def softmax_gradient(z: Array, da: Array) -> Array:
    a = softmax(z)
    return a * (da - (da * a).sum(axis=-1, keepdims=True))


def leaky_relu(z: Array, negative_slope: float) -> Array:
    return np.where(z <= 0, negative_slope * z, z)


def leaky_relu_gradient(
    z: Array, da: Array, negative_slope: float
) -> Array:
    return np.where(z <= 0, negative_slope * da, da)


def elu(z: Array, alpha: float) -> Array:
    # the branch not taken must not overflow: expm1 sees z <= 0 only
    return np.where(z <= 0, alpha * np.expm1(np.where(z <= 0, z, 0)), z)


def elu_gradient(z: Array, da: Array, alpha: float) -> Array:
    e = np.exp(np.where(z <= 0, z, 0))
    return np.where(z <= 0, da * alpha * e, da)


def softplus(z: Array) -> Array:
    return relu(z) + np.log1p(np.exp(np.where(z <= 0, z, -z)))


def softplus_gradient(z: Array, da: Array) -> Array:
    return da * sigmoid(z)


def silu(z: Array) -> Array:
    return z * sigmoid(z)


def silu_gradient(z: Array, da: Array) -> Array:
    return da * sigmoid(z) * (1 + z * sigmoid(-z))


def erfc(z: Array) -> Array:
    return np.vectorize(math.erfc, otypes=[z.dtype])(z)


def gelu_erf(z: Array) -> Array:
    # 1 + erf(z / sqrt 2) = erfc(-z / sqrt 2) without cancelling
    return 0.5 * z * erfc(-math.sqrt(0.5) * z)


def gelu_erf_gradient(z: Array, da: Array) -> Array:
    cdf = 0.5 * erfc(-math.sqrt(0.5) * z)
    pdf = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return da * (cdf + z * pdf)


def gelu_tanh(z: Array) -> Array:
    # beyond 30, tanh(u) is -1 or 1: z^3 need not overflow
    c = np.clip(z, -30, 30)
    u = math.sqrt(2 / math.pi) * (c + 0.044715 * c * c * c)
    return z * sigmoid(2 * u)  # (1 + tanh u) / 2 does not cancel so


def gelu_tanh_gradient(z: Array, da: Array) -> Array:
    c = np.clip(z, -30, 30)
    u = math.sqrt(2 / math.pi) * (c + 0.044715 * c * c * c)
    du = math.sqrt(2 / math.pi) * (1 + 0.134145 * c * c)
    s = sigmoid(2 * u)
    return da * (s + z * s * sigmoid(-2 * u) * 2 * du)


FUNCTIONS: dict[str, Callable[..., Array]] = {
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

GRADIENTS: dict[str, Callable[..., Array]] = {
    "identity": identity_gradient,
    "sigmoid": sigmoid_gradient,
    "tanh": tanh_gradient,
    "relu": relu_gradient,
    "softmax": softmax_gradient,
    "leaky_relu": leaky_relu_gradient,
    "elu": elu_gradient,
    "softplus": softplus_gradient,
    "silu": silu_gradient,
    "gelu_erf": gelu_erf_gradient,
    "gelu_tanh": gelu_tanh_gradient,
}


def wide(x: Array) -> Array:
    """Return halves as float32: functions round once, at their end."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def activation(spec: Activation, z: Array) -> Array:
    """Return g(z), for the g that the specification names."""
    a = FUNCTIONS[spec.name](wide(z), **spec.parameters)
    return a.astype(z.dtype, copy=False)


def activation_gradient(spec: Activation, z: Array, da: Array) -> Array:
    """Return dz = g'(z) da."""
    dz = GRADIENTS[spec.name](wide(z), wide(da), **spec.parameters)
    return dz.astype(z.dtype, copy=False)
