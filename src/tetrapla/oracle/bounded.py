"""Numbers with a bound: an exact value, and how far a computed one may be.

A `Bounded` stands for every number that a correct implementation may hold
at one place of a formula: all within `error` of `value`. Each operation
takes operands that are anywhere within their own bounds, rounds as the
dtype does (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
sections 2.2 and 3.3: running error analysis, with its second-order terms),
and may flush a result below the normal numbers to zero. Where operands
cancel, the value is small and the bound stays large, so every element is
judged by what was added up to make it, and by nothing else in its tensor.

`likely` is the same with sqrt(n) in place of n for sums of n terms (Higham
and Mary, A new approach to probabilistic rounding error analysis, SIAM J.
Sci. Comput. 41, 2019): reported, never decisive.

Formulas are written over Bounded once and evaluated in any arithmetic.
Bounds need no precision and are float64 always.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tetrapla.oracle import habits, overflow
from tetrapla.oracle.arithmetic import Arithmetic, Float64
from tetrapla.oracle.budgets import SATURATED, roundings
from tetrapla.spec.contract import Array
from tetrapla.spec.precisions import numpy_dtype

Axis = int | tuple[int, ...] | None

# Higham and Mary's lambda: a sum exceeds its likely bound with a probability
# below 2 n exp(-lambda^2 / 2), 1e-10 for n = 1000.
LAMBDA = 8.0


def gamma(n: int, unit: float) -> float:
    """Return gamma_n = n u / (1 - n u), for n roundings in a row."""
    return n * unit / (1 - n * unit)


def likely_gamma(n: int, unit: float) -> float:
    """Return Higham and Mary's gamma_n with sqrt(n), or gamma_n if that is less."""
    return min(gamma(n, unit), float(np.expm1(LAMBDA * np.sqrt(n) * unit + n * unit**2)))


# Infinities and NaN are answers here, and no reason to warn.
quietly = np.errstate(all="ignore")


