"""Activations a = g(z); jax.vjp derives g'.

Quirks: abs and maximum have derivatives of their own choice at a tie,
so every kink is a `where`, whose derivative is that of the branch
taken. The branch not taken must stay finite: 0 times inf is NaN.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.special import erfc

from tetrapla.spec import Activation


def identity(z: Array) -> Array:
    return z


def sigmoid(z: Array) -> Array:
    e = jnp.exp(jnp.where(z <= 0, z, -z))  # exp(-|z|)
    return jnp.where(z <= 0, e, 1) / (1 + e)


def tanh(z: Array) -> Array:
    return jnp.tanh(z)


def relu(z: Array) -> Array:
    return jnp.where(z <= 0, 0, z)


def softmax(z: Array) -> Array:
    z = z - lax.stop_gradient(z.max(axis=-1, keepdims=True))
    e = jnp.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


def leaky_relu(z: Array, negative_slope: float) -> Array:
    return jnp.where(z <= 0, negative_slope * z, z)


def elu(z: Array, alpha: float) -> Array:
    # the branch not taken must not overflow: expm1 sees z <= 0 only
    e = jnp.expm1(jnp.where(z <= 0, z, 0))
    return jnp.where(z <= 0, alpha * e, z)


def softplus(z: Array) -> Array:
    e = jnp.exp(jnp.where(z <= 0, z, -z))
    return relu(z) + jnp.log1p(e)


def silu(z: Array) -> Array:
    return z * sigmoid(z)


def gelu_erf(z: Array) -> Array:
    # 1 + erf(z / sqrt 2) = erfc(-z / sqrt 2) without cancelling
    return 0.5 * z * erfc(-math.sqrt(0.5) * z)


def gelu_tanh(z: Array) -> Array:
    # beyond 30, tanh(u) is -1 or 1: z^3 need not overflow
    c = jnp.clip(z, -30, 30)
    u = math.sqrt(2 / math.pi) * (c + 0.044715 * c * c * c)
    return z * sigmoid(2 * u)  # (1 + tanh u) / 2 does not cancel so


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


def wide(x: Array) -> Array:
    """Return halves as float32: functions round once, at their end."""
    return x.astype(jnp.float32) if x.dtype.itemsize == 2 else x


def activation(spec: Activation, z: Array) -> Array:
    """Return g(z), for the g that the specification names."""
    a = FUNCTIONS[spec.name](wide(z), **spec.parameters)
    return a.astype(z.dtype)


def activation_gradient(spec: Activation, z: Array, da: Array) -> Array:
    """Return dz = g'(z) da."""
    _, pullback = jax.vjp(partial(activation, spec), z)
    return pullback(da)[0]
