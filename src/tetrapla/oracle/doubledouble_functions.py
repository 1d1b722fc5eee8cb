"""Arithmetic and functions of pairs hi + lo of float64 arrays, of about 100 bits.

They are for ordinary numbers: where a step overflows or a result is not
finite, hi or lo is infinite or NaN, and where it is 0 its sign may be wrong;
doubledouble.py then takes float64's answer.

Sources: Dekker, A floating-point technique for extending the available
precision (Numer. Math. 18, 1971); Knuth, The Art of Computer Programming 2,
section 4.2.2; Hida, Li and Bailey, Algorithms for quad-double precision
floating point arithmetic (ARITH-15, 2001); for the errors, a few 2^-106,
Joldes, Muller and Popescu, Tight and rigorous error bounds for basic building
blocks of double-word arithmetic (ACM Trans. Math. Softw. 44, 2017).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
Integers = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]


def two_sum(a: Floats, b: Floats) -> Pair:
    """Return a + b rounded, and what rounding left out (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def fast_two_sum(a: Floats, b: Floats) -> Pair:
    """Return what two_sum does, for |a| >= |b| (Dekker)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Floats, b: Floats) -> Pair:
    """Return a b rounded, and what rounding left out (Dekker)."""
    product = a * b
    (a1, a2), (b1, b2) = halves(a), halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def halves(a: Floats) -> Pair:
    """Return a as a sum of two floats of 26 bits each.

    Veltkamp's a * (2^27 + 1) would overflow; rounding the bits does not.
    """
    head = ((a.view(np.int64) + 2**26) & -(2**27)).view(np.float64)
    return head, a - head


def add(x: Pair, y: Pair) -> Pair:
    """Return x + y, accurate where they cancel too."""
    high, error = two_sum(x[0], y[0])
    low, low_error = two_sum(x[1], y[1])
    high, error = fast_two_sum(high, error + low)
    return fast_two_sum(high, error + low_error)


def add_float(x: Pair, y: Floats | float) -> Pair:
    """Return x + y for a float64 y, accurate where they cancel too."""
    high, error = two_sum(x[0], np.asarray(y))
    return fast_two_sum(high, error + x[1])


def add_less(x: Pair, y: Pair) -> Pair:
    """Return x + y for |x| >= 2 |y|, in fewer steps."""
    high, error = fast_two_sum(x[0], y[0])
    return fast_two_sum(high, error + (x[1] + y[1]))


def negative(x: Pair) -> Pair:
    """Return -x."""
    return -x[0], -x[1]


def multiply(x: Pair, y: Pair) -> Pair:
    """Return x y, without the product of the low parts: it is too small to matter."""
    high, error = two_product(x[0], y[0])
    return fast_two_sum(high, error + (x[0] * y[1] + x[1] * y[0]))


def divide(x: Pair, y: Pair) -> Pair:
    """Return q + (x - q y) / y, q being float64's quotient."""
    quotient = x[0] / y[0]
    product, error = two_product(quotient, y[0])
    rest = ((x[0] - product) - error) + (x[1] - quotient * y[1])
    return fast_two_sum(quotient, rest / y[0])


def add_up(x: Pair) -> Pair:
    """Return the sum along the first axis: of pairs, of pairs of pairs, and so on."""
    hi, lo = x
    while len(hi) > 1:
        half = len(hi) // 2
        odd_hi, odd_lo = hi[2 * half :], lo[2 * half :]
        hi, lo = add((hi[:half], lo[:half]), (hi[half : 2 * half], lo[half : 2 * half]))
        if len(odd_hi):
            hi, lo = np.concatenate([hi, odd_hi]), np.concatenate([lo, odd_lo])
    return hi.sum(axis=0), lo.sum(axis=0)  # of one, or of none


def sqrt(x: Pair) -> Pair:
    """Return s + (x - s^2) / (2 s), s being float64's root: one step of Newton's."""
    m, k = frexp(x)
    m = ldexp(m, k % 2)
    root = np.sqrt(m[0])
    square, error = two_product(root, root)
    rest = ((m[0] - square) - error) + m[1]
    return ldexp(fast_two_sum(root, rest / (2 * root)), k // 2)


def frexp(x: Pair) -> tuple[Pair, Integers]:
    """Return m and k with x = m 2^k and 1/2 <= |m| <= 1, or m = x = 0."""
    hi, k = np.frexp(x[0])
    return (hi, np.ldexp(x[1], -k)), k


def ldexp(x: Pair, k: Integers) -> Pair:
    """Return x 2^k; both parts round where they are subnormal."""
    return fast_two_sum(np.ldexp(x[0], k), np.ldexp(x[1], k))


def where(mask: Mask, x: Pair, y: Pair) -> Pair:
    """Return x where the mask is set and y elsewhere."""
    return np.where(mask, x[0], y[0]), np.where(mask, x[1], y[1])


def either(
    mask: Mask, x: Pair, f: Callable[[Pair], Pair], g: Callable[[Pair], Pair]
) -> Pair:
    """Return f(x) where the mask is set and g(x) elsewhere, computing no more."""
    if mask.all():
        return f(x)
    if not mask.any():
        return g(x)
    hi, lo = np.empty_like(x[0]), np.empty_like(x[0])
    for chosen, function in ((mask, f), (~mask, g)):
        hi[chosen], lo[chosen] = function((x[0][chosen], x[1][chosen]))
    return hi, lo


def clipped(x: Pair, low: float, high: float) -> Pair:
    """Return x within [low, high]."""
    inside = (x[0] > low) & (x[0] < high)
    return np.clip(x[0], low, high), np.where(inside, x[1], 0.0)


def constant(hi: float, lo: float = 0.0) -> Pair:
    """Return a number as a pair of scalar arrays."""
    return np.asarray(hi), np.asarray(lo)


def reciprocals(integers: list[int]) -> list[Pair]:
    """Return 1 / n for each n."""
    return [divide(constant(1.0), constant(float(n))) for n in integers]


ONE: Final = constant(1.0)
TWO: Final = constant(2.0)
PI: Final = constant(3.141592653589793, 1.2246467991473532e-16)
LN2: Final = constant(0.6931471805599453, 2.3190468138462996e-17)
# ln 2 in three parts; an exponent times one of the first two is exact.
LN2_PARTS: Final = (0.6931471805598903, 5.49792301870721e-14, 1.1612227229362532e-26)
TWO_OVER_ROOT_PI: Final = constant(1.1283791670955126, 1.533545961316588e-17)

# (e^r - 1) / r = sum of r^n / (n + 1)!
EXPM1: Final = reciprocals([math.factorial(n + 1) for n in range(12)])
# erf(x) sqrt(pi) / (2 x) = sum of (-x^2)^n / (n! (2 n + 1)), DLMF 7.6.1
ERF: Final = reciprocals([math.factorial(n) * (2 * n + 1) for n in range(22)])


def series(x: Pair, coefficients: list[Pair], count: int) -> Pair:
    """Return the sum of coefficients[n] x^n; beyond `count`, float64 is enough."""
    tail = np.zeros_like(x[0])
    for c, _ in reversed(coefficients[count:]):
        tail = tail * x[0] + c
    total = tail, np.zeros_like(tail)
    for c_pair in reversed(coefficients[:count]):
        total = add_less(c_pair, multiply(total, x))
    return total


def reduced_expm1(x: Pair, rest: Pair | None = None) -> tuple[Pair, Integers]:
    """Return s and k with exp(x + rest) = 2^k (1 + s) and |s| < 1/2, for a small rest.

    k = round(x / ln 2), and s = e^r - 1 of what is left: its series at r / 32,
    where it is short, then e^(2r) - 1 = (e^r - 1) (e^r - 1 + 2) five times.
    """
    x = clipped(x, -800.0, 800.0)  # beyond, there are only 0 and inf
    k = np.rint(x[0] / LN2[0])
    for part in LN2_PARTS:
        x = add_float(x, -k * part)
    if rest is not None:
        x = add(x, rest)
    r = x[0] / 32, x[1] / 32
    s = multiply(r, series(r, EXPM1, 6))
    for _ in range(5):
        s = multiply(s, add_less(TWO, s))
    return s, k.astype(np.int32)


def exp(x: Pair) -> Pair:
    """Return e^x = 2^k (1 + s)."""
    s, k = reduced_expm1(x)
    return ldexp(add_float(s, 1.0), k)


def expm1(x: Pair) -> Pair:
    """Return e^x - 1 = 2^k (s + (1 - 2^-k))."""
    s, k = reduced_expm1(x)
    y = ldexp(add(s, two_sum(ONE[0], -np.ldexp(1.0, -k))), k)
    return where(np.abs(x[0]) < 2.0**-200, x, y)  # steps on the way could underflow


def log(x: Pair) -> Pair:
    """Return log x = k ln 2 + log m, m between the roots of 1/2 and 2."""
    m, k = frexp(x)
    below = (m[0] < math.sqrt(0.5)).astype(k.dtype)
    m, k = ldexp(m, below), k - below
    multiple = multiply(LN2, (k.astype(np.float64), np.zeros_like(x[0])))
    return add(log1p_near_0(add_float(m, -1.0)), multiple)


def log1p(x: Pair) -> Pair:
    """Return log(1 + x)."""
    near = np.abs(x[0]) < 0.25
    return either(near, x, log1p_near_0, lambda x: log(add_float(x, 1.0)))


def log1p_near_0(x: Pair) -> Pair:
    """Return y + log(1 + t), t = (x - (e^y - 1)) / e^y, y being float64's log(1 + x)."""
    y = np.log1p(x[0])
    grown = expm1((y, np.zeros_like(y)))
    t = add(x, negative(grown))[0] / (1.0 + grown[0])
    return fast_two_sum(y, t - t * t / 2)


def tanh(x: Pair) -> Pair:
    """Return tanh |x| = -e / (e + 2), e = e^(-2 |x|) - 1, with the sign of x."""
    sign = np.copysign(2.0, x[0])
    e = expm1((-sign * x[0], -sign * x[1]))
    t = divide(e, add_less(TWO, e))
    return where(x[0] < 0, t, negative(t))


def erf(x: Pair) -> Pair:
    """Return the series near 0, and 1 - erfc |x| with the sign of x elsewhere."""

    def far(x: Pair) -> Pair:
        y = add_less(ONE, negative(erfc_tail(x)))
        return where(x[0] < 0, negative(y), y)

    return either(np.abs(x[0]) < 0.5, x, erf_near_0, far)


def erfc(x: Pair) -> Pair:
    """Return 1 - erf x near 0; elsewhere the tail of |x|, or 2 less it for x < 0."""

    def near(x: Pair) -> Pair:
        return add(ONE, negative(erf_near_0(x)))

    def far(x: Pair) -> Pair:
        y = erfc_tail(x)
        return where(x[0] < 0, add_less(TWO, negative(y)), y)

    return either(np.abs(x[0]) < 0.5, x, near, far)


def erf_near_0(x: Pair) -> Pair:
    """Return the Maclaurin series, for |x| < 1/2."""
    total = series(negative(multiply(x, x)), ERF, 11)
    return multiply(multiply(x, total), TWO_OVER_ROOT_PI)


STEP: Final = 11 / 32


@functools.cache
def trapezoid() -> tuple[Floats, Pair]:
    """Return (n h)^2 and exp(-(n h)^2) as columns, the latter halved for n = 0."""
    squares = np.square(STEP * np.arange(26.0))[:, None]  # exact
    weights = exp((-squares, np.zeros_like(squares)))
    return squares, where(squares > 0, weights, constant(0.5))


def erfc_tail(x: Pair) -> Pair:
    """Return erfc |x| for |x| >= 1/2, relatively accurate.

    The trapezoidal rule for x / pi times the integral of exp(-t^2) / (x^2 + t^2),
    and the residue that it misses where x < pi / h:

        erfc x = (2 h x / pi) exp(-x^2) (1 / (2 x^2)
                 + sum of exp(-(n h)^2) / ((n h)^2 + x^2)) - 2 / (exp(2 pi x / h) - 1)

    Its error is exp(-(pi / h)^2), 2^-120 for h = 11/32. Source: Hunter and Regan,
    A note on the evaluation of the complementary error function (Math. Comp. 26,
    1972).
    """
    sign = np.copysign(1.0, x[0])
    x = clipped((sign * x[0], sign * x[1]), 0.0, 30.0)  # beyond 28 there is only 0
    squares, weights = trapezoid()
    terms = divide(weights, add_float(multiply(x, x), squares))
    # x^2 in one piece would lose bits to its exponential: x = head + rest, and
    # the head has so few bits that its square is exact.
    head = x[0].astype(np.float32).astype(np.float64)
    rest = multiply(add_float(x, -head), negative(add_float(x, head)))
    s, k = reduced_expm1((-head * head, np.zeros_like(head)), rest)
    factor = multiply(x, divide(constant(2 * STEP), PI))
    total = multiply(multiply(add_up(terms), factor), add_float(s, 1.0))
    residue = divide(TWO, expm1(multiply(x, divide(PI, constant(STEP / 2)))))
    residue = where(x[0] < 7.0, residue, constant(0.0))  # beyond, it is below 2^-110
    return add(ldexp(total, k), negative(residue))