class Bounded:
    """An array of exact values, each with a bound on a computed one's error."""

    __array_ufunc__ = None  # an ndarray on the left asks __radd__ and so on

    # What no computed number of these is below, whatever the bound says.
    least: Array | float = 0.0

    def __init__(
        self, ar: Arithmetic, value: Any, error: Any = 0.0, likely: Any = None
    ) -> None:
        self.ar = ar
        self.value = ar.array(value)
        self.error: Array = _like(error, self.value.shape)
        self.likely: Array = self.error
        if likely is not None and likely is not error:
            self.likely = _like(likely, self.value.shape)
        self.became: Array | None = None  # where an operation before may have overflowed

    @cached_property
    def floats(self) -> Array:
        """The values, rounded to float64."""
        return self.ar.floats(self.value)

    @cached_property
    def magnitude(self) -> Array:
        """The absolute values, in float64."""
        return np.abs(self.floats)

    @property
    def doubtful(self) -> Array:
        """Where a computed number may be 0, or have the other sign, and be inexact."""
        return (self.error > 0) & (self.magnitude <= self.error)

    @cached_property
    def infinite(self) -> Array | None:
        """Where a computed number may be infinite though the exact one is not."""
        beyond = self.magnitude + self.error > self.ar.largest
        if not beyond.any():  # the usual case; NaN is not greater
            return self.became
        beyond &= np.isfinite(self.magnitude)
        return beyond if self.became is None else beyond | self.became

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.value.shape
        return shape

    def __len__(self) -> int:
        return len(self.value)

    def _each(self, pick: Callable[[Any], Any]) -> "Bounded":
        likely = None if self.likely is self.error else pick(self.likely)
        result = Bounded(self.ar, pick(self.value), pick(self.error), likely)
        result.became = None if self.became is None else pick(self.became)
        return result

    def _with(self, value: Any) -> "Bounded":
        """Return other values with the same bounds."""
        likely = None if self.likely is self.error else self.likely
        result = Bounded(self.ar, value, self.error, likely)
        result.became = self.became
        return result

    def __getitem__(self, index: Any) -> "Bounded":
        return self._each(lambda x: x[index])

    @property
    def T(self) -> "Bounded":  # noqa: N802 - NumPy's name
        """The transpose."""
        return self._each(lambda x: x.T)

    def __neg__(self) -> "Bounded":
        return self._with(-self.value)

    def __abs__(self) -> "Bounded":
        return self._with(abs(self.value))

    def __add__(self, other: "Number") -> "Bounded":
        b = lift(self.ar, other)
        return _result("+", self.value + b.value, (self, b), np.add)

    def __sub__(self, other: "Number") -> "Bounded":
        b = lift(self.ar, other)
        return _result("-", self.value - b.value, (self, b), np.add)

    def __rsub__(self, other: "Number") -> "Bounded":
        return lift(self.ar, other) - self

    @quietly
    def __mul__(self, other: "Number") -> "Bounded":
        b = lift(self.ar, other)

        value = self.value * b.value

        def inherited(x: Array, y: Array) -> Array:
            moved = times(self.magnitude + x, y) + times(b.magnitude, x)
            return _of_infinity(moved, value, (self.magnitude > x) & (b.magnitude > y))

        return _result("*", value, (self, b), inherited)

    def square(self) -> "Bounded":
        """Return the product with itself, or what pow(x, 2) makes of it."""
        return _result("square", self.value * self.value, (self,), self._squared)

    def _squared(self, x: Array) -> Array:
        return times(2 * self.magnitude + x, x)

    @quietly
    def __truediv__(self, other: "Number") -> "Bounded":
        b = lift(self.ar, other)
        value = self.value / b.value

        def inherited(x: Array, y: Array) -> Array:
            # |x^/y^ - x/y| <= (|dx| + |x/y| |dy|) / (|y| - |dy|)
            quotient = np.abs(self.ar.floats(value))
            nearest = np.maximum(b.magnitude - y, b.least)
            moved = x + times(quotient, y)
            bound = np.where(nearest > 0, moved / nearest, np.inf)
            known = (nearest > 0) | (y == 0)  # the divisor's sign, or that it is 0
            bound = np.where((moved == 0) & known, 0.0, bound)
            return _of_infinity(bound, value, (self.magnitude > x) & known)

        return _result("/", value, (self, b), inherited)

    def __rtruediv__(self, other: "Number") -> "Bounded":
        return lift(self.ar, other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __matmul__(self, other: "Bounded") -> "Bounded":
        return product(self, other)

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> "Bounded":
        """Return the sum, in any order of addition."""
        value = self.value.sum(axis=axis, keepdims=keepdims)
        count = self.value.size // max(1, value.size)

        def total(x: Array) -> Array:
            return np.asarray(np.sum(x, axis=axis, keepdims=keepdims))

        def bound(error: Array, gamma_n: float) -> Array:
            # an infinity is not rounded
            terms = total(np.where(np.isinf(self.magnitude), 0.0, self.magnitude) + error)
            # Partial sums may be subnormal by cancellation: in vain beside
            # gamma_n unless the terms are small.
            tiny = self.ar.wide.tiny  # of halves too, which are widened
            small = (terms < tiny * count / self.ar.sums) & (terms > 0)
            own = self.ar.accuracy * count
            error = total(error) + (gamma_n + own) * terms
            error = error + np.where(small, (count - 1) * tiny, 0.0)
            error = _narrowed(self.ar, value, error)
            # Or infinite, though the sum is not.
            return np.asarray(np.where(terms > self.ar.largest, np.inf, error))

        unit = self.ar.sums
        grown, likely_grown = gamma(count - 1, unit), likely_gamma(count - 1, unit)
        if habits.HALF_SUMS in self.ar.habits and self.ar.wide.dtype != self.ar.dtype:
            grown = likely_grown = float(np.expm1(count * np.log1p(self.ar.unit)))
        error = bound(self.error, grown)
        likely = error
        if count > 1 or self.likely is not self.error:
            likely = bound(self.likely, likely_grown)
        if self.infinite is not None:  # a sum with an infinity may be anything
            lost = np.any(self.infinite, axis=axis, keepdims=keepdims)
            error, likely = (np.where(lost, np.inf, e) for e in (error, likely))
        if np.isinf(self.error).any():
            lost = np.any(np.isinf(self.error), axis=axis, keepdims=keepdims)
            error, likely = (np.where(lost, np.inf, e) for e in (error, likely))
        return Bounded(self.ar, value, error, likely)

    def mean(self, axis: Axis = None) -> "Bounded":
        """Return the sum divided by the count."""
        total = self.sum(axis)
        count: int = self.value.size // max(1, total.value.size)
        return total / count

    @quietly
    def apply(self, function: str) -> "Bounded":
        """Return the elementary function of the argument, by its name."""
        value = self.ar.array(self.ar.apply(function, self.value))
        x, f = self.floats, self.ar.floats(value)
        budget: Any = roundings(function, self.ar.dtype, x, gpu=self.ar.gpu)
        if function in _GAPS:  # far out, tanh and erf are exactly 1 in every library
            gap = _GAPS[function](x)
            saturated = gap < SATURATED * self.ar.unit
            budget = np.where(saturated, 2 * gap / self.ar.unit, budget)
        moved = _MOVED[function]
        return _result(function, value, (self,), lambda dx: moved(x, f, dx), budget)


Number = Bounded | float | Array


def _like(x: Any, shape: tuple[int, ...]) -> Array:
    """Return x as a float64 array of the shape; a view where it can be."""
    x = np.asarray(x, float)
    return x if x.shape == shape else np.broadcast_to(x, shape)


def times(a: Array, b: Array) -> Array:
    """Return a * b where 0 * inf is 0: an exact infinity has no error."""
    result = np.asarray(a * b)
    if np.isnan(result).any():
        result = np.where((a == 0) | (b == 0), 0.0, result)
    return result


def _of_infinity(moved: Array, value: Any, certain: Array) -> Array:
    """Return 0 for a result that is infinite wherever in its bounds an operand is."""
    if np.isfinite(moved).all():
        return moved
    return np.where(certain & (abs(value) == np.inf), 0.0, moved)


def _result(
    name: str,
    value: Any,
    operands: tuple[Bounded, ...],
    inherited: Callable[..., Array],
    budget: Any = None,
) -> Bounded:
    """Return what an operation makes of operands anywhere within their bounds.

    `inherited` returns how far the exact operation moves when the operands
    move by their errors; `budget` is in roundings, by default that of its
    name.
    """
    ar = operands[0].ar
    if budget is None:
        budget = roundings(name, ar.dtype, gpu=ar.gpu)
    result = Bounded(ar, value)
    if not ar.bounds:
        return result
    relative = budget * ar.unit + ar.accuracy
    rounds = result.magnitude
    infinite = np.isinf(rounds)
    if infinite.any():  # an infinity is not rounded
        rounds = np.where(infinite, 0.0, rounds)

    def bound(moved: Array) -> Array:
        error = moved + relative * (rounds + moved)
        if ar.spacing:  # the low parts of very small pairs are subnormal
            coarse = (result.magnitude > 0) & (result.magnitude < ar.coarse)
            if coarse.any():
                error = error + np.where(coarse, ar.spacing, 0.0)
        small = result.magnitude - error < ar.tiny
        if small.any():  # a computed result may be flushed to 0
            error = error + np.where(
                small & (result.magnitude + error > 0), ar.flushed, 0.0
            )
        return _like(error, result.shape)

    result.error = result.likely = bound(inherited(*(x.error for x in operands)))
    if any(x.likely is not x.error for x in operands):
        result.likely = bound(inherited(*(x.likely for x in operands)))
    if any(x.infinite is not None for x in operands):
        _overflow(name, operands, result)
    if not np.isfinite(result.magnitude + result.error).all():
        _unknown(name, operands, result)
    return result


def _unknown(name: str, operands: tuple[Bounded, ...], result: Bounded) -> None:
    """Claim nothing where an operand is unknown, or the oracle itself overflowed.

    An infinity made of finite numbers is the oracle's own overflow, unless
    by a division by 0 or a logarithm of 0.
    """
    unknown = np.zeros(result.shape, bool)
    finite = np.isinf(result.magnitude)
    for x in operands:
        unknown = unknown | np.isinf(x.error)
        finite = finite & np.isfinite(x.magnitude)
    if name == "/":
        finite = finite & (operands[1].magnitude > 0)
    if name not in ("log", "log1p"):
        unknown = unknown | finite
    result.error = _like(np.where(unknown, np.inf, result.error), result.shape)
    result.likely = _like(np.where(unknown, np.inf, result.likely), result.shape)


def _overflow(name: str, operands: tuple[Bounded, ...], result: Bounded) -> None:
    """Widen a result some of whose operands may be infinite (overflow.py)."""
    outcome = overflow.of_operation(
        name,
        tuple(
            overflow.Operand(
                x.floats,
                x.error,
                np.zeros(x.shape, bool) if x.infinite is None else x.infinite,
            )
            for x in operands
        ),
        result.floats,
    )
    same = result.likely is result.error
    lost = np.isnan(result.error + outcome.error) & ~np.isnan(result.floats)
    outcome = outcome._replace(error=np.where(lost, np.inf, outcome.error))
    result.error = np.where(lost, np.inf, result.error)
    result.error = _like(result.error + outcome.error, result.shape)
    result.likely = result.error if same else result.likely + outcome.error
    result.became = np.broadcast_to(outcome.infinite, result.shape)


def product(a: Bounded, b: Bounded, plus: Bounded | None = None) -> Bounded:
    """Return a b, or a b + plus, added up in any order.

    A product takes part in at most as many additions as there are other
    terms: gamma_n |a| |b| (Higham, section 3.1), plus gamma_(n-1) |plus|.
    """
    ar, n = a.ar, a.shape[-1]
    value = multiplied = ar.matmul(a.value, b.value)
    units = 2 if habits.CUT_PRODUCTS in ar.habits else 1
    if plus is not None:
        value = value + plus.value
    exact = not (a.error.any() or b.error.any())
    terms = a.magnitude @ b.magnitude
    count = n + (plus is not None)
    cut = ar.operands * (2 + ar.operands)  # both of a product's, at worst
    # What the oracle's own product loses of a row beside its largest element.
    lost = ar.lost * n * np.outer(a.magnitude.max(1), b.magnitude.max(0))
    if habits.HALF_PRODUCTS in ar.habits and ar.wide.dtype != ar.dtype:
        cut = cut + ar.unit
        lost = lost + n * ar.unit * ar.tiny  # of subnormal products

    def bound(x: Array, y: Array, p: Any, gamma_n: float, gamma_p: float) -> Array:
        moved, reach = np.zeros(()), terms
        if not exact:
            moved = a.magnitude @ y + x @ (b.magnitude + y)
            reach = terms + moved
        tiny = ar.wide.tiny  # of halves too, which are added up wider
        flushed = np.where((reach < n * tiny / ar.sums) & (reach > 0), n * tiny, 0.0)
        own = ar.product_accuracy(n) + ar.accuracy
        error = moved + (gamma_n + cut * (1 + gamma_n) + own) * reach + flushed + lost
        # A partial sum may be infinite though the whole is not.
        error = np.where(reach > ar.largest, np.inf, error)
        error = _narrowed(ar, multiplied, error, units)
        if plus is not None:
            error = error + p + (gamma_p + ar.accuracy) * (plus.magnitude + p)
            error = _narrowed(ar, value, error)
        return np.asarray(error)

    p_error = 0.0 if plus is None else plus.error
    p_likely = 0.0 if plus is None else plus.likely
    error = bound(a.error, b.error, p_error, gamma(count, ar.sums), gamma(n, ar.sums))
    likely = bound(
        a.likely,
        b.likely,
        p_likely,
        likely_gamma(count, ar.sums),
        likely_gamma(n, ar.sums),
    )
    unknown = [
        x.infinite.any(axis=axis, keepdims=True)
        for x, axis in ((a, 1), (b, 0))
        if x.infinite is not None
    ]
    if plus is not None and plus.infinite is not None:
        unknown.append(plus.infinite)
    wild = [~np.isfinite(x.magnitude + x.error) for x in (a, b)]
    if any(w.any() for w in wild):  # given as they are, or the outcome of an overflow
        # Beside a given infinity, another term may overflow to the other one.
        finite = (np.where(np.isfinite(x.magnitude), x.magnitude, 0.0) for x in (a, b))
        unknown.append(np.matmul(*finite) > ar.largest)
        # And a number that may be flushed, times infinity, is NaN.
        unknown.append(np.isinf(a.magnitude) @ b.doubtful)
        unknown.append(a.doubtful @ np.isinf(b.magnitude))
    for x, w, axis in ((a, wild[0], 1), (b, wild[1], 0)):
        unknown.append((w & (x.error != 0)).any(axis=axis, keepdims=True))
        # Else the result is infinite, and an infinity is not rounded.
        endless = np.isinf(x.magnitude).any(axis=axis, keepdims=True)
        error, likely = (np.where(endless, 0.0, e) for e in (error, likely))
    for mask in unknown:  # rare: an infinity among the terms
        error, likely = np.where(mask, np.inf, error), np.where(mask, np.inf, likely)
    return Bounded(ar, value, error, likely)


def _narrowed(ar: Arithmetic, value: Any, error: Array, units: int = 1) -> Array:
    """Return the error of a sum in a wider dtype once it is rounded to its own."""
    if ar.wide.dtype == ar.dtype:
        return error
    return np.asarray(error + units * _rounded(ar, np.abs(ar.floats(value)), error))


def _rounded(ar: Arithmetic, magnitude: Array, error: Array) -> Array:
    """Return what one rounding to the dtype adds to an error."""
    reach = np.where(np.isinf(magnitude), 0.0, magnitude) + error
    small = (magnitude - error < ar.tiny) & (reach > 0)
    return np.asarray(ar.unit * reach + np.where(small, ar.flushed, 0.0))


def cast(ar: Arithmetic, x: "Bounded | Array") -> Bounded:
    """Return x in another dtype: data as it is rounded, computed numbers in bounds."""
    if not isinstance(x, Bounded):
        with np.errstate(over="ignore"):
            rounded = np.asarray(x).astype(numpy_dtype(ar.dtype))
        result = given(ar, rounded.astype(np.float64))
        if habits.NO_CASTS in ar.habits:
            left = np.abs(result.value - np.asarray(x, np.float64))
            result.error = result.likely = result.error + left
        return result
    if x.ar.dtype == ar.dtype or ar.unit < x.ar.unit:  # the same, or wider
        result = Bounded(ar, ar.array(x.value), x.error, x.likely)
        result.became = x.infinite
        return result
    error = x.error + _rounded(ar, x.magnitude, x.error)
    likely = x.likely + _rounded(ar, x.magnitude, x.likely)
    result = Bounded(ar, x.value, error, likely)
    result.became = x.became
    return result


def side_by_side(parts: Sequence[Bounded]) -> Bounded:
    """Return the parts along the last axis."""
    if len(parts) == 1:
        return parts[0]
    ar = parts[0].ar
    value = ar.concatenate([x.value for x in parts])
    error = np.concatenate([x.error for x in parts], axis=-1)
    return Bounded(ar, value, error, np.concatenate([x.likely for x in parts], axis=-1))


def _moved_exp(x: Array, f: Array, dx: Array) -> Array:
    # exp(x) (exp(dx) - 1), where exp(x) may have vanished beside exp(x + dx)
    return np.where(dx < 1, f * np.expm1(np.minimum(dx, 1.0)), np.exp(x + dx))


def _moved_sqrt(x: Array, f: Array, dx: Array) -> Array:
    # Near 0 the slope is infinite, but the move is not: at most sqrt(dx).
    low = np.maximum(x - dx, 0.0)
    return np.where(dx == 0, 0.0, np.where(dx < x, dx / (f + np.sqrt(low)), np.sqrt(dx)))


def _moved_log(x: Array, f: Array, dx: Array) -> Array:
    return np.where(dx == 0, 0.0, np.where(dx < x, -np.log1p(-dx / x), np.inf))


def _moved_erf(x: Array, f: Array, dx: Array) -> Array:
    nearest = np.maximum(np.abs(x) - dx, 0.0)
    return times(2 / np.sqrt(np.pi) * np.exp(-(nearest**2)), dx)


# How far f(x) moves when x moves by at most dx: f = f(x) is given too.
_MOVED: dict[str, Callable[[Array, Array, Array], Array]] = {
    "exp": _moved_exp,
    "expm1": lambda x, f, dx: _moved_exp(x, f + 1, dx),
    "log": _moved_log,
    "log1p": lambda x, f, dx: _moved_log(1 + x, f, dx),
    "tanh": lambda x, f, dx: times(1 / np.cosh(np.maximum(np.abs(x) - dx, 0)) ** 2, dx),
    "erf": _moved_erf,
    "erfc": _moved_erf,
    "sqrt": _moved_sqrt,
}

# 1 - |f(x)|, accurately, for the functions that level off at 1.
_GAPS: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda x: 2 / (np.exp(2 * np.abs(x)) + 1),
    "erf": lambda x: Float64("float64").apply("erfc", np.abs(x)),
}


