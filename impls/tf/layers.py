"""Dense, Dropout and Sequential as tf.Module classes.

The weight is (inputs, outputs), as a Keras layer's kernel.
"""

import tensorflow as tf

from tetrapla import spec
from tetrapla.spec import Activation

from .activations import activation
from .random import bernoulli, fold_in


class Dense(tf.Module):
    """a = g(z), z = x W + b."""

    def __init__(
        self,
        weight: tf.Tensor,
        bias: tf.Tensor,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.weight = tf.Variable(weight)  # (inputs, outputs)
        self.bias = tf.Variable(bias)  # (outputs,)
        self.activation = activation

    # 1. multiply, and add the bias
    def linear(self, x: tf.Tensor) -> tf.Tensor:  # (batch, inputs)
        return x @ self.weight + self.bias  # (batch, outputs)

    # 2. the activation
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return activation(self.activation, self.linear(x))


class Dropout(tf.Module):
    """a = x / keep where kept, 0 where dropped; without a key, x."""

    def __init__(self, rate: float, place: int) -> None:
        super().__init__()
        self.keep = 1 - rate
        self.place = place

    # 1. which are kept: the same in every framework
    def mask(self, key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        return bernoulli(fold_in(key, self.place), self.keep, shape)

    # 2. drop the others, and make up for them
    def __call__(
        self, x: tf.Tensor, key: tf.Tensor | None = None
    ) -> tf.Tensor:
        if key is None:
            return x
        return tf.where(self.mask(key, tf.shape(x)), x / self.keep, 0)


class Sequential(tf.Module):
    """Layers in order."""

    def __init__(self, layers: list[Dense | Dropout]) -> None:
        super().__init__()
        self.layers = layers

    def __call__(
        self, x: tf.Tensor, key: tf.Tensor | None = None
    ) -> tf.Tensor:
        for layer in self.layers:
            if isinstance(layer, Dropout):
                x = layer(x, key)
            else:
                x = layer(x)
        return x

    def weights(self) -> dict[str, tf.Variable]:
        named = {}
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dense):
                named[f"{i}.weight"] = layer.weight
                named[f"{i}.bias"] = layer.bias
        return named


def sequential(
    net: spec.Sequential,
    weights: dict[str, tf.Tensor],
    dense: type[Dense] = Dense,
) -> Sequential:
    """Return the network of the specification, with these weights."""
    layers: list[Dense | Dropout] = []
    for i, layer in enumerate(net.layers):
        if isinstance(layer, spec.Dense):
            w, b = weights[f"{i}.weight"], weights[f"{i}.bias"]
            layers.append(dense(w, b, layer.activation))
        elif isinstance(layer, spec.Dropout):
            layers.append(Dropout(layer.rate, i))
    return Sequential(layers)
