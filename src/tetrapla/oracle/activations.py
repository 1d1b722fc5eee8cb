"""The oracle: activations and their derivatives (spec/activations.py).

Where the specification accepts several ways to compute a value, `widest`
lists them: the first, which does not cancel, gives the value.
"""

import numpy as np

from tetrapla.oracle import habits
from tetrapla.oracle.bounded import (
    Bounded,
    cast,
    exact,
    if_positive,
    lift,
    select,
    unclaimed,
    widest,
    zero_beside,
)
from tetrapla.spec import activations as spec
from tetrapla.spec.contract import Array
from tetrapla.spec.precisions import numpy_dtype

ROOT_OF_HALF = float(np.float32(0.5**0.5))  # TensorFlow's, in float64 too


def activation(g: spec.Activation, z: Bounded) -> Bounded:
    """Return g(z)."""
    match g:
        case spec.Identity():
            return z
        case spec.Sigmoid():
            return logistic(z)
        case spec.Tanh():
            return z.apply("tanh")
        case spec.ReLU():
            return if_positive(z, z, nothing(z))
        case spec.Softmax():
            return softmax(z)
        case spec.LeakyReLU(slope):
            return if_positive(z, z, slope * z)
        case spec.ELU(alpha):
            below = z.apply("expm1")
            if habits.ELU_EXP in z.ar.habits:
                below = widest(below, z.apply("exp") - 1)
            if habits.HALF_EXPM1 in z.ar.habits:
                form = (0.5 * z).apply("tanh") * (z.apply("exp") + 1)
                below = widest(below, form)
            return if_positive(z, z, alpha * below)
        case spec.Softplus():
            return softplus(z)
        case spec.SiLU():
            return z * logistic(z)
        case spec.GELUErf():
            a = z * cumulative(z)
            if habits.GELU_HALVED_LAST in z.ar.habits:
                return widest(a, 0.5 * (z * (2 * cumulative(z))))
            return a
        case spec.GELUTanh():
            return 0.5 * z * one_plus_tanh(cubic(clipped(z)))
    raise TypeError(f"the oracle has no {g!r}")


def gradient(g: spec.Activation, z: Bounded, da: Bounded) -> Bounded:
    """Return the vector-Jacobian product of g at z with da."""
    if isinstance(g, spec.Identity):
        return da
    if isinstance(g, spec.ReLU):
        return if_positive(z, da, zero_beside(da))
    if isinstance(g, spec.Softmax):
        return softmax_gradient(z, da)
    return in_any_order(g, z, da, da * derivative(g, z))


def in_any_order(g: spec.Activation, z: Bounded, da: Bounded, product: Bounded) -> Bounded:
    """Return da g'(z), whichever of the factors of g'(z) come first.

    A product of da and one small factor may be flushed to 0 before a larger
    one brings it back, or overflow before a smaller one does. Factors are
    as small as exp(-|z|) or exp(-z^2/2), and z itself.
    """
    x = z.magnitude
    decay, factor, power = x, np.ones_like(x), 1  # of the others: exp(-|z|), 1, z
    match g:
        case spec.Tanh() | spec.LeakyReLU():
            decay = np.zeros_like(x)
        case spec.ELU(alpha):
            factor = np.maximum(alpha, factor)
        case spec.Softplus() if habits.SOFTPLUS_PRODUCT in z.ar.habits:
            factor = np.exp(np.clip(z.floats, 0.0, 20.0))
        case spec.SiLU():
            factor = np.maximum(x, 1.0)
        case spec.GELUErf():
            decay, factor = x * x / 2, 2 * np.maximum(x, 1.0)  # erfc is at most 2
        case spec.GELUTanh():
            c = np.minimum(x, 30.0)
            decay, power = 1.6 * c + 0.08 * c**3, 3
            factor = 2 * np.maximum(x, 1.0) * (1 + 0.2 * c * c)
    smallest = da.magnitude * np.minimum(x, 1.0) ** power * np.exp(-decay)
    flushed = (smallest < 16 * z.ar.tiny) & (da.magnitude > 0)
    overflows = da.magnitude * factor > z.ar.largest
    if not flushed.any() and not overflows.any():
        return product
    slack = np.where(flushed, 4 * z.ar.flushed * factor, 0.0)
    result = product._with(product.value)
    result.error = np.where(overflows, np.inf, product.error + slack)
    result.likely = np.where(overflows, np.inf, product.likely + slack)
    return result


