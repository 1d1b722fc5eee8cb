"""The reference: the update rules, in every convention (spec/optimizers.py).

Written with the specification's symbols, one weight at a time.
"""

from tetrapla.parity.arithmetic import Arithmetic
from tetrapla.parity.quantity import (
    Quantity,
    coefficient,
    lift,
    maximum,
    root,
)
from tetrapla.spec.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Optimizer,
    RMSProp,
)

Slots = dict[str, Quantity]


def update(
    spec: Optimizer, theta: Quantity, g: Quantity, slots: Slots, t: int
) -> tuple[Quantity, Slots]:
    """Return theta and the slots after step t (counted from 1)."""
    eta = lift(theta.ar, spec.lr)
    if spec.weight_decay and spec.decay == "coupled":
        g = g + spec.weight_decay * theta
    elif spec.weight_decay:
        theta = theta - eta * spec.weight_decay * theta
    match spec:
        case SGD():
            step, slots = _momentum(spec, g, slots, eta)
        case Adagrad():
            a = slots["a"] + g * g
            step, slots = eta * g / _root(a, spec.eps, spec.eps_place), {"a": a}
        case Adadelta():
            step, slots = _adadelta(spec, g, slots)
        case RMSProp():
            step, slots = _rmsprop(spec, g, slots, eta)
        case Adam():
            step, slots = _adam(spec, g, slots, t)
        case _:
            raise TypeError(f"the reference has no {spec!r}")
    return theta - step, slots


def _momentum(
    spec: SGD | RMSProp, d: Quantity, slots: Slots, eta: Quantity
) -> tuple[Quantity, Slots]:
    mu = spec.momentum
    if not mu:
        return eta * d, slots
    if spec.velocity == "updates":  # eta goes into the buffer
        d, eta = eta * d, lift(d.ar, 1.0)
    b = mu * slots["velocity"] + d
    ahead = d + mu * b if spec.nesterov else b
    return eta * ahead, slots | {"velocity": b}


def _adadelta(spec: Adadelta, g: Quantity, slots: Slots) -> tuple[Quantity, Slots]:
    v = _average(spec.rho, slots["v"], g * g)
    d = root(slots["u"] + spec.eps) / root(v + spec.eps) * g
    u = _average(spec.rho, slots["u"], d * d)
    return spec.lr * d, {"v": v, "u": u}


def _rmsprop(
    spec: RMSProp, g: Quantity, slots: Slots, eta: Quantity
) -> tuple[Quantity, Slots]:
    v = _average(spec.rho, slots["v"], g * g)
    new, variance = slots | {"v": v}, v
    if spec.centered:
        m = _average(spec.rho, slots["m"], g)
        new, variance = new | {"m": m}, maximum(v - m * m, 0.0)
    d = g / _root(variance, spec.eps, spec.eps_place)
    return _momentum(spec, d, new, eta)


def _adam(spec: Adam, g: Quantity, slots: Slots, t: int) -> tuple[Quantity, Slots]:
    m = _average(spec.beta1, slots["m"], g)
    v = _average(spec.beta2, slots["v"], g * g)
    c1, c2 = _correction(g.ar, spec.beta1, t), _correction(g.ar, spec.beta2, t)
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
    return spec.lr * m_hat / _root(v_hat, eps, place), new


def _average(rho: float, old: Quantity, new: Quantity) -> Quantity:
    """Return rho old + (1 - rho) new."""
    rest = 1 - Quantity(old.ar, rho)
    return rho * old + coefficient(rest) * new


def _root(v: Quantity, eps: float | Quantity, place: str) -> Quantity:
    """Return sqrt(v) + eps, or sqrt(v + eps)."""
    return root(v + eps) if place == "inside" else root(v) + eps


def _correction(ar: Arithmetic, beta: float, t: int) -> Quantity:
    """Return 1 - beta^t."""
    power = Quantity(ar, ar.array(beta) ** t)
    power.size = power.magnitude  # of one rounding
    return coefficient(1 - power)
