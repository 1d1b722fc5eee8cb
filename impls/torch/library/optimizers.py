"""The update rules by calling torch.optim."""

import math
from typing import Any

import torch
from torch import Tensor, optim

from tetrapla.spec import Support

# the specification's slots, and what torch calls them
SLOTS = {
    "sgd": {"velocity": "momentum_buffer"},
    "adagrad": {"a": "sum"},
    "adadelta": {"v": "square_avg", "u": "acc_delta"},
    "rmsprop": {
        "v": "square_avg",
        "m": "grad_avg",
        "velocity": "momentum_buffer",
    },
    "adam": {
        "m": "exp_avg",
        "v": "exp_avg_sq",
        "v_max": "max_exp_avg_sq",
    },
}
SLOTS["adamw"] = SLOTS["adam"]


def sgd(h: Any, theta: list[Tensor]) -> optim.Optimizer:
    return optim.SGD(
        theta,
        h.lr,
        momentum=h.momentum,
        nesterov=h.nesterov,
        weight_decay=coupled(h),
    )


def adagrad(h: Any, theta: list[Tensor]) -> optim.Optimizer:
    return optim.Adagrad(
        theta,
        h.lr,
        eps=h.eps,
        initial_accumulator_value=h.initial_accumulator,
        weight_decay=coupled(h),
    )


def adadelta(h: Any, theta: list[Tensor]) -> optim.Optimizer:
    return optim.Adadelta(
        theta, h.lr, rho=h.rho, eps=h.eps, weight_decay=coupled(h)
    )


def rmsprop(h: Any, theta: list[Tensor]) -> optim.Optimizer:
    return optim.RMSprop(
        theta,
        h.lr,
        alpha=h.rho,
        eps=h.eps,
        momentum=h.momentum,
        centered=h.centered,
        weight_decay=coupled(h),
    )


def adam(h: Any, theta: list[Tensor]) -> optim.Optimizer:
    kind = optim.AdamW if h.decay == "decoupled" else optim.Adam
    return kind(
        theta,
        h.lr,
        betas=(h.beta1, h.beta2),
        eps=h.eps,
        amsgrad=h.amsgrad,
        weight_decay=h.weight_decay,
    )


def coupled(h: Any) -> float:
    """Return the decay that torch adds to the gradient."""
    return h.weight_decay if h.decay == "coupled" else 0.0


RULES = {
    "sgd": sgd,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adam,
}
DECOUPLED = ("adam", "adamw")  # torch.optim.AdamW


def decays_first(h: Any) -> bool:
    """Return whether the decay is decoupled where torch's is not."""
    decoupled = h.weight_decay and h.decay == "decoupled"
    return bool(decoupled and h.name not in DECOUPLED)


def decay_first(
    optimizer: optim.Optimizer, weight_decay: float
) -> None:
    """Decay the weights, decoupled, before each step."""

    @torch.no_grad()
    def decay(optimizer: optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for theta in group["params"]:
                theta.mul_(1 - group["lr"] * weight_decay)

    optimizer.register_step_pre_hook(decay)


def place(h: Any) -> str:
    """Return where epsilon stands; 0 stands where torch's does."""
    eps = getattr(h, "eps", 0.0)
    return getattr(h, "eps_place", "outside") if eps else "outside"


def eps_hat(optimizer: optim.Optimizer, h: Any) -> None:
    """Let epsilon stand beside the raw root: Keras's Adam.

    That is eps / sqrt(1 - beta2^t) beside the corrected one.
    """

    def scale(optimizer: optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            state = optimizer.state[group["params"][0]]
            t = int(state["step"]) + 1 if state else 1
            group["eps"] = h.eps / math.sqrt(-math.expm1(t * log_beta))

    log_beta = math.log(h.beta2) if h.beta2 > 0 else -math.inf
    optimizer.register_step_pre_hook(scale)


def optimizer(
    hyper: Any, weights: dict[str, Tensor]
) -> optim.Optimizer:
    """Return torch's optimizer of these weights."""
    native = RULES[hyper.name](hyper, list(weights.values()))
    if decays_first(hyper):
        decay_first(native, hyper.weight_decay)
    if place(hyper) == "uncorrected":
        eps_hat(native, hyper)
    return native


def supports(h: Any) -> Support:
    """Return whether torch.optim has the rule, and how."""
    if h.name == "rmsprop" and h.nesterov:
        return Support("no", "torch.optim.RMSprop has no nesterov")
    if place(h) == "inside":
        return Support(
            "no",
            f"torch.optim's {h.name} adds epsilon to the root, "
            f"it has no eps_place={h.eps_place!r}",
        )
    if getattr(h, "momentum", 0) and h.velocity == "updates":
        return Support(
            "no",
            "torch.optim multiplies the velocity by the learning rate, "
            "it has no velocity='updates'",
        )
    if getattr(h, "amsgrad", False) and h.amsgrad_max == "corrected":
        return Support(
            "no",
            "torch.optim.Adam keeps the maximum of the raw v, it has "
            "no amsgrad_max='corrected'",
        )
    if place(h) == "uncorrected":
        return Support(
            "composed",
            "a step_pre_hook that sets each group's eps to "
            "eps / sqrt(1 - beta2**t) before step t",
        )
    if decays_first(h):
        return Support(
            "composed",
            "a step_pre_hook that multiplies the weights by "
            "1 - lr * weight_decay",
        )
    return Support("native")
