"""Two arithmetics for the reference: NumPy's float64, and 40 digits of mpmath.

A backend is judged by an arithmetic that rounds far less than it does:
float32 backends by float64, float64 backends by mpmath on NumPy arrays of
objects (long double is not float64's superior everywhere). Formulas are
written once, over the functions named here.

`unit` and `tiny` are not the arithmetic's own but those of the dtype that it
judges: the unit roundoff and the smallest normal number.
"""

import math
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import mpmath  # type: ignore[import-untyped]
import numpy as np

from tetrapla.spec.contract import Array

DIGITS = 40  # float64 has 16: what the reference rounds off is invisible


class Arithmetic(Hashable, Protocol):
    """What a formula may use; arrays in, arrays out, element by element."""

    dtype: str
    unit: float
    tiny: float

    def array(self, x: Any) -> Array:
        """Return x, exactly, as an array of this arithmetic."""

    def floats(self, x: Array) -> Array:
        """Return x rounded to float64."""

    def divide(self, x: Array, y: Array) -> Array:
        """Return x / y, as IEEE 754 has it where y is 0."""

    def matmul(self, x: Array, y: Array) -> Array:
        """Return the matrix product."""

    def apply(self, function: str, x: Array) -> Array:
        """Return exp, expm1, log, log1p, tanh, erf, erfc or sqrt of x."""

    def pi(self) -> Array:
        """Return pi, a scalar array."""


def _by_element(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
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


class Float64:
    """NumPy's float64; erf and erfc, which NumPy lacks, from `math`."""

    def __init__(self, dtype: str = "float32") -> None:
        self.dtype = dtype
        self.unit = float(np.finfo(dtype).epsneg)
        self.tiny = float(np.finfo(dtype).smallest_normal)

    def array(self, x: Any) -> Array:
        return np.asarray(x, np.float64)

    def floats(self, x: Array) -> Array:
        return np.asarray(x, np.float64)

    def divide(self, x: Array, y: Array) -> Array:
        return self.array(x / y)

    def matmul(self, x: Array, y: Array) -> Array:
        return self.array(x @ y)

    def apply(self, function: str, x: Array) -> Array:
        return self.array(_NUMPY[function](x))

    def pi(self) -> Array:
        return self.array(np.pi)


class Extended:
    """mpmath's numbers in NumPy arrays of objects; no global state changed.

    Exponents are unbounded: nothing overflows or underflows on the way.
    """

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = dtype
        self.unit = float(np.finfo(dtype).epsneg)
        self.tiny = float(np.finfo(dtype).smallest_normal)
        self._context = mpmath.MPContext()
        self._context.dps = DIGITS
        self._lift = np.frompyfunc(self._context.mpf, 1, 1)
        self._divide = np.frompyfunc(self._divide_one, 2, 1)

    def array(self, x: Any) -> Array:
        x = np.asarray(x)
        if x.dtype != object:
            with np.errstate(invalid="ignore"):  # NaN is a number here too
                x = self._lift(x.astype(np.float64).astype(object))
        return np.asarray(x, object)

    def floats(self, x: Array) -> Array:
        return np.asarray(x, object).astype(np.float64)

    def divide(self, x: Array, y: Array) -> Array:
        return np.asarray(self._divide(x, y), object)

    def _divide_one(self, x: Any, y: Any) -> Any:
        if y != 0:
            return x / y
        if x == 0 or x != x:
            return self._context.nan
        return self._context.inf if x > 0 else self._context.ninf

    def matmul(self, x: Array, y: Array) -> Array:
        # Exact, in integers of a common exponent per matrix: ten times as
        # fast as mpmath's multiply-add, and rounded once, at the end.
        left, right = self._scaled(x), self._scaled(y)
        if left is None or right is None:
            return np.asarray(x @ y, object)
        (a, i), (b, j) = left, right
        shift = i + j
        rounded = np.frompyfunc(lambda n: self._context.mpf((n, shift)), 1, 1)
        return np.asarray(rounded(a @ b), object)

    def _scaled(self, x: Array) -> tuple[Array, int] | None:
        """Return integers n and an exponent e with x = n 2^e, or None."""
        if any(not self._context.isfinite(v) for v in x.flat):
            return None
        pairs = [(v < 0, *map(int, v.man_exp)) for v in x.flat]
        exponents = [e for _, m, e in pairs if m] or [0]
        low = min(exponents)
        if max(exponents) - low > 4096:  # bits: such integers would be slower
            return None
        numbers = np.empty(len(pairs), object)
        numbers[:] = [(-abs(m) if s else abs(m)) << max(e - low, 0) for s, m, e in pairs]
        return numbers.reshape(x.shape), low

    def apply(self, function: str, x: Array) -> Array:
        of_one = getattr(self._context, function)
        return np.asarray(_by_element(of_one)(x), object)

    def pi(self) -> Array:
        return self.array(np.asarray(+self._context.pi, object))


def judge(dtype: str) -> Arithmetic:
    """Return the arithmetic that judges backends of the dtype."""
    return JUDGES[dtype]


JUDGES: dict[str, Arithmetic] = {"float32": Float64(), "float64": Extended()}
