"""Activations a = g(z) as functions of jax.nn; jax.vjp derives g'.

Quirks: jax.nn.gelu is the tanh form unless told otherwise; its slope is
NaN where z^3 overflows. leaky_relu's slope at 0 is 1, that of z >= 0.
sigmoid's is a (1 - a), in float32 0 from z = 17 on. softplus's is
exp(z - a), as far off as z is large.
"""

from collections.abc import Callable
from functools import cache, partial

import jax
from jax import Array, nn

from tetrapla.spec import Activation

Function = Callable[[Array], Array]


def identity() -> Function:
    return nn.identity


def sigmoid() -> Function:
    return nn.sigmoid


def tanh() -> Function:
    return nn.tanh


def relu() -> Function:
    return nn.relu


def softmax() -> Function:
    return nn.softmax


def leaky_relu(negative_slope: float) -> Function:
    return partial(nn.leaky_relu, negative_slope=negative_slope)


def elu(alpha: float) -> Function:
    return partial(nn.elu, alpha=alpha)


def softplus() -> Function:
    return nn.softplus


def silu() -> Function:
    return nn.silu


def gelu_erf() -> Function:
    return partial(nn.gelu, approximate=False)


def gelu_tanh() -> Function:
    return partial(nn.gelu, approximate=True)


FUNCTIONS: dict[str, Callable[..., Function]] = {
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


@cache  # the same object again: jit knows a static function by identity
def function(spec: Activation) -> Function:
    """Return jax.nn's function of the specification's g."""
    return FUNCTIONS[spec.name](**spec.parameters)


def activation(spec: Activation, z: Array) -> Array:
    """Return g(z)."""
    return function(spec)(z)


def activation_gradient(spec: Activation, z: Array, da: Array) -> Array:
    """Return dz = g'(z) da."""
    _, pullback = jax.vjp(function(spec), z)
    return pullback(da)[0]
