"""Double-double: arrays of numbers of about 100 bits, fast, from float64 alone.

A number is an unevaluated sum hi + lo of two float64, hi being the sum
rounded. Infinities, NaN, signed zeros, overflow and division by zero are
float64's, beside lo = 0. Below 2^-969 a result has float64's absolute
spacing, not its own relative accuracy.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike

from tetrapla.oracle import doubledouble_functions as pairs
from tetrapla.oracle.doubledouble_functions import Floats, Integers, Mask, Pair

Axis = int | tuple[int, ...] | None

ACCURACY: Final = 2.0**-100  # relative; of a sum, to the sum of |x|; of x^n, n times
BLOCK: Final = 2048  # elements that a function takes at a time: they fit a cache

# An overflow on the way is no reason to warn: the result says it.
quietly = np.errstate(all="ignore")


class DoubleDouble:
    """An immutable array of sums hi + lo, with the operators of an ndarray."""

    __slots__ = ("hi", "lo")
    __array_ufunc__ = None  # an ndarray on the left defers to this class
    __hash__: ClassVar[None]  # type: ignore[assignment]

    hi: Floats
    lo: Floats

    # The default is -0.0 because it changes nothing, not even another -0.0.
    @quietly
    def __init__(self, hi: ArrayLike, lo: ArrayLike = -0.0) -> None:
        total, error = pairs.two_sum(np.asarray(hi, float), np.asarray(lo, float))
        self._set(total, np.where(np.isfinite(error), error, 0.0))

    def _set(self, hi: Floats, lo: Floats) -> None:
        self.hi, self.lo = np.asarray(hi), np.asarray(lo)
        self.hi.setflags(write=False)
        self.lo.setflags(write=False)

    @property
    def parts(self) -> Pair:
        """The pair (hi, lo)."""
        return self.hi, self.lo

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hi.shape

    @property
    def size(self) -> int:
        return self.hi.size

    @property
    def ndim(self) -> int:
        return self.hi.ndim

    def __len__(self) -> int:
        return len(self.hi)

    def __repr__(self) -> str:
        return f"DoubleDouble({self.hi!r}, {self.lo!r})"

    def _each(self, pick: Callable[[Floats], Floats]) -> "DoubleDouble":
        return _pair(pick(self.hi), pick(self.lo))

    def __getitem__(self, index: Any) -> "DoubleDouble":
        return self._each(lambda x: x[index])

    @property
    def T(self) -> "DoubleDouble":  # noqa: N802 - NumPy's name
        """The transpose."""
        return self._each(lambda x: x.T)

    def reshape(self, *shape: Any) -> "DoubleDouble":
        return self._each(lambda x: x.reshape(*shape))

    def floats(self) -> Floats:
        """Return the numbers rounded to float64."""
        return self.hi

    def __neg__(self) -> "DoubleDouble":
        return self._each(np.negative)

    def __abs__(self) -> "DoubleDouble":
        return _pair(np.abs(self.hi), np.where(self.hi < 0, -self.lo, self.lo))

    @quietly
    def __add__(self, other: "Operand") -> "DoubleDouble":
        b = _lifted(other)
        return _settled(pairs.add(self.parts, b.parts), self.hi + b.hi)

    def __sub__(self, other: "Operand") -> "DoubleDouble":
        return self + -_lifted(other)

    @quietly
    def __mul__(self, other: "Operand") -> "DoubleDouble":
        b = _lifted(other)
        plain, product = self.hi * b.hi, pairs.multiply(self.parts, b.parts)
        if not np.isfinite(product[1]).all():  # an overflow, maybe only on the way
            (m, i), (n, j) = pairs.frexp(self.parts), pairs.frexp(b.parts)
            product = pairs.ldexp(pairs.multiply(m, n), i + j)
        return _settled(product, plain)

    @quietly
    def __truediv__(self, other: "Operand") -> "DoubleDouble":
        b = _lifted(other)
        if _moderate(self.hi) and _moderate(b.hi):
            return _pair(*pairs.divide(self.parts, b.parts))
        (m, i), (n, j) = pairs.frexp(self.parts), pairs.frexp(b.parts)
        return _settled(pairs.ldexp(pairs.divide(m, n), i - j), self.hi / b.hi)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: "Operand") -> "DoubleDouble":
        return _lifted(other) - self

    def __rtruediv__(self, other: "Operand") -> "DoubleDouble":
        return _lifted(other) / self

    def __pow__(self, exponent: int | Integers) -> "DoubleDouble":
        """Return x^n for integers n >= 0, by repeated squaring."""
        n = np.asarray(exponent)
        if not np.issubdtype(n.dtype, np.integer) or (n < 0).any():
            raise ValueError("an exponent must be a nonnegative integer")
        square = self
        power = DoubleDouble(np.ones(np.broadcast_shapes(self.shape, n.shape)))
        while n.any():
            power = where(n % 2 == 1, power * square, power)
            n, square = n // 2, square * square
        return power

    def __lt__(self, other: "Operand") -> Mask:
        b = _lifted(other)
        return np.where(self.hi == b.hi, self.lo < b.lo, self.hi < b.hi)

    def __le__(self, other: "Operand") -> Mask:
        b = _lifted(other)
        return np.where(self.hi == b.hi, self.lo <= b.lo, self.hi < b.hi)

    def __gt__(self, other: "Operand") -> Mask:
        return _lifted(other) < self

    def __ge__(self, other: "Operand") -> Mask:
        return _lifted(other) <= self

    def __eq__(self, other: "Operand") -> Mask:  # type: ignore[override]
        b = _lifted(other)
        return np.where(self.hi == b.hi, self.lo == b.lo, False)

    def __ne__(self, other: "Operand") -> Mask:  # type: ignore[override]
        return ~(self == other)

    @quietly
    def sum(self, axis: Axis = None, keepdims: bool = False) -> "DoubleDouble":
        """Return the sum, added up in pairs, in pairs of pairs, and so on."""
        every = tuple(range(self.ndim))
        axes = np.lib.array_utils.normalize_axis_tuple(
            every if axis is None else axis, self.ndim
        )
        others = tuple(i for i in every if i not in axes)
        kept = [self.shape[i] for i in others]
        count = math.prod(self.shape[i] for i in axes)
        terms = self._each(lambda x: x.transpose(axes + others).reshape(count, *kept))
        sums = pairs.add_up(terms.parts)
        total = _settled(sums, np.where(sums[0] == 0, 0.0, terms.hi.sum(axis=0)))
        ones = [1 if i in axes else n for i, n in enumerate(self.shape)]
        return total.reshape(ones) if keepdims else total

    def max(self, axis: Axis = None, keepdims: bool = False) -> "DoubleDouble":
        """Return the greatest, exactly; NaN where there is a NaN."""
        top = self.hi.max(axis=axis, keepdims=True)
        low = np.where(self.hi == top, self.lo, -np.inf).max(axis=axis, keepdims=keepdims)
        top = self.hi.max(axis=axis, keepdims=keepdims)
        return _pair(top, np.where(np.isfinite(top), low, 0.0))


Operand = DoubleDouble | ArrayLike


def _pair(hi: Floats, lo: Floats) -> DoubleDouble:
    """Return hi + lo as it is, |lo| being at most half an ulp of hi."""
    x = DoubleDouble.__new__(DoubleDouble)
    x._set(hi, lo)
    return x


def _lifted(x: Operand) -> DoubleDouble:
    """Return x as it is, or as the DoubleDouble of its float64 values."""
    if isinstance(x, DoubleDouble):
        return x
    hi = np.asarray(x, np.float64).view()  # the view becomes read-only, x does not
    return _pair(hi, np.zeros_like(hi))


def _settled(x: Pair, plain: Floats) -> DoubleDouble:
    """Return x, or float64's `plain` answer where that is 0, infinite or NaN."""
    hi, lo = x
    sound = np.isfinite(hi) & np.isfinite(lo) & (hi != 0.0)
    if not sound.all():
        hi, lo = np.where(sound, hi, plain), np.where(sound, lo, 0.0)
    return _pair(hi, lo)


