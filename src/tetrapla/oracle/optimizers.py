"""The oracle: the update rules, in every convention (spec/optimizers.py).

Written with the specification's symbols, for one weight. All is element by
element, so many steps are verified at once: theta, g and the slots may have
leading axes of steps, against which eta and t are broadcast.
"""

from typing import Any

import numpy as np

from tetrapla.oracle import habits
from tetrapla.oracle.arithmetic import Arithmetic
from tetrapla.oracle.bounded import (
    Bounded,
    coefficient,
    exact,
    lift,
    maximum,
    widest,
)
from tetrapla.spec.contract import Array
from tetrapla.spec.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Optimizer,
    RMSProp,
)

Slots = dict[str, Bounded]
UNIT32, UNIT64 = (float(np.finfo(dtype).epsneg) for dtype in ("float32", "float64"))


def update(
    spec: Optimizer, theta: Bounded, g: Bounded, slots: Slots, t: Any, eta: Any = None
) -> tuple[Bounded, Slots]:
    """Return theta and the slots after step t (counted from 1).

    `eta` is the learning rate, the specification's own by default.
    """
    ar = theta.ar
    rate = lift(ar, spec.lr if eta is None else eta)
    if isinstance(spec, SGD) and not spec.momentum and spec.weight_decay:
        return _plain_decay(spec, theta, g, rate), slots
    if spec.weight_decay and spec.decay == "coupled":
        g = g + spec.weight_decay * theta
    elif spec.weight_decay:
        shrunk = 1 - rate * spec.weight_decay
        theta = widest(theta - rate * spec.weight_decay * theta, shrunk * theta)
    match spec:
        case SGD():
            step, slots = _momentum(spec, g, slots, rate)
        case Adagrad():
            a = slots["a"] + g.square()
            step = _unless_zero(a, rate * g / _root(a, spec.eps, spec.eps_place))
            slots = {"a": a}
        case Adadelta():
            step, slots = _adadelta(spec, g, slots, rate)
        case RMSProp():
            step, slots = _rmsprop(spec, g, slots, rate)
        case Adam():
            step, slots = _adam(spec, g, slots, np.asarray(t, float), rate)
        case _:
            raise TypeError(f"the oracle has no {spec!r}")
    return theta - step, slots


def _unless_zero(a: Bounded, step: Bounded) -> Bounded:
    """Return the step; a habit of Optax's is to take none where a is 0."""
    if habits.NO_STEP_AT_ZERO in a.ar.habits:
        gone = np.where(a.doubtful, step.magnitude, 0.0)
        return step + Bounded(a.ar, np.zeros(step.shape), gone)
    return step


def _plain_decay(spec: SGD, theta: Bounded, g: Bounded, eta: Bounded) -> Bounded:
    """Return theta - eta (g + lambda theta): coupled or not, it is the same."""
    decay = eta * spec.weight_decay
    return widest(
        theta - eta * (g + spec.weight_decay * theta),
        theta - decay * theta - eta * g,
        (1 - decay) * theta - eta * g,
    )


def _momentum(
    spec: SGD | RMSProp, d: Bounded, slots: Slots, eta: Bounded
) -> tuple[Bounded, Slots]:
    mu = spec.momentum
    if not mu:
        return eta * d, slots
    if spec.velocity == "updates":  # eta goes into the buffer
        d, eta = eta * d, exact(d.ar, 1.0)
    b = mu * slots["velocity"] + d
    ahead = d + mu * b if spec.nesterov else b
    return eta * ahead, slots | {"velocity": b}


def _adadelta(
    spec: Adadelta, g: Bounded, slots: Slots, eta: Bounded
) -> tuple[Bounded, Slots]:
    v = _average(spec.rho, slots["v"], g.square())
    d = root(slots["u"] + spec.eps) / root(v + spec.eps) * g
    u = _average(spec.rho, slots["u"], d.square())
    return eta * d, {"v": v, "u": u}


def _rmsprop(
    spec: RMSProp, g: Bounded, slots: Slots, eta: Bounded
) -> tuple[Bounded, Slots]:
    v = _average(spec.rho, slots["v"], g.square())
    new, variance = slots | {"v": v}, v
    if spec.centered:
        m = _average(spec.rho, slots["m"], g)
        new, variance = new | {"m": m}, _variance(v - m.square())
    d = g / _root(variance, spec.eps, spec.eps_place)
    return _momentum(spec, d, new, eta)


