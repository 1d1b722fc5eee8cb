"""Numbers that know what they were made of: a value and its size.

`size` is what a running error analysis adds up (Higham, Accuracy and
Stability of Numerical Algorithms, section 3.3): if every rounding on the
way to a value moves it by at most one unit of roundoff u per operation,
and an elementary function by a few (tolerances.ROUNDINGS), a correct
implementation of the same formula is off by at most u * size, to first
order. Where terms cancel, the value is small and the size stays large, so
every element is judged by what was added up to make it, and by nothing
else in its tensor.

Formulas are written over Quantities once and evaluated in any arithmetic.
Sizes need no precision and are float64 always.
"""

from functools import cached_property
from typing import Any

import numpy as np

from tetrapla.parity.arithmetic import Arithmetic, Float64
from tetrapla.parity.tolerances import COEFFICIENT, ROUNDINGS, SATURATED, UNDERFLOW
from tetrapla.spec.contract import Array

Axis = int | tuple[int, ...] | None


class Quantity:
    """An array of values with the size of each; exact while the size is 0."""

    __array_ufunc__ = None  # an ndarray on the left asks __radd__ and so on

    def __init__(self, ar: Arithmetic, value: Any, size: Any = 0.0) -> None:
        self.ar = ar
        self.value = ar.array(value)
        self.size: Array = np.broadcast_to(np.asarray(size, float), self.value.shape)

    @cached_property
    def floats(self) -> Array:
        """The values, rounded to float64."""
        return self.ar.floats(self.value)

    @cached_property
    def magnitude(self) -> Array:
        """The absolute values, in float64."""
        return np.abs(self.floats)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> "Quantity":
        return Quantity(self.ar, self.value[index], self.size[index])

    @property
    def T(self) -> "Quantity":  # noqa: N802 - NumPy's name
        """The transpose."""
        return Quantity(self.ar, self.value.T, self.size.T)

    def _made(self, value: Any, size: Any, roundings: Any = 1) -> "Quantity":
        """Return a result that was rounded itself, or may have been flushed."""
        result = Quantity(self.ar, value)
        own = roundings * result.magnitude + UNDERFLOW * self.ar.tiny / self.ar.unit
        result.size = np.asarray(size + own)
        return result

    def __neg__(self) -> "Quantity":
        return Quantity(self.ar, -self.value, self.size)

    def __abs__(self) -> "Quantity":
        return Quantity(self.ar, abs(self.value), self.size)

    def __add__(self, other: "Number") -> "Quantity":
        b = lift(self.ar, other)
        return self._made(self.value + b.value, self.size + b.size)

    def __sub__(self, other: "Number") -> "Quantity":
        return self + -lift(self.ar, other)

    def __rsub__(self, other: "Number") -> "Quantity":
        return -self + other

    def __mul__(self, other: "Number") -> "Quantity":
        b = lift(self.ar, other)
        size = _times(self.magnitude, b.size) + _times(b.magnitude, self.size)
        return self._made(self.value * b.value, size)

    def __truediv__(self, other: "Number") -> "Quantity":
        b = lift(self.ar, other)
        result = self._made(self.ar.divide(self.value, b.value), 0.0)
        inherited = self.size + _times(result.magnitude, b.size)
        result.size = np.asarray(result.size + inherited / b.magnitude)
        return result

    def __rtruediv__(self, other: "Number") -> "Quantity":
        return lift(self.ar, other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __matmul__(self, other: "Quantity") -> "Quantity":
        a, b = self, other
        terms = a.magnitude @ b.magnitude
        size = a.magnitude @ b.size + a.size @ b.magnitude
        # n products and n - 1 additions in any order: gamma_n |a||b|. The
        # value's own rounding is the last addition's, counted there.
        n = a.shape[-1]
        return self._made(self.ar.matmul(a.value, b.value), size + n * terms, 0)

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> "Quantity":
        """Return the sum, in any order of addition."""
        value = np.sum(self.value, axis=axis, keepdims=keepdims)
        count = self.value.size // max(1, np.size(value))
        sizes = self.size + (count - 1) * self.magnitude
        return Quantity(self.ar, value, np.sum(sizes, axis=axis, keepdims=keepdims))

    def mean(self, axis: Axis = None) -> "Quantity":
        """Return the sum divided by the count."""
        total = self.sum(axis)
        return total / (self.value.size // max(1, total.value.size))

    def apply(self, function: str) -> "Quantity":
        """Return the elementary function, by its name."""
        result = self.ar.array(self.ar.apply(function, self.value))
        x, v = self.floats, self.ar.floats(result)
        with np.errstate(all="ignore"):
            inherited = _inherited(function, x, v, self.size, self.ar.unit)
            gap = _gap(function, x) / self.ar.unit
        # Far out, tanh and erf are exactly 1 in every library.
        roundings = np.where(gap < SATURATED, gap, ROUNDINGS[function])
        return self._made(result, inherited, roundings)


Number = Quantity | float | Array


def _times(a: Array, b: Array) -> Array:
    """Return a * b where 0 * inf is 0: an exact infinity has no error."""
    return np.where((a == 0) | (b == 0), 0.0, a * b)


def _inherited(function: str, x: Array, v: Array, size: Array, unit: float) -> Array:
    """Return the argument's size as it arrives in the result: |f'(x)| size."""
    match function:
        case "exp":
            slope = v
        case "expm1":
            slope = 1 + v
        case "log":
            slope = 1 / np.abs(x)
        case "log1p":
            slope = 1 / np.abs(1 + x)
        case "tanh":
            slope = 1 / np.cosh(x) ** 2
        case "erf" | "erfc":
            slope = 2 / np.sqrt(np.pi) * np.exp(-(x**2))
        case "sqrt":
            # Near 0 the derivative is infinite, but the error is not: that
            # of sqrt(x + d) is at most sqrt(d), with d = unit * size.
            return np.asarray(np.where(size == 0, 0, _root(size, v, unit)))
    return _times(np.abs(slope), size)


def _gap(function: str, x: Array) -> Array:
    """Return 1 - |f(x)|, accurately, for the functions that level off at 1."""
    if function == "tanh":
        return np.asarray(2 / (np.exp(2 * np.abs(x)) + 1))
    if function == "erf":
        return Float64().apply("erfc", np.abs(x))
    return np.ones_like(x)


def _root(size: Array, v: Array, unit: float) -> Array:
    return np.asarray(np.fmin(size / (2 * v), np.sqrt(size / unit)))


def lift(ar: Arithmetic, x: Number) -> Quantity:
    """Return x as a Quantity; a plain number is one a backend rounds once."""
    if isinstance(x, Quantity):
        return x
    value = np.asarray(x, float)
    exact = value.astype(ar.dtype).astype(float) == value
    return Quantity(ar, value, np.where(exact, 0.0, np.abs(value)))


def exact(ar: Arithmetic, x: Any) -> Quantity:
    """Return data: the backend is given the same numbers."""
    return Quantity(ar, np.asarray(x))


def coefficient(value: Quantity) -> Quantity:
    """Return a scalar that backends form in float64 and then round.

    What was lost in float64 is in `value.size`, in units of float64; so a
    coefficient formed in float32 stands out in a float32 run.
    """
    relative = float(np.finfo(np.float64).epsneg) / value.ar.unit
    size = relative * value.size + COEFFICIENT * value.magnitude
    return Quantity(value.ar, value.value, size)


def if_positive(z: Quantity, a: Number, b: Number) -> Quantity:
    """Return a where z > 0 and b elsewhere.

    Where z is not exact and within its own error of 0, either branch is
    right: their distance is part of the size there.
    """
    a, b = lift(z.ar, a), lift(z.ar, b)
    positive = z.value > 0
    value = np.where(positive, a.value, b.value)
    size = np.where(positive, a.size, b.size)
    doubtful = z.magnitude < 4 * z.ar.unit * z.size
    jump = np.where(doubtful, np.abs(a.floats - b.floats), 0.0) / z.ar.unit
    return Quantity(z.ar, value, np.where(doubtful, size + jump, size))


def select(condition: Array, a: Number, b: Quantity) -> Quantity:
    """Return a where the condition holds and b elsewhere: numpy.where."""
    a = lift(b.ar, a)
    return Quantity(
        b.ar,
        np.where(condition, a.value, b.value),
        np.where(condition, a.size, b.size),
    )


def either(stable: Quantity, plain: Quantity) -> Quantity:
    """Return a value in its stable form, with room for the plain form's errors."""
    return Quantity(stable.ar, stable.value, np.maximum(stable.size, plain.size))


def maximum(a: Quantity, b: Number) -> Quantity:
    """Return the larger; its error is at most the larger error."""
    b = lift(a.ar, b)
    larger = np.where(a.value < b.value, b.value, a.value)
    return Quantity(a.ar, larger, np.maximum(a.size, b.size))


def root(v: Quantity) -> Quantity:
    """Return the square root."""
    return v.apply("sqrt")
