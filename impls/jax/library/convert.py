"""From a user's model of Flax NNX to the specification.

`build` goes the other way.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

from flax import nnx
from jax import nn

from tetrapla import spec
from tetrapla.spec import Activation, InvalidInputError

from .layers import leaves


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    return spec.LeakyReLU(negative_slope)


def elu(alpha: float = 1.0) -> Activation:
    return spec.ELU(alpha)


def gelu(approximate: bool = True) -> Activation:
    return spec.GELUTanh() if approximate else spec.GELUErf()


# jax.nn's functions, with their arguments and defaults
KNOWN: list[tuple[Any, Callable[..., Activation]]] = [
    (nn.identity, spec.Identity),
    (nn.sigmoid, spec.Sigmoid),
    (nn.tanh, spec.Tanh),
    (nnx.tanh, spec.Tanh),
    (nn.relu, spec.ReLU),
    (nn.softmax, spec.Softmax),
    (nn.leaky_relu, leaky_relu),
    (nn.elu, elu),
    (nn.softplus, spec.Softplus),
    (nn.silu, spec.SiLU),
    (nn.gelu, gelu),
]


def named(function: Any) -> Activation | None:
    """Return the activation that a function of jax.nn is, or None."""
    given: dict[str, Any] = {}
    if isinstance(function, partial):
        function, given = function.func, function.keywords
    for known, make in KNOWN:
        if known is function:
            taken = set(signature(make).parameters)
            return make(**given) if set(given) <= taken else None
    return None


def dense(layer: nnx.Linear) -> spec.Dense:
    """Return the specification of one layer."""
    return spec.Dense(layer.in_features, layer.out_features)


def network(model: nnx.Module) -> spec.Sequential:
    """Return the specification of a network of Flax's own modules."""
    if not isinstance(model, nnx.Sequential):
        raise InvalidInputError(
            f"what a {type(model).__name__} does with its modules is "
            "in its __call__: give net, or an nnx.Sequential"
        )
    layers: list[spec.Layer] = []
    for child in leaves(model):
        g = named(child)
        if isinstance(child, nnx.Linear):
            layers.append(dense(child))
        elif isinstance(child, nnx.Dropout):
            layers.append(spec.Dropout(child.rate))
        elif g is not None and layers:
            layers[-1] = spec.activated(layers[-1], g)
        else:
            raise InvalidInputError(f"{child} has no counterpart")
    return spec.Sequential(*layers)
