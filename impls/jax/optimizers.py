"""The update rules as pure functions: new weights and a new state.

`update` is one rule for one weight: theta, its gradient g, its slots s,
the step t and the learning rate eta. t is traced, so 1 - beta^t is
formed where the weights are, in their dtype.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from tetrapla import spec

Slots = dict[str, Array]
Step = Array  # counted from 1
State = dict[str, Any]


def root(v: Array, eps: float | Array, place: str) -> Array:
    """Return sqrt(v) + eps, or sqrt(v + eps)."""
    if place == "inside":
        return jnp.sqrt(v + eps)
    return jnp.sqrt(v) + eps


def bias_correction(beta: float, t: Step, dtype: Any) -> Array:
    """Return 1 - beta^t, in the dtype, without cancelling."""
    log_beta = math.log(beta) if beta > 0 else -math.inf
    return -jnp.expm1(t.astype(dtype) * log_beta)


@dataclass(frozen=True)
class Optimizer:
    """t += 1, then for each weight: decay, then the subclass's rule."""

    hyper: Any
    update: ClassVar[Callable[..., tuple[Array, Slots]]]

    def start(self, weights: dict[str, Array]) -> State:
        slots = {n: self.init(theta) for n, theta in weights.items()}
        return {"t": jnp.uint32(0), "slots": slots}

    def init(self, theta: Array) -> Slots:
        first = self.hyper.slots
        return {n: jnp.full_like(theta, first[n]) for n in first}

    def decay(
        self, theta: Array, g: Array, eta: float
    ) -> tuple[Array, Array]:
        if self.hyper.weight_decay == 0:
            return theta, g
        if self.hyper.decay == "coupled":
            return theta, g + self.hyper.weight_decay * theta
        return theta - eta * self.hyper.weight_decay * theta, g

    def momentum(
        self, d: Array, s: Slots, eta: float
    ) -> tuple[Array, Slots]:
        mu = self.hyper.momentum
        if mu == 0:
            return eta * d, s
        # "updates": eta goes into the velocity, not onto it
        inside = self.hyper.velocity == "updates"
        before, after = (eta, 1) if inside else (1, eta)
        # 1. b: what is left of the steps so far, and this one
        b = mu * s["velocity"] + before * d
        s = s | {"velocity": b}
        # 2. nesterov: as if b had moved on already
        if self.hyper.nesterov:
            return after * (mu * b + before * d), s
        return after * b, s

    def step(
        self,
        weights: dict[str, Array],
        gradients: dict[str, Array],
        state: State,
        eta: float,
    ) -> tuple[dict[str, Array], State]:
        t = state["t"] + 1
        new, slots = {}, {}
        for name, theta in weights.items():
            s = state["slots"][name]
            theta, g = self.decay(theta, gradients[name], eta)
            new[name], slots[name] = self.update(theta, g, s, t, eta)
        return new, {"t": t, "slots": slots}


class SGD(Optimizer):
    """theta -= eta g, or with momentum b = mu b + g, theta -= eta b."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> tuple[Array, Slots]:
        # 3. the step
        step, s = self.momentum(g, s, eta)
        return theta - step, s


class Adagrad(Optimizer):
    """a = a + g^2, theta -= eta g / (sqrt(a) + eps)."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> tuple[Array, Slots]:
        # 1. a: the sum of g^2
        a = s["a"] + g**2
        # 2. the step
        r = root(a, self.hyper.eps, self.hyper.eps_place)
        return theta - eta * g / r, {"a": a}


class Adadelta(Optimizer):
    """d = sqrt(u + eps) / sqrt(v + eps) g, theta -= eta d."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> tuple[Array, Slots]:
        rho, eps = self.hyper.rho, self.hyper.eps
        v, u = s["v"], s["u"]
        # 1. v: the moving average of g^2
        v = rho * v + (1 - rho) * g**2
        # 2. d: g in the units of theta
        d = jnp.sqrt(u + eps) / jnp.sqrt(v + eps) * g
        # 3. u: the moving average of d^2
        u = rho * u + (1 - rho) * d**2
        # 4. the step
        return theta - eta * d, {"v": v, "u": u}


class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2, theta -= eta g / (sqrt(v) + eps)."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> tuple[Array, Slots]:
        rho = self.hyper.rho
        # 1. v: the moving average of g^2
        v = rho * s["v"] + (1 - rho) * g**2
        s = s | {"v": v}
        # 2. centred: of the variance
        if self.hyper.centered:
            m = rho * s["m"] + (1 - rho) * g
            s = s | {"m": m}
            v = jnp.maximum(v - m**2, 0)  # rounding may go below 0
        # 3. the step
        d = g / root(v, self.hyper.eps, self.hyper.eps_place)
        step, s = self.momentum(d, s, eta)
        return theta - step, s


class Adam(Optimizer):
    """theta -= eta m^ / (sqrt(v^) + eps)."""

    def update(
        self, theta: Array, g: Array, s: Slots, t: Step, eta: float
    ) -> tuple[Array, Slots]:
        beta1, beta2 = self.hyper.beta1, self.hyper.beta2
        # 1. 1 - beta^t: averages that start at 0 are too small
        c1 = bias_correction(beta1, t, g.dtype)
        c2 = bias_correction(beta2, t, g.dtype)
        # 2. m and v: moving averages of g and g^2
        m = beta1 * s["m"] + (1 - beta1) * g
        v = beta2 * s["v"] + (1 - beta2) * g**2
        s = s | {"m": m, "v": v}
        # 3. corrected
        m_hat, v_hat = m / c1, v / c2
        # 4. amsgrad: the largest v so far
        if self.hyper.amsgrad:
            raw = self.hyper.amsgrad_max == "raw"
            v_max = jnp.maximum(s["v_max"], v if raw else v_hat)
            s = s | {"v_max": v_max}
            v_hat = v_max / c2 if raw else v_max
        # 5. where epsilon stands
        eps, place = self.hyper.eps, self.hyper.eps_place
        if place == "uncorrected":
            eps = eps / jnp.sqrt(c2)
        # 6. the step
        return theta - eta * m_hat / root(v_hat, eps, place), s


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


def optimizer(hyper: spec.Optimizer) -> Optimizer:
    """Return the optimizer of the specification."""
    return RULES[hyper.name](hyper)
