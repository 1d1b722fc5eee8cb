"""Dense, Dropout and Sequential: forward, and backward by hand.

A layer keeps what its backward pass needs from its last forward pass,
and leaves the gradients of its weights in `weight_grad`, `bias_grad`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla import spec
from tetrapla.spec import Activation

from .activations import activation, activation_gradient
from .random import bernoulli, fold_in

Array = NDArray[Any]
Key = NDArray[np.uint32]


class Dense:
    """a = g(z), z = x W + b."""

    def __init__(
        self, weight: Array, bias: Array, activation: Activation
    ) -> None:
        self.weight = weight  # (inputs, outputs)
        self.bias = bias  # (outputs,)
        self.activation = activation

    # 1. multiply, and add the bias
    def linear(self, x: Array) -> Array:
        self.x = x  # (batch, inputs)
        return x @ self.weight + self.bias  # (batch, outputs)

    # 2. the activation
    def __call__(self, x: Array) -> Array:
        self.z = self.linear(x)
        return activation(self.activation, self.z)

    # 3. the chain rule, from the output back
    def backward(self, da: Array) -> Array:
        self.dz = activation_gradient(self.activation, self.z, da)
        self.weight_grad = self.x.T @ self.dz
        self.bias_grad = self.dz.sum(axis=0)
        return self.dz @ self.weight.T  # dx


class Dropout:
    """a = x / keep where kept, 0 where dropped; without a key, x."""

    def __init__(self, rate: float, place: int) -> None:
        self.keep = 1 - rate
        self.place = place

    # 1. which are kept: the same in every framework
    def mask(
        self, key: Key, shape: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        return bernoulli(fold_in(key, self.place), self.keep, shape)

    # 2. drop the others, and make up for them
    def __call__(self, x: Array, key: Key | None = None) -> Array:
        self.kept = None if key is None else self.mask(key, x.shape)
        if self.kept is None:
            return x
        return np.where(self.kept, x / self.keep, 0).astype(x.dtype)

    # 3. the chain rule: through what was kept
    def backward(self, da: Array) -> Array:
        if self.kept is None:
            return da
        return np.where(self.kept, da / self.keep, 0).astype(da.dtype)


class Sequential:
    """Layers in order; backward, in the opposite order."""

    def __init__(self, layers: list[Dense | Dropout]) -> None:
        self.layers = layers

    def __call__(self, x: Array, key: Key | None = None) -> Array:
        for layer in self.layers:
            if isinstance(layer, Dropout):
                x = layer(x, key)
            else:
                x = layer(x)
        return x

    def backward(self, da: Array) -> Array:
        for layer in reversed(self.layers):
            da = layer.backward(da)
        return da  # dx

    def weights(self) -> dict[str, Array]:
        named: dict[str, Array] = {}
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dense):
                named[f"{i}.weight"] = layer.weight
                named[f"{i}.bias"] = layer.bias
        return named

    def gradients(self) -> dict[str, Array]:
        named: dict[str, Array] = {}
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dense):
                named[f"{i}.weight"] = layer.weight_grad
                named[f"{i}.bias"] = layer.bias_grad
        return named


def sequential(
    net: spec.Sequential,
    weights: dict[str, Array],
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
