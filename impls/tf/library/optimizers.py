"""The update rules by calling keras.optimizers.

Quirks: Keras's velocity is minus the specification's: v = mu v - eta g,
theta += v. Its weight_decay is decoupled in every rule. The learning
rate is a variable of Keras's floatx, float32 here (settings.py), and
Python numbers become float32 on the way to SGD's momentum, to
weight_decay, to beta^t and to Adagrad's first accumulator, in float64
too.
"""

from typing import Any

import keras
import tensorflow as tf

from tetrapla import spec
from tetrapla.spec import Support

# the specification's slots, and what Keras calls them
SLOTS = {
    "sgd": {"velocity": "momentums"},
    "adagrad": {"a": "_accumulators"},
    "adadelta": {
        "v": "_accumulated_grads",
        "u": "_accumulated_delta_vars",
    },
    "rmsprop": {
        "v": "_velocities",
        "m": "_average_gradients",
        "velocity": "_momentums",
    },
    "adam": {
        "m": "_momentums",
        "v": "_velocities",
        "v_max": "_velocity_hats",
    },
}
SLOTS["adamw"] = SLOTS["adam"]


def sgd(h: Any) -> keras.Optimizer:
    return keras.optimizers.SGD(
        h.lr,
        momentum=h.momentum,
        nesterov=h.nesterov,
        weight_decay=decoupled(h),
        name=h.name,
    )


def adagrad(h: Any) -> keras.Optimizer:
    return keras.optimizers.Adagrad(
        h.lr,
        initial_accumulator_value=h.initial_accumulator,
        epsilon=h.eps,
        weight_decay=decoupled(h),
        name=h.name,
    )


def adadelta(h: Any) -> keras.Optimizer:
    return keras.optimizers.Adadelta(
        h.lr,
        rho=h.rho,
        epsilon=h.eps,
        weight_decay=decoupled(h),
        name=h.name,
    )


def rmsprop(h: Any) -> keras.Optimizer:
    return keras.optimizers.RMSprop(
        h.lr,
        rho=h.rho,
        momentum=h.momentum,
        epsilon=h.eps,
        centered=h.centered,
        weight_decay=decoupled(h),
        name=h.name,
    )


def adam(h: Any) -> keras.Optimizer:
    kind = keras.optimizers.Adam
    if h.name == "adamw":
        kind = keras.optimizers.AdamW
    return kind(
        h.lr,
        beta_1=h.beta1,
        beta_2=h.beta2,
        epsilon=h.eps,
        amsgrad=h.amsgrad,
        weight_decay=decoupled(h),
        name=h.name,
    )


def decoupled(h: Any) -> float | None:
    """Return the decay that Keras takes off the weights."""
    return h.weight_decay if h.decay == "decoupled" else None


RULES = {
    "sgd": sgd,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adam,
}


def decay_first(optimizer: Any, weight_decay: float) -> None:
    """Add the decay to each gradient, coupled, before the rule."""
    rule = optimizer.update_step

    def update_step(g: tf.Tensor, theta: Any, eta: Any) -> None:
        rule(g + weight_decay * theta, theta, eta)

    optimizer.update_step = update_step


def optimizer(
    hyper: spec.Optimizer, weights: list[keras.Variable]
) -> keras.Optimizer:
    """Return Keras's optimizer of these weights."""
    native = RULES[hyper.name](hyper)
    if hyper.decay == "coupled" and hyper.weight_decay:
        decay_first(native, hyper.weight_decay)
    native.build(weights)
    return native


EPS_PLACES = {
    "adagrad": "inside",
    "rmsprop": "inside",
    "adam": "uncorrected",
    "adamw": "uncorrected",
}


def supports(h: Any) -> Support:
    """Return whether keras.optimizers has the rule, and how."""
    place = EPS_PLACES.get(h.name)
    if h.name == "rmsprop" and h.nesterov:
        return Support("no", "keras.optimizers.RMSprop has no nesterov")
    if place and h.eps and h.eps_place != place:
        return Support(
            "no",
            f"keras.optimizers' {h.name} has eps_place={place!r}, "
            f"it has no eps_place={h.eps_place!r}",
        )
    if getattr(h, "momentum", 0) and h.velocity == "gradients":
        return Support(
            "no",
            "keras.optimizers multiplies the gradient by the learning "
            "rate before the velocity, it has no velocity='gradients'",
        )
    if getattr(h, "amsgrad", False) and h.amsgrad_max == "corrected":
        return Support(
            "no",
            "keras.optimizers.Adam keeps the maximum of the raw v, it "
            "has no amsgrad_max='corrected'",
        )
    if h.weight_decay and h.decay == "coupled":
        return Support(
            "composed",
            "an update_step that adds weight_decay * theta to each "
            "gradient before Keras's rule",
        )
    return Support("native")
