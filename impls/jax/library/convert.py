"""From a user's model of Flax NNX to the specification.

`build` goes the other way.
"""

from functools import partial
from typing import Any

from flax import nnx
from jax import nn

from tetrapla import spec
from tetrapla.spec import Activation, InvalidInputError

from .layers import leaves

PLAIN: list[tuple[Any, type[Activation]]] = [
    (nn.identity, spec.Identity),
    (nn.sigmoid, spec.Sigmoid),
    (nn.tanh, spec.Tanh),
    (nnx.tanh, spec.Tanh),
    (nn.relu, spec.ReLU),
    (nn.softmax, spec.Softmax),
    (nn.softplus, spec.Softplus),
    (nn.silu, spec.SiLU),
]


def named(function: Any) -> Activation | None:
    """Return the activation that a function of jax.nn is, or None."""
    given = {}
    if isinstance(function, partial):
        function, given = function.func, function.keywords
    if function is nn.leaky_relu:
        return spec.LeakyReLU(given.get("negative_slope", 0.01))
    if function is nn.elu:
        return spec.ELU(given.get("alpha", 1.0))
    if function is nn.gelu:
        exact = not given.get("approximate", True)
        return spec.GELUErf() if exact else spec.GELUTanh()
    known = (kind() for g, kind in PLAIN if g is function)
    return next(known, None)


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
            raise InvalidInputError(f"{child} has no specification")
    return spec.Sequential(*layers)
