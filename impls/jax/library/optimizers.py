"""The update rules by calling Optax.

The learning rate is an argument of `step`, so each trace makes its own
transformation, of the traced rate. (optax.inject_hyperparams would make
every number an array, and form 1 - beta1 in the weights' dtype.)

Quirks: updates are added to the weights, so the learning rate comes in
with a minus, and a trace behind it (velocity="updates") is -velocity.
1 - beta^t is formed in the weights' dtype: with 0.999, float32 is off
by 1.3e-5. Centred, v - m^2 may round below 0, and its root is NaN.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from tetrapla import spec
from tetrapla.spec import Support

from .layers import named, parameters

Rate = float | Array
Rule: TypeAlias = optax.GradientTransformation
State = dict[str, Any]

# the specification's slots, and what Optax calls them
SLOTS = {
    "sgd": {"velocity": "trace"},
    "adagrad": {"a": "sum_of_squares"},
    "adadelta": {"v": "e_g", "u": "e_x"},
    "rmsprop": {"v": "nu", "m": "mu", "velocity": "trace"},
    "adam": {"m": "mu", "v": "nu", "v_max": "nu_max"},
}
SLOTS["adamw"] = SLOTS["adam"]


def sgd(h: Any, lr: Rate) -> Rule:
    if h.momentum and h.velocity == "updates":
        return optax.chain(
            optax.scale_by_learning_rate(lr),
            optax.trace(h.momentum, h.nesterov),
        )
    return optax.sgd(lr, h.momentum or None, h.nesterov)


def adagrad(h: Any, lr: Rate) -> Rule:
    return optax.adagrad(lr, h.initial_accumulator, h.eps)


def adadelta(h: Any, lr: Rate) -> Rule:
    coupled = h.weight_decay if h.decay == "coupled" else 0.0
    return optax.adadelta(lr, h.rho, h.eps, weight_decay=coupled)


def rmsprop(h: Any, lr: Rate) -> Rule:
    inside = h.eps_place == "inside"
    if h.momentum and h.velocity == "gradients":
        centered, plain = optax.scale_by_stddev, optax.scale_by_rms
        scale = centered if h.centered else plain
        return optax.chain(
            scale(h.rho, h.eps, eps_in_sqrt=inside),
            optax.trace(h.momentum, h.nesterov),
            optax.scale_by_learning_rate(lr),
        )
    return optax.rmsprop(
        lr,
        h.rho,
        h.eps,
        eps_in_sqrt=inside,
        centered=h.centered,
        momentum=h.momentum or None,
        nesterov=h.nesterov,
    )


def adam(h: Any, lr: Rate) -> Rule:
    inside = h.eps_place == "inside"
    given = {
        "b1": h.beta1,
        "b2": h.beta2,
        "eps": 0.0 if inside else h.eps,
        "eps_root": h.eps if inside else 0.0,
    }
    if h.amsgrad:
        return optax.amsgrad(lr, **given)
    if h.decay == "decoupled":
        return optax.adamw(lr, **given, weight_decay=h.weight_decay)
    return optax.adam(lr, **given)


RULES = {
    "sgd": sgd,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adam,
}


def decays(h: Any) -> bool:
    """Return whether Optax's own rule takes this kind of decay."""
    if h.decay == "coupled":
        return h.name == "adadelta"
    return h.name in ("adam", "adamw") and not h.amsgrad


def transformation(h: Any, lr: Rate) -> Rule:
    """Return Optax's transformation of gradients into updates."""
    rule = RULES[h.name](h, lr)
    if h.weight_decay == 0 or decays(h):
        return rule
    if h.decay == "coupled":
        decay = optax.add_decayed_weights(h.weight_decay)
        return optax.chain(decay, rule)
    decay = optax.add_decayed_weights(-lr * h.weight_decay)
    return optax.chain(rule, decay)


@cache  # the same object again: jit knows a static rule by identity
def at_own_rate(h: Any) -> Rule:
    return transformation(h, h.lr)


@cache
def at_any_rate(h: Any) -> optax.GradientTransformationExtraArgs:
    """Return the rule whose learning rate is given with each update."""

    def update(
        g: Any, state: Any, theta: Any = None, *, rate: Rate = h.lr
    ) -> Any:
        return transformation(h, rate).update(g, state, theta)

    init = transformation(h, h.lr).init
    return optax.GradientTransformationExtraArgs(init, update)


def signed(h: Any, slot: str, value: Array) -> Array:
    """Return a slot's value as Optax has it, or back."""
    if slot == "velocity" and h.velocity == "updates":
        return 0 - value  # not -value, which makes -0 of 0
    return value