def lift(ar: Arithmetic, x: Number) -> Bounded:
    """Return x as a Bounded; a plain number is one a backend rounds once."""
    if isinstance(x, Bounded):
        return x
    value = np.asarray(x, float)
    magnitude = np.abs(value)
    with np.errstate(over="ignore"):
        rounded = value.astype(numpy_dtype(ar.dtype)).astype(float) != value
    error = ar.unit * magnitude * rounded
    if habits.FLOAT32_NUMBERS in ar.habits:
        error = np.abs(value.astype(np.float32).astype(float) - value)
    small = magnitude < ar.tiny  # and flushed, if it is subnormal
    if small.any():
        error = np.where(small, np.minimum(magnitude, ar.flushed), error)
    return Bounded(ar, value, error)


def given(ar: Arithmetic, x: Any) -> Bounded:
    """Return data: a backend has the same numbers, or 0 for what it flushes."""
    value = np.asarray(x, np.float64)
    magnitude = np.abs(value)
    small = (magnitude < ar.tiny) & (ar.flushed == ar.tiny)
    return Bounded(ar, value, np.where(small, magnitude, 0.0) if small.any() else 0.0)


def exact(ar: Arithmetic, x: Any) -> Bounded:
    """Return numbers that no implementation rounds or flushes."""
    return Bounded(ar, x)


