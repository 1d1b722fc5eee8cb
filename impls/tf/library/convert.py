"""From a user's model of Keras to the specification.

`build` goes the other way.
"""

from collections.abc import Callable
from typing import Any

import keras

from tetrapla import spec
from tetrapla.spec import Activation, InvalidInputError

from .layers import leaves

# Keras's words for its functions, and their defaults there
PLAIN: dict[str, Callable[[], Activation]] = {
    "linear": spec.Identity,
    "sigmoid": spec.Sigmoid,
    "tanh": spec.Tanh,
    "relu": spec.ReLU,
    "softmax": spec.Softmax,
    "leaky_relu": lambda: spec.LeakyReLU(0.2),
    "elu": lambda: spec.ELU(1.0),
    "softplus": spec.Softplus,
    "silu": spec.SiLU,
    "gelu": spec.GELUErf,
}


def function(g: Any) -> Activation | None:
    """Return the activation that a function of Keras's is, or None."""
    given = getattr(g, "keywords", {})  # of a functools.partial
    word = getattr(getattr(g, "func", g), "__name__", "")
    if word == "leaky_relu" and "negative_slope" in given:
        return spec.LeakyReLU(given["negative_slope"])
    if word == "gelu" and given.get("approximate"):
        return spec.GELUTanh()
    return PLAIN[word]() if word in PLAIN else None


def named(layer: keras.Layer) -> Activation | None:
    """Return the activation that a layer of Keras's is, or None."""
    match layer:
        case keras.layers.Activation():
            return function(layer.activation)
        case keras.layers.ReLU(max_value=None, negative_slope=0.0):
            return spec.ReLU()
        case keras.layers.LeakyReLU():
            return spec.LeakyReLU(float(layer.negative_slope))
        case keras.layers.ELU():
            return spec.ELU(float(layer.alpha))
        case keras.layers.Softmax():
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
            raise InvalidInputError(f"a {kind} has no specification")
    return spec.Sequential(*layers)
