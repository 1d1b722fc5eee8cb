"""The update rules as torch.optim.Optimizer classes, in place.

`update` is one rule for one weight: theta, its gradient g, its slots s,
the step t and the learning rate eta.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tetrapla import spec

Slots = dict[str, Tensor]
Step = int | Tensor  # counted from 1; a tensor on a GPU: graphs.py
Rate = float | Tensor  # a tensor of many, to broadcast: sweep.py


def root(v: Tensor, eps: Rate, place: str) -> Tensor:
    """Return sqrt(v) + eps, or sqrt(v + eps)."""
    if place == "inside":
        return (v + eps).sqrt_()
    return v.sqrt().add_(eps)


def bias_correction(beta: float, t: Step) -> Rate:
    """Return 1 - beta^t, without cancelling."""
    if beta == 0:
        return 1.0
    exponent = t * math.log(beta)  # float64, but for a tensor
    if isinstance(exponent, Tensor):
        return -torch.expm1(exponent)
    return -math.expm1(exponent)


class Optimizer(torch.optim.Optimizer):
    """t += 1, then for each weight: decay, then the subclass's rule."""

    hyper: Any
    update: Callable[..., None]

    def __init__(
        self, hyper: spec.Optimizer, weights: dict[str, Tensor]
    ) -> None:
        super().__init__(weights.values(), {"lr": hyper.lr, "t": 0})
        self.hyper = hyper
        for theta in weights.values():
            self.state[theta] = self.init(theta)

    def init(self, theta: Tensor) -> Slots:
        first = self.hyper.slots
        return {n: torch.full_like(theta, first[n]) for n in first}

    def decay(self, theta: Tensor, g: Tensor, eta: Rate) -> Tensor:
        if self.hyper.weight_decay == 0:
            return g
        if self.hyper.decay == "coupled":
            return g.add(theta, alpha=self.hyper.weight_decay)
        theta.sub_(eta * self.hyper.weight_decay * theta)
        return g

    def momentum(self, d: Tensor, s: Slots, eta: Rate) -> Tensor:
        mu = self.hyper.momentum
        if mu == 0:
            return eta * d
        # "updates": eta goes into the velocity, not onto it
        inside = self.hyper.velocity == "updates"
        before, after = (eta, 1) if inside else (1, eta)
        # 1. b: what is left of the steps so far, and this one
        b = s["velocity"]
        b.mul_(mu).add_(before * d)
        # 2. nesterov: as if b had moved on already
        if self.hyper.nesterov:
            return after * (mu * b + before * d)
        return after * b

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            group["t"] += 1
            t, eta = group["t"], group["lr"]
            for theta in group["params"]:
                g = self.decay(theta, theta.grad, eta)
                self.update(theta, g, self.state[theta], t, eta)


class SGD(Optimizer):
    """theta -= eta g, or with momentum b = mu b + g, theta -= eta b."""

    def update(
        self, theta: Tensor, g: Tensor, s: Slots, t: Step, eta: Rate
    ) -> None:
        # 3. the step
        theta.sub_(self.momentum(g, s, eta))


class Adagrad(Optimizer):
    """a = a + g^2, theta -= eta g / (sqrt(a) + eps)."""

    def update(
        self, theta: Tensor, g: Tensor, s: Slots, t: Step, eta: Rate
    ) -> None:
        # 1. a: the sum of g^2
        a = s["a"]
        a.addcmul_(g, g)
        # 2. the step
        r = root(a, self.hyper.eps, self.hyper.eps_place)
        theta.sub_(eta * g / r)


class Adadelta(Optimizer):
    """d = sqrt(u + eps) / sqrt(v + eps) g, theta -= eta d."""

    def update(
        self, theta: Tensor, g: Tensor, s: Slots, t: Step, eta: Rate
    ) -> None:
        rho, eps = self.hyper.rho, self.hyper.eps
        v, u = s["v"], s["u"]
        # 1. v: the moving average of g^2
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        # 2. d: g in the units of theta
        d = (u + eps).sqrt_() / (v + eps).sqrt_() * g
        # 3. u: the moving average of d^2
        u.mul_(rho).addcmul_(d, d, value=1 - rho)
        # 4. the step
        theta.sub_(eta * d)


class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2, theta -= eta g / (sqrt(v) + eps)."""

    def update(
        self, theta: Tensor, g: Tensor, s: Slots, t: Step, eta: Rate
    ) -> None:
        rho, v = self.hyper.rho, s["v"]
        # 1. v: the moving average of g^2
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        # 2. centred: of the variance
        if self.hyper.centered:
            m = s["m"]
            m.mul_(rho).add_(g, alpha=1 - rho)
            v = (v - m * m).clamp_(min=0)  # rounding may go below 0
        # 3. the step
        d = g / root(v, self.hyper.eps, self.hyper.eps_place)
        theta.sub_(self.momentum(d, s, eta))


class Adam(Optimizer):
    """theta -= eta m^ / (sqrt(v^) + eps)."""

    def update(
        self, theta: Tensor, g: Tensor, s: Slots, t: Step, eta: Rate
    ) -> None:
        beta1, beta2 = self.hyper.beta1, self.hyper.beta2
        # 1. 1 - beta^t: averages that start at 0 are too small
        c1 = bias_correction(beta1, t)
        c2 = bias_correction(beta2, t)
        # 2. m and v: moving averages of g and g^2
        m, v = s["m"], s["v"]
        m.mul_(beta1).add_(g, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        # 3. corrected
        m_hat, v_hat = m / c1, v / c2
        # 4. amsgrad: the largest v so far
        if self.hyper.amsgrad:
            raw = self.hyper.amsgrad_max == "raw"
            v_max = s["v_max"]
            v_max.copy_(torch.maximum(v_max, v if raw else v_hat))
            v_hat = v_max / c2 if raw else v_max
        # 5. where epsilon stands
        eps, place = self.hyper.eps, self.hyper.eps_place
        if place == "uncorrected":
            eps = eps / c2**0.5
        # 6. the step
        theta.sub_(eta * m_hat / root(v_hat, eps, place))


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
    hyper: spec.Optimizer, weights: dict[str, Tensor]
) -> Optimizer:
    """Return the optimizer of the specification, for these weights."""
    return RULES[hyper.name](hyper, weights)
