"""The update rules on tf.Variable objects, assigned in place.

`update` is one rule for one weight: theta, its gradient g, its slots s,
the step t and the learning rate eta. Both are variables, so that a
compiled step counts on and follows a schedule: 1 - beta^t is a tensor,
formed in float64.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf
from tensorflow import Tensor, Variable

from tetrapla import spec

Slots = dict[str, Variable]
Step: TypeAlias = Tensor  # counted from 1


def root(v: Tensor, eps: float | Tensor, place: str) -> Tensor:
    """Return sqrt(v) + eps, or sqrt(v + eps)."""
    if place == "inside":
        return tf.sqrt(v + eps)
    return tf.sqrt(v) + eps


def bias_correction(beta: float, t: Step, dtype: tf.DType) -> Tensor:
    """Return 1 - beta^t, from float64, without cancelling."""
    log_beta = math.log(beta) if beta > 0 else -math.inf
    exact = -tf.math.expm1(tf.cast(t, tf.float64) * log_beta)
    return tf.cast(exact, dtype)


class Optimizer(tf.Module):
    """t += 1, then for each weight: decay, then the subclass's rule."""

    hyper: Any
    update: Callable[..., None]

    def __init__(
        self, hyper: spec.Optimizer, weights: dict[str, Variable]
    ) -> None:
        super().__init__()
        self.hyper = hyper
        self.weights = weights
        self.slots = {
            n: self.init(theta) for n, theta in weights.items()
        }
        self.t = tf.Variable(0, dtype=tf.int64)
        dtype = next(iter(weights.values())).dtype
        self.eta = tf.Variable(hyper.lr, dtype=dtype)

    def init(self, theta: Variable) -> Slots:
        first, one = self.hyper.slots, tf.ones_like(theta)
        return {name: Variable(first[name] * one) for name in first}

    def decay(self, theta: Variable, g: Tensor, eta: Tensor) -> Tensor:
        if self.hyper.weight_decay == 0:
            return g
        if self.hyper.decay == "coupled":
            return g + self.hyper.weight_decay * theta
        theta.assign_sub(eta * self.hyper.weight_decay * theta)
        return g

    def momentum(self, d: Tensor, s: Slots, eta: Tensor) -> Tensor:
        mu = self.hyper.momentum
        if mu == 0:
            return eta * d
        # "updates": eta goes into the velocity, not onto it
        inside = self.hyper.velocity == "updates"
        before, after = (eta, 1) if inside else (1, eta)
        # 1. b: what is left of the steps so far, and this one
        b = s["velocity"].assign(mu * s["velocity"] + before * d)
        # 2. nesterov: as if b had moved on already
        if self.hyper.nesterov:
            return after * (mu * b + before * d)
        return after * b

    def step(self, gradients: dict[str, Tensor]) -> None:
        t = self.t.assign_add(1)
        eta = self.eta.read_value()
        for name, theta in self.weights.items():
            g = self.decay(theta, gradients[name], eta)
            self.update(theta, g, self.slots[name], t, eta)


class SGD(Optimizer):
    """theta -= eta g, or with momentum b = mu b + g, theta -= eta b."""

    def update(
        self, theta: Variable, g: Tensor, s: Slots, t: Step, eta: Tensor
    ) -> None:
        # 3. the step
        theta.assign_sub(self.momentum(g, s, eta))


class Adagrad(Optimizer):
    """a = a + g^2, theta -= eta g / (sqrt(a) + eps)."""

    def update(
        self, theta: Variable, g: Tensor, s: Slots, t: Step, eta: Tensor
    ) -> None:
        # 1. a: the sum of g^2
        a = s["a"].assign_add(g**2)
        # 2. the step
        r = root(a, self.hyper.eps, self.hyper.eps_place)
        theta.assign_sub(eta * g / r)


class Adadelta(Optimizer):
    """d = sqrt(u + eps) / sqrt(v + eps) g, theta -= eta d."""

    def update(
        self, theta: Variable, g: Tensor, s: Slots, t: Step, eta: Tensor
    ) -> None:
        rho, eps = self.hyper.rho, self.hyper.eps
        v, u = s["v"], s["u"]
        # 1. v: the moving average of g^2
        v.assign(rho * v + (1 - rho) * g**2)
        # 2. d: g in the units of theta
        d = tf.sqrt(u + eps) / tf.sqrt(v + eps) * g
        # 3. u: the moving average of d^2
        u.assign(rho * u + (1 - rho) * d**2)
        # 4. the step
        theta.assign_sub(eta * d)


class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2, theta -= eta g / (sqrt(v) + eps)."""

    def update(
        self, theta: Variable, g: Tensor, s: Slots, t: Step, eta: Tensor
    ) -> None:
        rho = self.hyper.rho
        # 1. v: the moving average of g^2
        v = s["v"].assign(rho * s["v"] + (1 - rho) * g**2)
        # 2. centred: of the variance
        if self.hyper.centered:
            m = s["m"].assign(rho * s["m"] + (1 - rho) * g)
            v = tf.maximum(v - m**2, 0)  # rounding may go below 0
        # 3. the step
        d = g / root(v, self.hyper.eps, self.hyper.eps_place)
        theta.assign_sub(self.momentum(d, s, eta))


class Adam(Optimizer):
    """theta -= eta m^ / (sqrt(v^) + eps)."""

    def update(
        self, theta: Variable, g: Tensor, s: Slots, t: Step, eta: Tensor
    ) -> None:
        beta1, beta2 = self.hyper.beta1, self.hyper.beta2
        # 1. 1 - beta^t: averages that start at 0 are too small
        c1 = bias_correction(beta1, t, g.dtype)
        c2 = bias_correction(beta2, t, g.dtype)
        # 2. m and v: moving averages of g and g^2
        m = s["m"].assign(beta1 * s["m"] + (1 - beta1) * g)
        v = s["v"].assign(beta2 * s["v"] + (1 - beta2) * g**2)
        # 3. corrected
        m_hat, v_hat = m / c1, v / c2
        # 4. amsgrad: the largest v so far
        if self.hyper.amsgrad:
            raw = self.hyper.amsgrad_max == "raw"
            v_max = s["v_max"]
            v_max.assign(tf.maximum(v_max, v if raw else v_hat))
            v_hat = v_max / c2 if raw else v_max
        # 5. where epsilon stands
        eps, place = self.hyper.eps, self.hyper.eps_place
        if place == "uncorrected":
            eps = eps / tf.sqrt(c2)
        # 6. the step
        theta.assign_sub(eta * m_hat / root(v_hat, eps, place))


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
    hyper: spec.Optimizer, weights: dict[str, Variable]
) -> Optimizer:
    """Return the optimizer of the specification, for these weights."""
    return RULES[hyper.name](hyper, weights)
