"""The oracle: dense layers and dropout (spec/layers.py)."""

from tetrapla.oracle.bounded import Bounded, exact, product, select
from tetrapla.oracle.optimizers import one_minus
from tetrapla.spec import threefry
from tetrapla.spec.contract import Array
from tetrapla.spec.layers import Dropout


def linear(x: Bounded, weight: Bounded, bias: Bounded) -> Bounded:
    """Return z = x W + b, (batch, outputs)."""
    return product(x, weight, bias)


def mask(layer: Dropout, place: int, key: threefry.Key, shape: tuple[int, ...]) -> Array:
    """Return which elements are kept."""
    return threefry.bernoulli(threefry.fold_in(key, place), 1 - layer.rate, shape)


def dropped(layer: Dropout, kept: Array, a: Bounded) -> Bounded:
    """Return a / (1 - rate) where kept and 0 elsewhere."""
    scaled = a / one_minus(a.ar, layer.rate) if layer.rate else a
    return select(kept, scaled, exact(a.ar, a.floats * 0))
