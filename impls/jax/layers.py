"""Dense, Dropout and Sequential as Flax NNX modules: pytrees."""

import jax.numpy as jnp
from flax import nnx
from jax import Array

from tetrapla import spec
from tetrapla.spec import Activation

from .activations import activation
from .masks import Masks
from .precision import in_own_precision
from .random import bernoulli, fold_in


class Dense(nnx.Module):
    """a = g(z), z = x W + b."""

    def __init__(
        self, weight: Array, bias: Array, activation: Activation
    ) -> None:
        self.weight = nnx.Param(weight)  # (inputs, outputs)
        self.bias = nnx.Param(bias)  # (outputs,)
        self.activation = activation

    # 1. multiply, and add the bias
    def linear(self, x: Array) -> Array:  # (batch, inputs)
        return x @ self.weight + self.bias  # (batch, outputs)

    # 2. the activation
    def __call__(self, x: Array) -> Array:
        return activation(self.activation, self.linear(x))


class Dropout(nnx.Module):
    """a = x / keep where kept, 0 where dropped; without a key, x."""

    def __init__(self, rate: float, place: int) -> None:
        self.keep = 1 - rate
        self.place = place

    # 1. which are kept: the same in every framework
    def mask(self, key: Array, shape: tuple[int, ...]) -> Array:
        if isinstance(key, Masks):  # as fast.py has drawn it
            return key[self.place]
        return bernoulli(fold_in(key, self.place), self.keep, shape)

    # 2. drop the others, and make up for them
    def __call__(self, x: Array, key: Array | None = None) -> Array:
        if key is None:
            return x
        return jnp.where(self.mask(key, x.shape), x / self.keep, 0)


class Sequential(nnx.Module):
    """Layers in order."""

    def __init__(self, layers: list[Dense | Dropout]) -> None:
        self.layers = nnx.List(layers)

    @in_own_precision
    def __call__(self, x: Array, key: Array | None = None) -> Array:
        for layer in self.layers:
            if isinstance(layer, Dropout):
                x = layer(x, key)
            else:
                x = layer(x)
        return x

    def weights(self) -> dict[str, Array]:
        named = {}
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dense):
                named[f"{i}.weight"] = layer.weight[...]
                named[f"{i}.bias"] = layer.bias[...]
        return named

    def load(self, weights: dict[str, Array]) -> None:
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dense):
                layer.weight[...] = weights[f"{i}.weight"]
                layer.bias[...] = weights[f"{i}.bias"]


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
