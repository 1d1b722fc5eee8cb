"""Layers, and networks made of them.

Weights are a flat dictionary keyed by the layer's place in the network:
"0.weight" (inputs, outputs), "0.bias" (outputs,), "2.weight" ... Every
layer counts as a place, a Dropout too; an activation belongs to its layer.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import activations, checks, threefry
from tetrapla.spec.activations import Activation
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.initializers import Initializer, initializer

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Layer:
    """Base of the layers; not a layer itself."""

    name: ClassVar[str]


@dataclass(frozen=True, init=False)
class Dense(Layer):
    """a = g(z), z = x W + b.

    Shapes: x (batch, inputs), W (inputs, outputs), b (outputs,),
    z and a (batch, outputs).

    Gradients, with dz = g'(z) da: dW = x^T dz, db = sum over the batch of
    dz, dx = dz W^T.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016),
    sections 6.1 and 6.5.4 (algorithms 6.3 and 6.4).

    >>> Dense(2, 3, "relu")
    Dense(inputs=2, outputs=3, activation=ReLU(), ...)
    """

    inputs: int
    outputs: int
    activation: Activation
    weight_init: Initializer
    bias_init: Initializer
    name: ClassVar[str] = "dense"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: Activation | str = "identity",
        *,
        weight_init: Initializer | str = "glorot_uniform",
        bias_init: Initializer | str = "zeros",
    ) -> None:
        settle = object.__setattr__
        settle(self, "inputs", checks.integer("inputs", inputs, 1))
        settle(self, "outputs", checks.integer("outputs", outputs, 1))
        settle(self, "activation", activations.activation(activation))
        settle(self, "weight_init", initializer(weight_init))
        settle(self, "bias_init", initializer(bias_init))


def activated(layer: Layer, g: Activation) -> Dense:
    """Return a dense layer with the activation that follows it.

    >>> activated(Dense(2, 3), activations.ReLU()).activation
    ReLU()
    """
    if isinstance(g, activations.Identity) and isinstance(layer, Dense):
        return layer
    if not isinstance(layer, Dense) or layer.activation != activations.Identity():
        raise InvalidInputError(
            f"an activation follows a Dense without one; got {g!r} after {layer!r}"
        )
    return Dense(
        layer.inputs,
        layer.outputs,
        g,
        weight_init=layer.weight_init,
        bias_init=layer.bias_init,
    )


@dataclass(frozen=True)
class Dropout(Layer):
    """In training a = x / (1 - rate) where kept and 0 where dropped.

    Inverted dropout: in evaluation a = x. The mask of the layer at place
    i is uniform(fold_in(key, i), shape of x) < float32(1 - rate), with the
    shared float32 draws whatever the backend's dtype.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov,
    Dropout: a simple way to prevent neural networks from overfitting
    (JMLR 2014), section 10 for the inverted form.
    """

    rate: float
    name: ClassVar[str] = "dropout"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", checks.fraction("rate", self.rate))


@dataclass(frozen=True, init=False)
class Sequential:
    """Layers applied in order: each layer's output is the next one's input.

    >>> net = Sequential(Dense(2, 3, "relu"), Dropout(0.5), Dense(3, 1))
    >>> net.shapes
    {'0.weight': (2, 3), '0.bias': (3,), '2.weight': (3, 1), '2.bias': (1,)}
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        for place, layer in enumerate(layers):
            if not isinstance(layer, Dense | Dropout):
                raise InvalidInputError(
                    f"layer {place} must be a Dense or a Dropout, got {layer!r}"
                )
        dense = [(i, x) for i, x in enumerate(layers) if isinstance(x, Dense)]
        if not dense:
            raise InvalidInputError("a Sequential needs at least one Dense layer")
        for (i, before), (j, after) in pairwise(dense):
            if before.outputs != after.inputs:
                raise InvalidInputError(
                    f"layer {i} has {before.outputs} outputs but layer {j} "
                    f"expects {after.inputs} inputs"
                )
        object.__setattr__(self, "layers", tuple(layers))

    @property
    def dense(self) -> dict[int, Dense]:
        """The Dense layers by their place."""
        return {i: x for i, x in enumerate(self.layers) if isinstance(x, Dense)}

    @property
    def inputs(self) -> int:
        """The width of the network's input."""
        return next(iter(self.dense.values())).inputs

    @property
    def outputs(self) -> int:
        """The width of the network's output."""
        return list(self.dense.values())[-1].outputs

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight, by name, in order."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, layer in self.dense.items():
            shapes[f"{i}.weight"] = (layer.inputs, layer.outputs)
            shapes[f"{i}.bias"] = (layer.outputs,)
        return shapes

    def stages(self, *, dropout: bool = False) -> list[str]:
        """Return the names of all stages in the order of computation.

        Forward, loss, and backward from the last layer; a Dropout layer has
        a mask where `dropout` is on.

        >>> Sequential(Dense(2, 1)).stages()[:3]
        ['0.z', '0.a', 'loss']
        """
        forward: list[str] = []
        backward: list[str] = []
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dense):
                forward += [f"{i}.z", f"{i}.a"]
                gradients = ["da", "dz", "weight.grad", "bias.grad"]
            else:
                forward += [f"{i}.mask", f"{i}.a"] if dropout else [f"{i}.a"]
                gradients = ["da"]
            backward = [f"{i}.{name}" for name in gradients] + backward
        return [*forward, "loss", *backward, "input.grad"]

    def init(self, seed: int = 0) -> Weights:
        """Return initial weights, float32, the same bits on every machine.

        The weight of layer i is drawn under fold_in(fold_in(fold_in(
        key(seed), INIT), i), 0), its bias under the same with a final 1;
        float64 backends widen the float32 values.

        >>> net = Sequential(Dense(2, 1))
        >>> net.init(seed=0)["0.weight"].dtype
        dtype('float32')
        """
        stream = threefry.fold_in(threefry.key(seed), threefry.INIT)
        weights: Weights = {}
        for i, layer in self.dense.items():
            key = threefry.fold_in(stream, i)
            w_key, b_key = threefry.fold_in(key, 0), threefry.fold_in(key, 1)
            n, m = layer.inputs, layer.outputs
            w = layer.weight_init.draw(w_key, n, m)
            b = layer.bias_init.draw(b_key, 1, m).reshape(m)
            weights[f"{i}.weight"] = w.astype(np.float32)
            weights[f"{i}.bias"] = b.astype(np.float32)
        return weights
