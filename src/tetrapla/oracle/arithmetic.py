"""Two arithmetics for the oracle: NumPy's float64, and double-double.

A backend is judged by an arithmetic that rounds far less than it does:
float32 by float64, float64 by pairs of float64 (doubledouble.py). Formulas
are written once, over the functions named here.

`unit`, `tiny` and `largest` belong to the dtype that is judged: the unit
roundoff, the smallest normal number and the largest finite one. `flushed` is
what a number below `tiny` may lose: all it has, where a backend may flush
subnormal numbers to 0, and one spacing in float16, of which none does. `sums` is
what one addition of a sum or a matrix product may be off by, and `operands`
what a number loses on its way into a matrix product. `wide` judges what is
kept in a wider dtype: weights, optimizer, loss. `accuracy`
and `product_accuracy` are the arithmetic's own: what one operation may be
off by, relative to its result, and a matrix product relative to |x| |y|.
The oracle charges them to every bound, so that its own rounding is never
laid at a backend's door.

`habits` are the forms of the libraries that the specification does not
accept, by name (habits.py): none, unless `admitting` says so.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Protocol

import numpy as np

from tetrapla.oracle import doubledouble as dd
from tetrapla.spec.contract import Array
from tetrapla.spec.precisions import limits, precision


class Arithmetic(Hashable, Protocol):
    """What a formula may use beside + - * / and comparisons."""

    dtype: str
    unit: float
    sums: float
    operands: float
    tiny: float
    flushed: float
    largest: float
    accuracy: float
    spacing: float  # absolute, of what is below `coarse`
    coarse: float
    lost: float  # of a matrix product, beside the largest elements of row and column
    bounds: bool  # without them, all errors are 0: for values alone
    habits: frozenset[str]
    gpu: bool  # whose primitives have budgets of their own
    wide: "Arithmetic"

    def product_accuracy(self, n: int) -> float:
        """Return the error of a product of inner length n over |x| |y|."""

    def array(self, x: Any) -> Any:
        """Return x, exactly, as an array of this arithmetic."""

    def floats(self, x: Any) -> Array:
        """Return x rounded to float64."""

    def where(self, condition: Array, x: Any, y: Any) -> Any:
        """Return x where the condition holds and y elsewhere."""

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """Return the arrays side by side, along the last axis."""

    def matmul(self, x: Any, y: Any) -> Any:
        """Return the matrix product of two matrices."""

    def apply(self, function: str, x: Any) -> Any:
        """Return exp, expm1, log, log1p, tanh, erf, erfc or sqrt of x."""

    def pi(self) -> Any:
        """Return pi, a scalar."""


def _by_element(function: Callable[[float], float]) -> Callable[[Array], Array]:
    ufunc: Callable[[Array], Array] = np.frompyfunc(function, 1, 1)
    return ufunc


_NUMPY: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "erf": _by_element(math.erf),
    "erfc": _by_element(math.erfc),
    "sqrt": np.sqrt,
}


# A tensor core cuts where IEEE arithmetic rounds, the terms of a sum to the
# place of the largest of them and then the sum: two cuts of twice the unit
# for an addition (Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of
# NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021, section 3).
CUT = 2.0**-22
# What flushes subnormal numbers on a CPU, MXCSR, is not asked where a float16 is
# made or read (Intel SDM, VCVTPS2PH and VCVTPH2PS), nor is CUDA's ftz.
KEPT = "float16"
# TF32 has 10 bits of fraction; what a number has beyond may be cut off.
TF32 = 2.0**-10


class _Judged:
    """The numbers of the mode that is judged (spec/precisions.py)."""

    def __init__(
        self,
        mode: str,
        bounds: bool = True,
        habits: frozenset[str] = frozenset(),
        gpu: bool = False,
    ) -> None:
        kinds = precision(mode)
        found = limits(kinds.data)
        self.bounds = bounds
        self.habits = habits
        self.gpu = gpu
        self.dtype = kinds.data
        self.unit = found.unit
        self.tiny = found.tiny
        self.flushed = found.least if kinds.data == KEPT else found.tiny
        self.largest = found.largest
        self.sums, self.operands = self.unit, 0.0
        if kinds.mixed:
            self.sums = CUT
        elif mode == "tf32":
            self.sums, self.operands = CUT, TF32
        self.wide: Any = self
        if mode != kinds.weights:
            self.wide = _judge(kinds.weights, habits, gpu)


class Float64(_Judged):
    """NumPy's float64; erf and erfc, which NumPy lacks, from `math`."""

    accuracy = 2.0**-50  # NumPy's functions stay within 4 ULP
    spacing = coarse = 0.0  # what float32 may hold is far above
    lost = 0.0

    def product_accuracy(self, n: int) -> float:
        return n * 2.0**-52

    def array(self, x: Any) -> Array:
        return np.asarray(x, np.float64)

    def floats(self, x: Any) -> Array:
        return np.asarray(x)

    def where(self, condition: Array, x: Any, y: Any) -> Array:
        return np.asarray(np.where(condition, x, y))

    def concatenate(self, parts: Sequence[Any]) -> Array:
        return np.concatenate(parts, axis=-1)

    def matmul(self, x: Array, y: Array) -> Array:
        result: Array = x @ y
        return result

    def apply(self, function: str, x: Array) -> Array:
        return np.asarray(_NUMPY[function](x), np.float64)

    def pi(self) -> Array:
        return np.asarray(np.pi)


class Pairs(_Judged):
    """Double-double: about 100 bits."""

    accuracy = dd.ACCURACY
    spacing, coarse = 2.0**-1073, 2.0**-960
    lost = 2.0**-990  # dd.matmul cuts elements into slices of their row's scale

    def product_accuracy(self, n: int) -> float:
        return 2.0**-60

    def array(self, x: Any) -> dd.DoubleDouble:
        if isinstance(x, dd.DoubleDouble):
            return x
        return dd.DoubleDouble(np.asarray(x, np.float64))

    def floats(self, x: dd.DoubleDouble) -> Array:
        return x.floats()

    def where(self, condition: Array, x: Any, y: Any) -> dd.DoubleDouble:
        return dd.where(condition, x, y)

    def concatenate(self, parts: Sequence[Any]) -> dd.DoubleDouble:
        heads, tails = zip(*(x.parts for x in parts), strict=True)
        return dd.DoubleDouble(np.concatenate(heads, -1), np.concatenate(tails, -1))

    def matmul(self, x: dd.DoubleDouble, y: dd.DoubleDouble) -> dd.DoubleDouble:
        return dd.matmul(x, y)

    def apply(self, function: str, x: dd.DoubleDouble) -> dd.DoubleDouble:
        applied: dd.DoubleDouble = getattr(dd, function)(x)
        return applied

    def pi(self) -> dd.DoubleDouble:
        return dd.pi()


_admitted: ContextVar[frozenset[str]] = ContextVar("habits", default=frozenset())


@contextmanager
def admitting(habits: Iterable[str]) -> Iterator[None]:
    """Let what is judged here have these habits of the libraries."""
    before = _admitted.set(frozenset(habits))
    try:
        yield
    finally:
        _admitted.reset(before)


def judge(dtype: str, device: str = "cpu") -> Arithmetic:
    """Return the arithmetic that judges the data of a backend of the dtype."""
    return _judge(dtype, _admitted.get(), device != "cpu")


@cache  # the same object each time: what is computed with it is kept
def _judge(dtype: str, habits: frozenset[str], gpu: bool) -> Arithmetic:
    kind = Pairs if dtype == "float64" else Float64
    return kind(dtype, habits=habits, gpu=gpu)
