"""Quantiles of the standard normal, from correctly rounded operations alone.

A library's log differs in the last bit from one machine to the next; these
two functions use + - * / and sqrt, which IEEE 754 rounds correctly, so that
normal draws have the same bits everywhere.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LN2: Final = 0.6931471805599453

# Wichura's coefficients, constant term first: |p - 1/2| <= 0.425 ...
A = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
B = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
# ... the tails, r = sqrt(-log(min(p, 1 - p))) <= 5 ...
C = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
D = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)


def polynomial(coefficients: tuple[float, ...], x: Float64) -> Float64:
    """Return sum_k coefficients[k] x^k, by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return value


def log(x: Float64) -> Float64:
    """Return the natural logarithm of positive numbers, to a few ULP.

    x = m 2^e with m in [1/sqrt 2, sqrt 2); log m = 2 atanh(s),
    s = (m - 1)/(m + 1), |s| <= 0.1716, by its series to s^23.
    """
    m, e = np.frexp(x)
    low = m < math.sqrt(0.5)
    m, e = np.where(low, 2.0 * m, m), e - low
    s = (m - 1.0) / (m + 1.0)
    series = tuple(2.0 / (2 * k + 1) for k in range(12))
    return s * polynomial(series, s * s) + e * LN2


def quantile(p: Float64) -> Float64:
    """Return z with Phi(z) = p, for 2^-24 <= p <= 1 - 2^-24.

    Relative error below 1e-15 (checked against mpmath in the tests).

    Source: Wichura, Algorithm AS 241: the percentage points of the normal
    distribution, Applied Statistics 37 (1988), routine PPND16. Its third
    range, beyond 5 (p < 1.4e-11), is never reached by 24-bit draws.
    """
    q = p - 0.5
    r = 0.180625 - q * q
    middle = q * polynomial(A, r) / polynomial(B, r)
    t = np.sqrt(-log(np.minimum(p, 1.0 - p))) - 1.6
    tail = polynomial(C, t) / polynomial(D, t)
    return np.where(np.abs(q) <= 0.425, middle, np.copysign(tail, q))
