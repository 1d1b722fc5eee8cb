"""From a user's model of Keras to the specification.

`build` goes the other way.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import keras

from tetrapla import spec
from tetrapla.spec import Activation, InvalidInputError

from .layers import leaves


def leaky_relu(negative_slope: float = 0.2) -> Activation:
    return spec.LeakyReLU(negative_slope)


def elu(alpha: float = 1.0) -> Activation:
    return spec.ELU(alpha)


def gelu(approximate: bool = False) -> Activation:
    return spec.GELUTanh() if approximate else spec.GELUErf()


# Keras's functions, with their arguments and defaults
KNOWN: list[tuple[Any, Callable[..., Activation]]] = [
    (keras.activations.linear, spec.Identity),
    (keras.activations.sigmoid, spec.Sigmoid),
    (keras.activations.tanh, spec.Tanh),
    (keras.activations.relu, spec.ReLU),
    (keras.activations.softmax, spec.Softmax),
    (keras.activations.leaky_relu, leaky_relu),
    (keras.activations.elu, elu),
    (keras.activations.softplus, spec.Softplus),
    (keras.activations.silu, spec.SiLU),
    (keras.activations.gelu, gelu),
]


def function(g: Any) -> Activation | None:
    """Return the activation that a function of Keras's is, or None."""
    given: dict[str, Any] = {}
    if isinstance(g, partial):
        g, given = g.func, g.keywords
    for known, make in KNOWN:
        if known is g:
            taken = set(signature(make).parameters)
            return make(**given) if set(given) <= taken else None
    return None


def named(layer: keras.Layer) -> Activation | None:
    """Return the activation that a layer of Keras's is, or None."""
    match layer:
        case keras.layers.Activation():
            return function(layer.activation)
        case keras.layers.ReLU(
            max_value=None, negative_slope=0.0, threshold=0.0
        ):
            return spec.ReLU()
        case keras.layers.LeakyReLU():
            return spec.LeakyReLU(float(layer.negative_slope))
        case keras.layers.ELU():
            return spec.ELU(float(layer.alpha))
        case keras.layers.Softmax(axis=-1):
            return spec.Softmax()
        case keras.layers.Identity():
            return spec.Identity()
    return None


def dense(layer: keras.layers.Dense) -> spec.Dense:
    """Return the specification of one layer."""
    g = function(layer.activation)
    if g is None:
        word = layer.activation
        raise InvalidInputError(f"{word} has no specification")
    inputs, outputs = layer.kernel.shape
    return spec.Dense(inputs, outputs, g)


def network(model: keras.Model) -> spec.Sequential:
    """Return the specification of a network of Keras's own layers."""
    if not isinstance(model, keras.Sequential):
        raise InvalidInputError(
            f"what a {type(model).__name__} does with its layers is "
            "in its call: give net, or a keras.Sequential"
        )
    layers: list[spec.Layer] = []
    for child in leaves(model):
        g = named(child)
        if isinstance(child, keras.layers.Dense):
            layers.append(dense(child))
        elif isinstance(child, keras.layers.Dropout):
            layers.append(spec.Dropout(child.rate))
        elif g is not None and layers:
            layers[-1] = spec.activated(layers[-1], g)
        elif not isinstance(child, keras.layers.Flatten):
            kind = type(child).__name__
            raise InvalidInputError(f"a {kind} has no counterpart")
    return spec.Sequential(*layers)
