"""The update rules, in place on NumPy arrays.

`update` is one rule for one weight: theta, its gradient g, its slots s,
the step t and the learning rate eta.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla import spec

Array = NDArray[Any]
Slots = dict[str, Array]
Step = int  # counted from 1


def root(v: Array, eps: float, place: str) -> Array:
    """Return sqrt(v) + eps, or sqrt(v + eps)."""
    if place == "inside":
        return np.sqrt(v + eps)
    return np.sqrt(v) + eps


def bias_correction(beta: float, t: Step) -> float:
    """Return 1 - beta^t, in float64, without cancelling."""
    return -math.expm1(t * math.log(beta)) if beta > 0 else 1.0


class Optimizer:
    """t += 1, then for each weight: decay, then the subclass's rule."""

    hyper: Any
    update: Callable[..., None]

    def __init__(
        self, hyper: spec.Optimizer, weights: dict[str, Array]
    ) -> None:
        self.hyper = hyper
        self.weights = weights
        self.slots = {
            n: self.init(theta) for n, theta in weights.items()
        }
        self.t = 0
        self.eta = hyper.lr

    def init(self, theta: Array) -> Slots:
        first = self.hyper.slots
        return {
            name: np.full_like(theta, first[name]) for name in first
        }

    def decay(self, theta: Array, g: Array, eta: float) -> Array:
        if self.hyper.weight_decay == 0:
            return g
        if self.hyper.decay == "coupled":
            return g + self.hyper.weight_decay * theta
        theta -= eta * self.hyper.weight_decay * theta
        return g

    def momentum(self, d: Array, s: Slots, eta: float) -> Array:
        mu = self.hyper.momentum
        if mu == 0:
            return eta * d
        # "updates": eta goes into the velocity, not onto it
        inside = self.hyper.velocity == "updates"
        before, after = (eta, 1) if inside else (1, eta)
        # 1. b: what is left of the steps so far, and this one
        b = s["velocity"]
        b *= mu
        b += before * d
        # 2. nesterov: as if b had moved on already
        if self.hyper.nesterov:
            return after * (mu * b + before * d)
        return after * b

    def step(self, gradients: dict[str, Array]) -> None:
        self.t += 1
        eta = self.eta
        for name, theta in self.weights.items():
            g = self.decay(theta, gradients[name], eta)
            self.update(theta, g, self.slots[name], self.t, eta)


class SGD(Optimizer):
    """theta -= eta g, or with momentum b = mu b + g, theta -= eta b."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> None:
        # 3. the step
        theta -= self.momentum(g, s, eta)


class Adagrad(Optimizer):
    """a = a + g^2, theta -= eta g / (sqrt(a) + eps)."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> None:
        # 1. a: the sum of g^2
        a = s["a"]
        a += g**2
        # 2. the step
        r = root(a, self.hyper.eps, self.hyper.eps_place)
        theta -= eta * g / r


class Adadelta(Optimizer):
    """d = sqrt(u + eps) / sqrt(v + eps) g, theta -= eta d."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> None:
        rho, eps = self.hyper.rho, self.hyper.eps
        v, u = s["v"], s["u"]
        # 1. v: the moving average of g^2
        v *= rho
        v += (1 - rho) * g**2
        # 2. d: g in the units of theta
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        # 3. u: the moving average of d^2
        u *= rho
        u += (1 - rho) * d**2
        # 4. the step
        theta -= eta * d


class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2, theta -= eta g / (sqrt(v) + eps)."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> None:
        rho, v = self.hyper.rho, s["v"]
        # 1. v: the moving average of g^2
        v *= rho
        v += (1 - rho) * g**2
        # 2. centred: of the variance
        if self.hyper.centered:
            m = s["m"]
            m *= rho
            m += (1 - rho) * g
            v = np.maximum(v - m**2, 0)  # rounding may go below 0
        # 3. the step
        d = g / root(v, self.hyper.eps, self.hyper.eps_place)
        theta -= self.momentum(d, s, eta)


class Adam(Optimizer):
    """theta -= eta m^ / (sqrt(v^) + eps)."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> None:
        beta1, beta2 = self.hyper.beta1, self.hyper.beta2
        # 1. 1 - beta^t: averages that start at 0 are too small
        c1 = bias_correction(beta1, t)
        c2 = bias_correction(beta2, t)
        # 2. m and v: moving averages of g and g^2
        m, v = s["m"], s["v"]
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g**2
        # 3. corrected
        m_hat, v_hat = m / c1, v / c2
        # 4. amsgrad: the largest v so far
        if self.hyper.amsgrad:
            raw = self.hyper.amsgrad_max == "raw"
            v_max = s["v_max"]
            v_max[...] = np.maximum(v_max, v if raw else v_hat)
            v_hat = v_max / c2 if raw else v_max
        # 5. where epsilon stands
        eps, place = self.hyper.eps, self.hyper.eps_place
        if place == "uncorrected":
            eps = eps / math.sqrt(c2)
        # 6. the step
        theta -= eta * m_hat / root(v_hat, eps, place)


class AdamW(Adam):
    """Adam with decoupled decay: theta -= eta lambda theta first."""


RULES = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}


def optimizer(
    hyper: spec.Optimizer, weights: dict[str, Array]
) -> Optimizer:
    """Return the optimizer of the specification, for these weights."""
    return RULES[hyper.name](hyper, weights)