def coefficient(*forms: Bounded) -> Bounded:
    """Return a scalar that backends form in float64 and round once.

    Each form's error is what float64 loses on the way; the last rounding is
    the dtype's own.
    """
    c = widest(*forms)
    return Bounded(c.ar, c.value, c.error + c.ar.unit * (c.magnitude + c.error))


def if_positive(z: Bounded, a: Number, b: Number) -> Bounded:
    """Return a where z > 0 and b elsewhere.

    Where z may lie on either side of 0 within its own bound, either branch
    is right, and their distance joins the bound: there and nowhere else.
    """
    a, b = lift(z.ar, a), lift(z.ar, b)
    positive = z.value > 0
    value = z.ar.where(positive, a.value, b.value)
    error = np.where(positive, a.error, b.error)
    likely = np.where(positive, a.likely, b.likely)
    doubtful = z.doubtful
    if doubtful.any():
        jump = np.where(doubtful, np.abs(a.floats - b.floats), 0.0)
        error = np.where(doubtful, np.maximum(a.error, b.error) + jump, error)
        likely = np.where(doubtful, np.maximum(a.likely, b.likely) + jump, likely)
    result = Bounded(z.ar, value, error, likely)
    result.became = _either(positive, a, b)
    return result


def select(condition: Array, a: Number, b: Bounded) -> Bounded:
    """Return a where the condition holds and b elsewhere: numpy.where."""
    a = lift(b.ar, a)
    result = Bounded(
        b.ar,
        b.ar.where(condition, a.value, b.value),
        np.where(condition, a.error, b.error),
        np.where(condition, a.likely, b.likely),
    )
    result.became = _either(condition, a, b)
    return result


