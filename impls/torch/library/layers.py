"""Dense, Dropout and Sequential as torch.nn's own modules.

nn.Linear keeps its weight as (outputs, inputs), the transpose of the
specification's. nn.Sequential counts an activation as a place of its
own; the specification counts it to its layer.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tetrapla import spec
from tetrapla.spec import InvalidInputError

from ..random import bernoulli, fold_in
from .activations import module


class Dropout(nn.Dropout):
    """nn.Dropout with the shared mask: that of `key`, if there is one.

    torch draws its own masks from its own generator.
    """

    def __init__(self, rate: float, place: int) -> None:
        super().__init__(rate)
        self.place = place
        self.key: Tensor | None = None
        self.drawn: Tensor | None = (
            None  # a mask, by who has it already
        )

    def mask(self, key: Tensor, shape: tuple[int, ...]) -> Tensor:
        return bernoulli(fold_in(key, self.place), 1 - self.p, shape)

    def forward(self, x: Tensor) -> Tensor:
        if self.key is None:
            return x
        mask = self.drawn
        if mask is None:
            mask = self.mask(self.key, x.shape)
        return torch.where(mask, x / (1 - self.p), 0)


def dense(weight: Tensor, bias: Tensor) -> nn.Linear:
    outputs, inputs = weight.T.shape
    layer = nn.utils.skip_init(
        nn.Linear,
        inputs,
        outputs,
        dtype=weight.dtype,
        device=weight.device,
    )
    with torch.no_grad():
        layer.weight.copy_(weight.T)  # (outputs, inputs)
        layer.bias.copy_(bias)
    return layer


def sequential(
    net: spec.Sequential,
    weights: dict[str, Tensor],
    shared: bool = False,
) -> nn.Sequential:
    """Return the network of the specification, with these weights.

    Dropout is torch's own, or with `shared` that of the shared masks.
    """
    modules: list[nn.Module] = []
    for i, layer in enumerate(net.layers):
        if isinstance(layer, spec.Dense):
            w, b = weights[f"{i}.weight"], weights[f"{i}.bias"]
            modules.append(dense(w, b))
            if not isinstance(layer.activation, spec.Identity):
                modules.append(module(layer.activation))
        elif isinstance(layer, spec.Dropout) and shared:
            modules.append(Dropout(layer.rate, i))
        elif isinstance(layer, spec.Dropout):
            modules.append(nn.Dropout(layer.rate))
    return nn.Sequential(*modules)


def leaves(model: nn.Module) -> list[nn.Module]:
    """Return the modules inside, in the order of their registration.

    One that is registered twice, a ReLU say, is there twice.
    """
    every = model.named_modules(remove_duplicate=False)
    return [m for _, m in every if not list(m.children())]


def places(model: nn.Module) -> Iterator[tuple[int, nn.Module]]:
    """Yield each module with the place of the layer it belongs to."""
    place = -1
    for child in leaves(model):
        if isinstance(child, nn.Linear | nn.Dropout):
            place += 1
        yield place, child


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return torch's parameters, by the weights' names."""
    named: dict[str, Tensor] = {}
    for i, child in places(model):
        if isinstance(child, nn.Linear):
            if child.bias is None:
                raise InvalidInputError("a Linear without a bias")
            if any(child.weight is w for w in named.values()):
                raise InvalidInputError("a Linear that is used twice")
            named[f"{i}.weight"] = child.weight
            named[f"{i}.bias"] = child.bias
    return named


def transposed(tensor: Tensor) -> Tensor:
    """Return a weight as (inputs, outputs), a bias as it is."""
    return tensor.T if tensor.ndim == 2 else tensor
