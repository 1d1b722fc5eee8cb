"""Dense, Dropout and Sequential as keras's own layers.

keras.layers.Dense keeps its kernel as (inputs, outputs), as the
specification does. keras.Sequential counts an activation as a layer of
its own; the specification counts it to its layer.

Quirks: a layer's dtype is float32, or the user's, unless it is given,
to Input too. Initializers draw seeds from Python's random when they are
made: "zeros" does not, and leaves the user's stream alone. Dropout does
too, where it is not given one: that of `build`, which is the user's.

Halves are each layer's dtype policy ("mixed_bfloat16"), never the
global one: its variables are float32, and cast where it uses them. The
bias is added in halves, so its gradient is a sum of halves, in halves.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tetrapla import spec
from tetrapla.spec import InvalidInputError

from ..random import bernoulli, fold_in
from .activations import module


class Dropout(keras.layers.Dropout):
    """keras.layers.Dropout with the shared mask: that of `key`, if any.

    Keras draws its own masks, from a seed that each layer counts up.
    """

    def __init__(self, rate: float, place: int, **how: Any) -> None:
        super().__init__(rate, seed=place, **how)
        self.place = place
        self.key: tf.Tensor | None = None

    def mask(self, key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        return bernoulli(fold_in(key, self.place), 1 - self.rate, shape)

    def call(
        self, inputs: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        if self.key is None:
            return inputs
        mask = self.mask(self.key, tf.shape(inputs))
        return tf.where(mask, inputs / (1 - self.rate), 0)


def dense(
    weight: tf.Tensor, bias: tf.Tensor, **how: Any
) -> keras.layers.Dense:
    inputs, outputs = weight.shape
    layer = keras.layers.Dense(
        outputs, kernel_initializer="zeros", **how
    )
    layer.build((None, inputs))
    layer.kernel.assign(weight)  # (inputs, outputs)
    layer.bias.assign(bias)
    return layer


def sequential(
    net: spec.Sequential,
    weights: dict[str, tf.Tensor],
    shared: bool = False,
    policy: str | None = None,
) -> keras.Sequential:
    """Return the network of the specification, with these weights.

    Dropout is Keras's own, or with `shared` that of the shared masks.
    It computes by the policy, or without one in the weights' dtype.
    """
    dtype = next(iter(weights.values())).dtype.name
    each = keras.dtype_policies.get(policy or dtype)
    data = each.compute_dtype
    modules = [keras.Input((net.inputs,), dtype=data)]
    for i, layer in enumerate(net.layers):
        how = {"dtype": each, "name": f"{layer.name}_{i}"}
        if isinstance(layer, spec.Dense):
            w, b = weights[f"{i}.weight"], weights[f"{i}.bias"]
            modules.append(dense(w, b, **how))
            g = layer.activation
            if not isinstance(g, spec.Identity):
                how["name"] = f"{g.name}_{i}"
                modules.append(module(g, **how))
        elif isinstance(layer, spec.Dropout) and shared:
            modules.append(Dropout(layer.rate, i, **how))
        elif isinstance(layer, spec.Dropout):
            modules.append(keras.layers.Dropout(layer.rate, **how))
    return keras.Sequential(modules)


def leaves(model: keras.Model) -> list[keras.Layer]:
    """Return the layers inside, those of models inside in place."""
    found: list[keras.Layer] = []
    for layer in model.layers:
        inside = isinstance(layer, keras.Model)
        found += leaves(layer) if inside else [layer]
    return found


def places(
    model: keras.Model,
) -> Iterator[tuple[int, keras.Layer]]:
    """Yield each layer with the place of the one it belongs to."""
    place = -1
    for layer in leaves(model):
        if isinstance(layer, keras.layers.Dense | keras.layers.Dropout):
            place += 1
        yield place, layer


def parameters(model: keras.Model) -> dict[str, keras.Variable]:
    """Return Keras's variables, by the weights' names."""
    if not model.built:
        raise InvalidInputError("the model is not built yet")
    named = {}
    for i, layer in places(model):
        if isinstance(layer, keras.layers.Dense):
            if not layer.use_bias:
                raise InvalidInputError("a Dense without a bias")
            named[f"{i}.weight"] = layer.kernel
            named[f"{i}.bias"] = layer.bias
    return named