def _either(condition: Array, a: Bounded, b: Bounded) -> Array | None:
    """Return where the chosen one may be infinite."""
    if a.became is None and b.became is None:
        return None
    masks = (np.zeros(x.shape, bool) if x.became is None else x.became for x in (a, b))
    return np.where(condition, *masks)


def unclaimed(x: Bounded, where: Array) -> Bounded:
    """Return x, of which nothing is claimed at these places."""
    if not where.any():
        return x
    result = x._with(x.value)
    result.error = np.where(where, np.inf, x.error)
    result.likely = np.where(where, np.inf, x.likely)
    return result


def zero_beside(x: Bounded) -> Bounded:
    """Return 0, of which nothing is claimed where x is no finite number.

    `where` makes 0 of it there, and a product with 0 makes NaN.
    """
    wild = ~np.isfinite(x.floats)
    if x.infinite is not None:
        wild = wild | x.infinite
    return Bounded(
        x.ar, np.zeros(x.shape), np.where(wild, np.inf, 0.0) if wild.any() else 0.0
    )


def widest(first: Bounded, *others: Bounded) -> Bounded:
    """Return a value in its first form, with room for the errors of the others.

    All are ways to compute the same number that the specification accepts.
    """
    error, likely = first.error, first.likely
    for other in others:
        # A form of which nothing is known (its divisor may be 0) adds nothing.
        error = np.fmax(error, np.where(np.isfinite(other.error), other.error, error))
        likely = np.fmax(likely, np.where(np.isfinite(other.likely), other.likely, likely))
    result = first._with(first.value)
    result.error, result.likely = error, likely
    for other in others:
        result.became = _or(result.became, other.became)
    return result


def _or(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else a | b


def maximum(a: Bounded, b: Number) -> Bounded:
    """Return the larger; its error is at most the larger error."""
    b = lift(a.ar, b)
    larger = a.ar.where(a.value < b.value, b.value, a.value)
    result = Bounded(
        a.ar, larger, np.maximum(a.error, b.error), np.maximum(a.likely, b.likely)
    )
    nothing = np.isnan(a.floats) | np.isnan(b.floats)
    if nothing.any():  # libraries differ in what is larger than NaN
        result.error = result.likely = np.where(nothing, np.inf, result.error)
    result.became = _or(a.became, b.became)
    return result
