"""The oracle: dense layers and dropout (spec/layers.py)."""

from collections.abc import Iterator

from tetrapla.oracle.arithmetic import Arithmetic
from tetrapla.oracle.bounded import (
    Bounded,
    cast,
    given,
    product,
    select,
    side_by_side,
    zero_beside,
)
from tetrapla.oracle.optimizers import one_minus
from tetrapla.spec import threefry
from tetrapla.spec.contract import Array
from tetrapla.spec.layers import Dropout

BLOCK = 2**18  # elements: some tens of temporaries of this size live at once


def linear(x: Bounded, weight: Bounded | Array, bias: Bounded | Array) -> Bounded:
    """Return z = x W + b, (batch, outputs)."""
    return columns(x, weight, bias)


def columns(x: Bounded, y: Bounded | Array, plus: Bounded | Array | None = None) -> Bounded:
    """Return x y + plus, a few columns at a time: y may be large data."""
    parts = []
    for j in chunks(y.shape[1], max(1, 4 * BLOCK // y.shape[0])):
        more = None if plus is None else added(x.ar, plus[j])
        parts.append(product(x, _lifted(x.ar, y[:, j]), more))
    return side_by_side(parts)


def _lifted(ar: Arithmetic, x: Bounded | Array) -> Bounded:
    return x if isinstance(x, Bounded) and x.ar is ar else cast(ar, x)


def added(ar: Arithmetic, bias: Bounded | Array) -> Bounded:
    """Return a bias, which may be rounded to the dtype of data before it is added."""
    if isinstance(bias, Bounded):
        return _lifted(ar, bias)
    return cast(ar, given(ar.wide, bias))


def chunks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that make up n."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def mask(layer: Dropout, place: int, key: threefry.Key, shape: tuple[int, ...]) -> Array:
    """Return which elements are kept."""
    return threefry.bernoulli(threefry.fold_in(key, place), 1 - layer.rate, shape)


def dropped(layer: Dropout, kept: Array, a: Bounded) -> Bounded:
    """Return a / (1 - rate) where kept and 0 elsewhere."""
    scaled = a / one_minus(a.ar, layer.rate) if layer.rate else a
    return select(kept, scaled, zero_beside(a))
