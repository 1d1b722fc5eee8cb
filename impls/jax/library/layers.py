"""Dense, Dropout and Sequential as Flax NNX's own modules.

nnx.Linear keeps its weight as (inputs, outputs), as the specification
does. nnx.Sequential counts an activation as a place of its own; the
specification counts it to its layer.

Quirks: nnx.Linear computes in the common dtype of input and weights,
which jax lowers to float32 outside its float64 scope. nnx.Dropout draws
in the precision of that scope: float64 draws make other masks.

Halves are nnx.Linear's `dtype`, beside a `param_dtype` of float32. It
rounds x W and adds the bias in that dtype, so the bias's gradient is a
sum in it, which XLA adds up in halves on a CPU.
"""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from tetrapla import spec

from ..masks import Masks
from ..precision import in_own_precision
from ..random import bernoulli, fold_in
from .activations import function


class Dropout(nnx.Dropout):
    """nnx.Dropout with the shared mask: that of the key in `rngs`.

    Flax draws its own masks from its own stream.
    """

    def __init__(self, rate: float, place: int) -> None:
        super().__init__(rate)
        self.place = place

    def mask(self, key: Array, shape: tuple[int, ...]) -> Array:
        if isinstance(key, Masks):  # as fast.py has drawn it
            return key[self.place]
        return bernoulli(fold_in(key, self.place), 1 - self.rate, shape)

    def __call__(
        self,
        inputs: Array,
        *,
        deterministic: bool | None = None,
        rngs: Any = None,
    ) -> Array:
        if rngs is None:
            return inputs
        mask = self.mask(rngs, inputs.shape)
        return jnp.where(mask, inputs / (1 - self.rate), 0)


class Sequential(nnx.Sequential):
    """nnx.Sequential, in the precision of its weights everywhere."""

    def __call__(
        self, *args: Any, rngs: Any = None, **kwargs: Any
    ) -> Any:
        return self.call(args, kwargs | {"rngs": rngs})

    @in_own_precision
    def call(self, args: Any, kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)


def dense(
    weight: Array, bias: Array, rngs: nnx.Rngs, dtype: Any = None
) -> nnx.Linear:
    return nnx.Linear(
        *weight.shape,
        dtype=dtype,
        param_dtype=weight.dtype,
        kernel_init=nnx.initializers.constant(weight),
        bias_init=nnx.initializers.constant(bias),
        rngs=rngs,  # these initializers draw nothing
    )


def sequential(
    net: spec.Sequential,
    weights: dict[str, Array],
    shared: bool = False,
    dtype: Any = None,
) -> Sequential:
    """Return the network of the specification, with these weights.

    It computes in the dtype, or without one in that of its weights.

    Dropout is Flax's own, off until model.train(), or with `shared`
    that of the shared masks.
    """
    layers: list[Any] = []
    rngs = nnx.Rngs(0)
    for i, layer in enumerate(net.layers):
        if isinstance(layer, spec.Dense):
            w, b = weights[f"{i}.weight"], weights[f"{i}.bias"]
            layers.append(dense(w, b, rngs, dtype))
            if not isinstance(layer.activation, spec.Identity):
                layers.append(function(layer.activation))
        elif isinstance(layer, spec.Dropout) and shared:
            layers.append(Dropout(layer.rate, i))
        elif isinstance(layer, spec.Dropout):
            own = nnx.Dropout(layer.rate, deterministic=True, rngs=rngs)
            layers.append(own)
    return Sequential(*layers)


def leaves(model: Any) -> list[Any]:
    """Return the modules and functions inside, in their order."""
    inside: list[Any]
    if isinstance(model, nnx.Sequential):
        inside = list(model.layers)
    elif isinstance(model, nnx.List | list):
        inside = list(model)
    elif isinstance(model, nnx.Linear | nnx.Dropout):
        return [model]
    elif isinstance(model, nnx.Module):
        kinds = nnx.Module | nnx.List | list
        inside = [
            x for x in vars(model).values() if isinstance(x, kinds)
        ]
    else:
        return [model]
    return [leaf for child in inside for leaf in leaves(child)]


def places(model: nnx.Sequential) -> Iterator[tuple[int, Any]]:
    """Yield each child with the place of the layer it belongs to."""
    place = -1
    for child in model.layers:
        if isinstance(child, nnx.Linear | nnx.Dropout):
            place += 1
        yield place, child


def named(model: nnx.Sequential, state: nnx.State) -> dict[str, Any]:
    """Return what a state of Flax's parameters holds, by our names."""
    names = {}
    for j, (i, child) in enumerate(places(model)):
        if isinstance(child, nnx.Linear):
            names[f"{i}.weight"] = state["layers"][j]["kernel"]
            names[f"{i}.bias"] = state["layers"][j]["bias"]
    return names


def parameters(model: nnx.Sequential) -> dict[str, Any]:
    """Return Flax's parameters, by the weights' names."""
    return named(model, nnx.state(model, nnx.Param))