def _variance(v: Bounded) -> Bounded:
    """Return max(v, 0); a habit of the libraries is to leave it to luck."""
    result = maximum(v, 0.0)
    if habits.UNCLAMPED_VARIANCE in v.ar.habits:
        doubtful = (v.magnitude <= v.error) | (v.floats < 0)
        result.error = result.likely = np.where(doubtful, np.inf, result.error)
    return result


def _adam(
    spec: Adam, g: Bounded, slots: Slots, t: Array, eta: Bounded
) -> tuple[Bounded, Slots]:
    m = _average(spec.beta1, slots["m"], g)
    v = _average(spec.beta2, slots["v"], g.square())
    c1, c2 = correction(g.ar, spec.beta1, t), correction(g.ar, spec.beta2, t)
    new = {"m": m, "v": v}
    m_hat, v_hat = m / c1, v / c2
    if spec.amsgrad and spec.amsgrad_max == "raw":
        new["v_max"] = maximum(slots["v_max"], v)
        v_hat = new["v_max"] / c2
    elif spec.amsgrad:
        v_hat = new["v_max"] = maximum(slots["v_max"], v_hat)
    eps, place = lift(g.ar, spec.eps), spec.eps_place
    if place == "uncorrected":
        eps, place = eps / root(c2), "outside"
    return eta * m_hat / _root(v_hat, eps, place), new


def _average(rho: float, old: Bounded, new: Bounded) -> Bounded:
    """Return rho old + (1 - rho) new, or old + (1 - rho) (new - old)."""
    rest = one_minus(old.ar, rho)
    return widest(rho * old + rest * new, old + rest * (new - old))


def _root(v: Bounded, eps: float | Bounded, place: str) -> Bounded:
    """Return sqrt(v) + eps, or sqrt(v + eps).

    Where v is all rounding, its root may be 0, but no divisor is below eps:
    without that, nothing could be said of g / (sqrt(v) + eps).
    """
    eps = lift(v.ar, eps)
    least = np.maximum(eps.magnitude - eps.error, 0.0) * (1 - 4 * v.ar.unit)
    if place == "inside":
        result, least = root(v + eps), np.sqrt(least)
    else:
        result = root(v) + eps
    result.least = np.where(least > v.ar.tiny, least, 0.0)
    return result


def root(v: Bounded) -> Bounded:
    """Return the square root."""
    return v.apply("sqrt")


def one_minus(ar: Arithmetic, rho: float) -> Bounded:
    """Return 1 - rho, formed in float64 and rounded once."""
    value = exact(ar, ar.array(1.0) - ar.array(rho))
    error = (UNIT64 + ar.accuracy) * value.magnitude
    if habits.FLOAT32_NUMBERS in ar.habits:
        error = error + UNIT32 * (rho + value.magnitude)
    return coefficient(Bounded(ar, value.value, error))


def correction(ar: Arithmetic, beta: float, t: Array) -> Bounded:
    """Return 1 - beta^t.

    Formed in float64, as it stands or as -expm1(t log beta), and rounded once; or
    where t is traced as -expm1(t log beta) in the dtype. A power is 1 ULP off at
    most on the host, and 2 with CUDA's pow.
    """
    if beta == 0:
        return exact(ar, np.ones_like(t))
    log_beta = exact(ar, beta).apply("log").value
    exponent = exact(ar, ar.array(t) * log_beta)
    value = -exact(ar, ar.apply("expm1", exponent.value))
    power = np.exp(exponent.floats)
    ulps = 2 if ar.gpu else 1
    formed = UNIT64 * (2 * ulps * power + 4 * value.magnitude)
    host = Bounded(ar, value.value, formed)
    if habits.FLOAT32_CORRECTION in ar.habits:
        # beta is rounded, its power takes up to t products, and 1 - beta^t one more;
        # CUDA's powf is up to 4 ULP off
        products = 2 * t + (9 if ar.gpu else 0)
        single = UNIT32 * (products * power + value.magnitude)
        return Bounded(ar, value.value, host.error + 2 * single)
    # log(beta) is rounded, then its product with t
    moved = Bounded(ar, exponent.value, 2 * ar.unit * exponent.magnitude)
    return widest(coefficient(host), -moved.apply("expm1"))