def derivative(g: spec.Activation, z: Bounded) -> Bounded:
    """Return g'(z), element by element."""
    one = exact(z.ar, 1.0)
    match g:
        case spec.Sigmoid():
            if habits.SIGMOID_SLOPE in z.ar.habits:
                return widest(sigmoid_slope(z), logistic(z) * (1 - logistic(z)))
            return sigmoid_slope(z)
        case spec.Tanh():
            t = z.apply("tanh")
            return widest(1 - t.square(), (1 - t) * (1 + t))
        case spec.LeakyReLU(slope):
            if habits.LEAKY_AT_ZERO in z.ar.habits:
                return if_positive(-z, lift(z.ar, slope), one)
            return if_positive(z, one, slope)
        case spec.ELU(alpha):
            # The paper's form is alpha + g(z), which cancels far below 0; it is
            # also what the derivative of expm1 is in PyTorch and JAX.
            plain = alpha * (z.apply("expm1") + 1)
            return if_positive(z, one, widest(alpha * z.apply("exp"), plain))
        case spec.Softplus():
            e = (-abs(z)).apply("exp")  # and what differentiation makes of log1p(e)
            plain = if_positive(z, 1 - e / (1 + e), e / (1 + e))
            return widest(sigmoid(z), plain, *logaddexp_slope(z))
        case spec.SiLU():
            s = logistic(z)
            plain = s * (1 + z * (1 - s))
            return widest(s * (1 + z * sigmoid(-z)), s + z * sigmoid_slope(z), plain)
        case spec.GELUErf():
            plain = cumulative(z) + z * density(z)
            if habits.GELU_SLOPE not in z.ar.habits:
                return plain
            single = cast(z.ar.wide, z)  # of halves too
            x = over_root_of_two(single)
            added = 0.5 * x.apply("erf") + single * density(single) + 0.5
            return widest(plain, cast(z.ar, added))
        case spec.GELUTanh():
            c = z if habits.GELU_CUBE in z.ar.habits else clipped(z)
            u = cubic(c)
            t = u.apply("tanh")
            du = root_of_two_over_pi(c) * (1 + lift(c.ar, 0.044715) * (3 * (c * c)))
            curved = widest(0.5 * (1 - t.square()), 2 * sigmoid_slope(2 * u))
            return 0.5 * one_plus_tanh(u) + z * curved * du
    raise TypeError(f"the oracle has no derivative of {g!r}")


def sigmoid(z: Bounded) -> Bounded:
    """Return 1 / (1 + exp(-z)), without overflow."""
    e = (-abs(z)).apply("exp")
    return select(z.value > 0, 1 / (1 + e), e / (1 + e))


def logistic(z: Bounded) -> Bounded:
    """Return sigmoid(z), or 0 where exp(-z) overflows and that is admitted."""
    s = sigmoid(z)
    if habits.SIGMOID_OVERFLOWS not in z.ar.habits:
        return s
    with np.errstate(over="ignore"):
        most = np.exp(-z.floats) * (1 + 2 * z.ar.unit)  # as it may be rounded
    lost = np.where(most > z.ar.largest, s.magnitude, 0.0)
    return widest(s, Bounded(z.ar, s.value, lost))


def logaddexp_slope(z: Bounded) -> list[Bounded]:
    """Return exp(z - softplus(z)), a habit of JAX's, where it is admitted."""
    if habits.LOGADDEXP_SLOPE not in z.ar.habits:
        return []
    return [(z - softplus(z)).apply("exp")]


def sigmoid_slope(z: Bounded) -> Bounded:
    """Return s (1 - s) as s(z) s(-z), which does not cancel."""
    e = (-abs(z)).apply("exp")
    # Differentiation of e / (1 + e) has a difference of two quotients.
    quotient = e / (1 + e)
    return widest(sigmoid(z) * sigmoid(-z), e * (1 / (1 + e) - quotient / (1 + e)))


def one_plus_tanh(u: Bounded) -> Bounded:
    """Return 1 + tanh(u) = 2 sigmoid(2u); the first form cancels for u < 0."""
    return widest(2 * sigmoid(2 * u), 1 + u.apply("tanh"))


def cumulative(z: Bounded) -> Bounded:
    """Return Phi(z) = (1 + erf(z / sqrt 2)) / 2 = erfc(-z / sqrt 2) / 2."""
    x = over_root_of_two(z)
    return 0.5 * widest((-x).apply("erfc"), 1 + x.apply("erf"))


