"""The reference: activations and their derivatives (spec/activations.py)."""

import numpy as np

from tetrapla.parity.quantity import Quantity, either, if_positive, lift, select
from tetrapla.spec import activations as spec


def activation(g: spec.Activation, z: Quantity) -> Quantity:
    """Return g(z)."""
    match g:
        case spec.Identity():
            return z
        case spec.Sigmoid():
            return sigmoid(z)
        case spec.Tanh():
            return z.apply("tanh")
        case spec.ReLU():
            return if_positive(z, z, nothing(z))
        case spec.Softmax():
            return softmax(z)
        case spec.LeakyReLU(slope):
            return if_positive(z, z, slope * z)
        case spec.ELU(alpha):
            return if_positive(z, z, alpha * z.apply("expm1"))
        case spec.Softplus():
            return softplus(z)
        case spec.SiLU():
            return z * sigmoid(z)
        case spec.GELUErf():
            return z * cumulative(z)
        case spec.GELUTanh():
            return 0.5 * z * one_plus_tanh(cubic(z))
    raise TypeError(f"the reference has no {g!r}")


def gradient(g: spec.Activation, z: Quantity, da: Quantity) -> Quantity:
    """Return the vector-Jacobian product of g at z with da."""
    if isinstance(g, spec.Softmax):
        a = softmax(z)
        return a * (da - (da * a).sum(-1, keepdims=True))
    return da * derivative(g, z)


def derivative(g: spec.Activation, z: Quantity) -> Quantity:
    """Return g'(z), element by element."""
    one = lift(z.ar, 1.0)
    match g:
        case spec.Identity():
            return one
        case spec.Sigmoid():
            return sigmoid(z) * sigmoid(-z)  # 1 - s = sigmoid(-z) does not cancel
        case spec.Tanh():
            t = z.apply("tanh")
            return 1 - t * t
        case spec.ReLU():
            return if_positive(z, one, 0.0)
        case spec.LeakyReLU(slope):
            return if_positive(z, one, slope)
        case spec.ELU(alpha):
            # The paper's form is alpha + g(z), which cancels far below 0; it is
            # also what the derivative of expm1 is in PyTorch and JAX.
            plain = alpha + alpha * z.apply("expm1")
            return if_positive(z, one, either(alpha * z.apply("exp"), plain))
        case spec.Softplus():
            return sigmoid(z)
        case spec.SiLU():
            return sigmoid(z) * (1 + z * sigmoid(-z))
        case spec.GELUErf():
            density = (-0.5 * z * z).apply("exp") / (2 * pi(z)).apply("sqrt")
            return cumulative(z) + z * density
        case spec.GELUTanh():
            u = cubic(z)
            t = u.apply("tanh")
            du = (2 / pi(z)).apply("sqrt") * (1 + 3 * lift(z.ar, 0.044715) * z * z)
            return 0.5 * one_plus_tanh(u) + 0.5 * z * (1 - t * t) * du
    raise TypeError(f"the reference has no {g!r}")


def sigmoid(z: Quantity) -> Quantity:
    """Return 1 / (1 + exp(-z)), without overflow."""
    e = (-abs(z)).apply("exp")
    return select(z.value > 0, 1 / (1 + e), e / (1 + e))


def one_plus_tanh(u: Quantity) -> Quantity:
    """Return 1 + tanh(u) = 2 sigmoid(2u); the first form cancels for u < 0."""
    return either(2 * sigmoid(2 * u), 1 + u.apply("tanh"))


def cumulative(z: Quantity) -> Quantity:
    """Return Phi(z) = (1 + erf(z / sqrt 2)) / 2 = erfc(-z / sqrt 2) / 2."""
    x = z * root_half(z)
    return 0.5 * either((-x).apply("erfc"), 1 + x.apply("erf"))


def softplus(z: Quantity) -> Quantity:
    """Return log(1 + exp(z)), as max(z, 0) + log(1 + exp(-|z|))."""
    return if_positive(z, z, nothing(z)) + (-abs(z)).apply("exp").apply("log1p")


def softmax(z: Quantity) -> Quantity:
    """Return exp(z_i) / sum_j exp(z_j) over the last axis."""
    e = (z - top(z)).apply("exp")
    return e / e.sum(-1, keepdims=True)


def log_sum_exp(z: Quantity) -> Quantity:
    """Return log sum_j exp(z_j) over the last axis, which stays."""
    m = top(z)
    return m + (z - m).apply("exp").sum(-1, keepdims=True).apply("log")


def top(z: Quantity) -> Quantity:
    """Return the largest of each row, as a shift: any other would do."""
    return Quantity(z.ar, np.max(z.value, axis=-1, keepdims=True))


def nothing(z: Quantity) -> Quantity:
    """Return 0 where z is a number, NaN where it is NaN; exact."""
    return Quantity(z.ar, np.where(z.value == z.value, z.ar.array(0.0), z.value))


def cubic(z: Quantity) -> Quantity:
    """Return sqrt(2/pi) (z + 0.044715 z^3)."""
    return (2 / pi(z)).apply("sqrt") * (z + 0.044715 * z * z * z)


def root_half(z: Quantity) -> Quantity:
    """Return 1 / sqrt 2."""
    return lift(z.ar, 0.5).apply("sqrt")


def pi(z: Quantity) -> Quantity:
    """Return pi."""
    return Quantity(z.ar, z.ar.pi())
