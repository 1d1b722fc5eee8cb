"""Dense, Dropout and Sequential as torch modules.

The weight is (inputs, outputs), the transpose of torch.nn.Linear's.
"""

import torch
from torch import Tensor, nn

from tetrapla import spec
from tetrapla.spec import Activation

from .activations import activation
from .random import bernoulli, fold_in


class Dense(nn.Module):
    """a = g(z), z = x W + b."""

    def __init__(
        self, weight: Tensor, bias: Tensor, activation: Activation
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # (inputs, outputs)
        self.bias = nn.Parameter(bias)  # (outputs,)
        self.activation = activation

    # 1. multiply, and add the bias
    def linear(self, x: Tensor) -> Tensor:  # (batch, inputs)
        return x @ self.weight + self.bias  # (batch, outputs)

    # 2. the activation
    def forward(self, x: Tensor) -> Tensor:
        return activation(self.activation, self.linear(x))


class Dropout(nn.Module):
    """a = x / keep where kept, 0 where dropped; without a key, x."""

    def __init__(self, rate: float, place: int) -> None:
        super().__init__()
        self.keep = 1 - rate
        self.place = place

    # 1. which are kept: the same in every framework
    def mask(self, key: Tensor, shape: tuple[int, ...]) -> Tensor:
        return bernoulli(fold_in(key, self.place), self.keep, shape)

    # 2. drop the others, and make up for them
    def forward(self, x: Tensor, key: Tensor | None = None) -> Tensor:
        if key is None:
            return x
        return torch.where(self.mask(key, x.shape), x / self.keep, 0)


class Sequential(nn.Module):
    """Layers in order."""

    def __init__(self, layers: list[Dense | Dropout]) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            self.add_module(str(i), layer)

    def forward(self, x: Tensor, key: Tensor | None = None) -> Tensor:
        for layer in self.children():
            if isinstance(layer, Dropout):
                x = layer(x, key)
            else:
                x = layer(x)
        return x

    def weights(self) -> dict[str, Tensor]:
        return dict(self.named_parameters())  # "0.weight", "0.bias" ...


def sequential(
    net: spec.Sequential,
    weights: dict[str, Tensor],
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