def over_root_of_two(z: Bounded) -> Bounded:
    """Return z / sqrt(2)."""
    if habits.FLOAT32_ROOT in z.ar.habits:
        return z * exact(z.ar, ROOT_OF_HALF)
    return z * exact(z.ar, 0.5).apply("sqrt")


def density(z: Bounded) -> Bounded:
    """Return phi(z) = exp(-z^2/2) / sqrt(2 pi)."""
    x = over_root_of_two(z)
    if habits.FLOAT32_ROOT in z.ar.habits:
        return exact(z.ar, ROOT_OF_HALF) * (-x * x).apply("exp") / pi(z).apply("sqrt")
    e = widest((-0.5 * z * z).apply("exp"), (-x * x).apply("exp"))
    return e / (2 * pi(z)).apply("sqrt")


def softplus(z: Bounded) -> Bounded:
    """Return log(1 + exp(z)), as max(z, 0) + log(1 + exp(-|z|))."""
    curved = (-abs(z)).apply("exp").apply("log1p")
    stable = if_positive(z, z, nothing(z)) + curved
    thresholds = habits.SOFTPLUS_THRESHOLD in z.ar.habits
    if habits.SOFTPLUS_PLAIN not in z.ar.habits and not thresholds:
        return stable
    near = select(z.floats < 40, z, nothing(z))
    plain = select(z.floats < 40, near.apply("exp").apply("log1p"), z)
    if not thresholds:
        return widest(stable, plain)
    half = numpy_dtype(z.ar.dtype).type  # which has the threshold, rounded
    far = -float(half(np.log(2 * z.ar.unit)) + half(2))
    below = if_positive(-z - far, z.apply("exp"), widest(stable, plain))
    return if_positive(z - far, z, below)


def softmax(z: Bounded) -> Bounded:
    """Return exp(z_i) / sum_j exp(z_j) over the last axis."""
    d = shifted(z)
    e = d.apply("exp")
    total = e.sum(-1, keepdims=True)
    a = widest(e / total, (d - total.apply("log")).apply("exp"))
    return beside_nan(z, a) if habits.SOFTMAX_HIDES_NAN in z.ar.habits else a


def beside_nan(z: Bounded, a: Bounded) -> Bounded:
    """Return a, of which nothing is claimed where another of its row is NaN."""
    itself = np.isnan(z.floats)
    return unclaimed(a, np.isnan(a.floats) & ~itself)


def softmax_gradient(z: Bounded, da: Bounded) -> Bounded:
    """Return a (da - sum_j da_j a_j), a = softmax(z), over the last axis."""
    a = softmax(z)
    plain = a * (da - (da * a).sum(-1, keepdims=True))
    # Differentiation of e / sum e divides later.
    e = shifted(z).apply("exp")
    total = e.sum(-1, keepdims=True)
    inner = (da * (e / total / total)).sum(-1, keepdims=True)
    return widest(plain, e * (da / total - inner))


def shifted(z: Bounded) -> Bounded:
    """Return z minus the largest of its row: any other shift would do."""
    top = z.value.max(axis=-1, keepdims=True)
    return z - exact(z.ar, top)


def nothing(z: Bounded) -> Bounded:
    """Return 0 where z is a number, NaN where it is NaN; exact."""
    value: Array = np.where(np.isnan(z.floats), np.nan, 0.0)
    return exact(z.ar, value)


def cubic(z: Bounded) -> Bounded:
    """Return sqrt(2/pi) (z + 0.044715 z^3)."""
    return root_of_two_over_pi(z) * (z + 0.044715 * z * z * z)


def clipped(z: Bounded) -> Bounded:
    """Return z within +-30: beyond, tanh(u) is +-1 to 1e-400 and z^3 may overflow."""
    far = z.magnitude > 30
    return select(far, 30 * np.sign(z.floats), z) if far.any() else z


def root_of_two_over_pi(z: Bounded) -> Bounded:
    """Return sqrt(2/pi)."""
    return (2 / pi(z)).apply("sqrt")


def pi(z: Bounded) -> Bounded:
    """Return pi, rounded."""
    value = exact(z.ar, z.ar.pi())
    return Bounded(z.ar, value.value, z.ar.unit * value.magnitude)