def count(t: Array) -> Array:
    """Return the step as Optax counts it, up to the largest int32."""
    return jnp.minimum(t, 2**31 - 1).astype(jnp.int32)


def trees(h: Any, native: optax.OptState) -> dict[str, Any]:
    """Return what Optax's state holds in each slot."""
    own = SLOTS[h.name]
    return {slot: optax.tree.get(native, own[slot]) for slot in h.slots}


def from_trees(
    h: Any, given: dict[str, Any], t: Array, names: Iterable[str]
) -> State:
    """Return our state, from a tree of values by name for each slot."""
    slots = {
        n: {s: signed(h, s, given[s][n][...]) for s in given}
        for n in names
    }
    return {"t": t, "slots": slots}


def filled(
    h: Any, native: optax.OptState, state: State
) -> optax.OptState:
    """Return Optax's state of weights by name, with ours in it."""
    ours: dict[str, Any] = {}
    for slot in h.slots:
        ours[SLOTS[h.name][slot]] = {
            name: signed(h, slot, own[slot])
            for name, own in state["slots"].items()
        }
    if optax.tree.get(native, "count") is not None:
        ours["count"] = count(state["t"])
    return optax.tree.set(native, **ours)


@dataclass(frozen=True)
class Optimizer:
    """Optax's rule as pure functions of weights by name."""

    hyper: Any

    def start(self, weights: dict[str, Array]) -> State:
        native = at_own_rate(self.hyper).init(weights)
        first = trees(self.hyper, native)
        return from_trees(self.hyper, first, jnp.uint32(0), weights)

    def step(
        self,
        weights: dict[str, Array],
        gradients: dict[str, Array],
        state: State,
        eta: Rate,
    ) -> tuple[dict[str, Array], State]:
        rule = transformation(self.hyper, eta)
        native = filled(self.hyper, rule.init(weights), state)
        updates, native = rule.update(gradients, native, weights)
        theta: Any = optax.apply_updates(weights, updates)
        new, t = trees(self.hyper, native), state["t"] + 1
        return theta, from_trees(self.hyper, new, t, weights)


def optimizer(hyper: spec.Optimizer) -> Optimizer:
    """Return the optimizer of the specification."""
    return Optimizer(hyper)


def of_model(
    h: Any, model: nnx.Sequential, state: State, rule: Rule
) -> nnx.Optimizer:
    """Return Flax's optimizer of the model, to go on from `state`."""
    native = nnx.Optimizer(model, rule, wrt=nnx.Param)
    native.step[...] = state["t"]
    steps = optax.tree.get(native.opt_state, "count")
    if steps is not None:
        steps[...] = count(state["t"])
    for slot, tree in trees(h, native.opt_state).items():
        for name, variable in named(model, tree).items():
            variable[...] = signed(h, slot, state["slots"][name][slot])
    return native


def state_of(
    h: Any, model: nnx.Sequential, native: nnx.Optimizer
) -> State:
    """Return our state, from Flax's optimizer of the model."""
    last = {
        slot: named(model, tree)
        for slot, tree in trees(h, native.opt_state).items()
    }
    return from_trees(h, last, native.step[...], parameters(model))


def lacks(h: Any) -> str:
    """Return what of the rule Optax does not have, and why."""
    if h.name == "adagrad" and h.eps and h.eps_place == "outside":
        return (
            "optax.adagrad adds epsilon under the root, it has no "
            "eps_place='outside'"
        )
    uncorrected = getattr(h, "eps_place", "") == "uncorrected"
    if uncorrected and h.eps:
        return (
            "optax.adam adds epsilon to the corrected root, it has no "
            "eps_place='uncorrected'"
        )
    if getattr(h, "amsgrad", False) and h.amsgrad_max == "raw":
        return (
            "optax.amsgrad keeps the maximum of the corrected v, it "
            "has no amsgrad_max='raw'"
        )
    return ""


def composed(h: Any) -> list[str]:
    """Return where pieces of Optax are combined with its own rule."""
    pieces = []
    if getattr(h, "momentum", 0):
        if h.name == "sgd" and h.velocity == "updates":
            pieces.append("optax.trace after the learning rate")
        if h.name == "rmsprop" and h.velocity == "gradients":
            pieces.append("optax.trace before the learning rate")
    if h.weight_decay and not decays(h):
        add = "optax.add_decayed_weights"
        if h.decay == "coupled":
            pieces.append(f"{add}(weight_decay) before the rule")
        else:
            pieces.append(f"{add}(-lr * weight_decay) after the rule")
    return pieces


def supports(h: Any) -> Support:
    """Return whether Optax has the rule, and how."""
    if lacks(h):
        return Support("no", lacks(h))
    if composed(h):
        return Support("composed", ", ".join(composed(h)))
    return Support("native")