def _moderate(x: Floats) -> bool:
    """Return whether no step of a division by x, or of x, overflows or underflows."""
    size = np.abs(x)
    return bool(size.min(initial=1.0) > 2.0**-400 and size.max(initial=1.0) < 2.0**400)


def where(condition: ArrayLike, x: Operand, y: Operand) -> DoubleDouble:
    """Return x where the condition holds and y elsewhere."""
    return _pair(*pairs.where(np.asarray(condition), _lifted(x).parts, _lifted(y).parts))


def maximum(x: Operand, y: Operand) -> DoubleDouble:
    """Return the greater of x and y, or NaN where one of them is."""
    x, y = _lifted(x), _lifted(y)
    return where((x >= y) | np.isnan(x.hi), x, y)


def pi() -> DoubleDouble:
    """Return pi, a scalar."""
    return _pair(*pairs.PI)


def _elementwise(
    function: Callable[[Pair], Pair], plain: Callable[[Floats], Floats]
) -> Callable[[Operand], DoubleDouble]:
    """Apply a function of pairs, or float64's where that is 0, infinite or NaN."""

    @functools.wraps(function, assigned=("__name__", "__doc__"))
    @quietly
    def of_any_shape(x: Operand) -> DoubleDouble:
        x = _lifted(x)
        flat = x.reshape(-1)
        hi, lo = np.empty((2, x.size))
        for start in range(0, x.size, BLOCK):
            block = slice(start, start + BLOCK)
            y = _settled(function(flat[block].parts), plain(flat.hi[block]))
            hi[block], lo[block] = y.parts
        return _pair(hi, lo).reshape(x.shape)

    return of_any_shape


sqrt = _elementwise(pairs.sqrt, np.sqrt)
exp = _elementwise(pairs.exp, np.exp)
expm1 = _elementwise(pairs.expm1, np.expm1)
log = _elementwise(pairs.log, np.log)
log1p = _elementwise(pairs.log1p, np.log1p)
tanh = _elementwise(pairs.tanh, np.tanh)
# NumPy has no erf; at 0, infinities and NaN it is tanh.
erf = _elementwise(pairs.erf, np.tanh)
erfc = _elementwise(pairs.erfc, lambda x: 1.0 - np.tanh(x))


@quietly
def matmul(x: Operand, y: Operand) -> DoubleDouble:
    """Return the matrix product, within 2^-60 |x| |y| element by element.

    It is float64's product in rows of x and columns of y that are not finite.
    """
    x, y = _lifted(x), _lifted(y)
    rows, columns = np.isfinite(x.hi).all(axis=1), np.isfinite(y.hi).all(axis=0)
    if not (rows.all() and columns.all()):
        hi = x.hi @ y.hi
        lo = np.zeros_like(hi)
        finite = np.ix_(rows, columns)
        hi[finite], lo[finite] = matmul(x[rows], y[:, columns]).parts
        return _pair(hi, lo)
    return _finite_matmul(x, y)


def _finite_matmul(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """Return the product of finite matrices, most of it without rounding.

    Rows of x and columns of y are cut into integers of so few bits that BLAS
    multiplies and adds them exactly: the error-free transformation of Ozaki,
    Ogita, Oishi and Rump, Error-free transformations of matrix multiplication
    by using fast routines of matrix multiplication (Numer. Algorithms 59,
    2012). With x = X_1 + ... + X_n + x_n, and y likewise,

        x y = sum of X_s Y_t for s + t <= n + 1
              + sum of X_s y_(n+1-s) for s = 1 ... n, + x_n y

    where y_t is what t integers leave of y. Only the second line rounds, and
    n is the least that makes it small enough. Entries below 2^-1000 of the
    greatest of their row of x or column of y may be lost.
    """
    length = x.shape[1]
    (x_hi, x_lo), i = _below_one(x, axis=1)
    (y_hi, y_lo), j = _below_one(y, axis=0)
    size = np.abs(x_hi) @ np.abs(y_hi)
    least = float(size[size > 0].min(initial=1.0))
    for n in itertools.count(1):
        # A sum of `length` products, and one of n such sums, stay within 2^53.
        bits = (55 - (length * n - 1).bit_length()) // 2
        # What rounds: n + 1 products of entries of at most 2^(-n bits) together.
        roundings = (n + 1) * length * (length + n + 2) * 2.0**-53
        if roundings * 2.0 ** (-n * bits) <= 2.0**-61 * least:
            break
    units = [2.0 ** (1 - bits - s * bits) for s in range(n)]
    x_pieces, x_rests = _cut(x_hi, units)
    y_pieces, y_rests = _cut(y_hi, units)
    total = DoubleDouble(0.0)
    for order in range(n):
        total += sum(_dot(x_pieces[s], y_pieces[order - s]) for s in range(order + 1))
    rounded = _dot(x_rests[-1], y_hi) + _dot(x_lo, y_hi) + _dot(x_hi, y_lo)
    for s in range(n):
        rounded += _dot(x_pieces[s], y_rests[n - 1 - s])
    total += rounded
    return _settled(pairs.ldexp(total.parts, i + j), np.ldexp(total.hi, i + j))


def _below_one(x: DoubleDouble, axis: int) -> tuple[Pair, Integers]:
    """Return m and k with x = m 2^k, |m| < 1 and one k along the axis."""
    _, k = np.frexp(np.abs(x.hi).max(axis=axis, keepdims=True, initial=0.0))
    k = np.maximum(k, -1000)  # 2^-k must not overflow
    scale = np.ldexp(1.0, -k)
    # A zero for the low parts of plain float64 saves the passes over them.
    lo = x.lo * scale if x.lo.any() else np.zeros((1, 1))
    return (x.hi * scale, lo), k


def _cut(x: Floats, units: list[float]) -> tuple[list[Floats], list[Floats]]:
    """Return multiples of the units that add up to x, and what each leaves of x."""
    pieces, rests = [], [x]
    for unit in units:
        big = 1.5 * 2.0**52 * unit  # whose last bit is worth a unit
        piece = rests[-1] + big
        piece -= big
        pieces.append(piece)
        rests.append(rests[-1] - piece)
    return pieces, rests[1:]


def _dot(x: Floats, y: Floats) -> Floats:
    """Return x @ y; of what is wide-ranging, many pieces are zero."""
    return x @ y if x.any() and y.any() else np.zeros((len(x), y.shape[1]))
