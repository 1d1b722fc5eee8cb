"""What must come out of each kind of case, in a given arithmetic.

The formulas are the specification's, in activations.py, losses.py,
optimizers.py and networks.py beside this file: gradients derived by hand,
no framework, nothing of impls. The names of the tensors are those that
observation.py gives to a backend's answers.
"""

from functools import lru_cache, singledispatch

import numpy as np

from tetrapla.parity import activations, losses, networks, optimizers
from tetrapla.parity.arithmetic import Arithmetic
from tetrapla.parity.cases import (
    ActivationCase,
    Case,
    LossCase,
    NetworkCase,
    OptimizerCase,
    TrainingCase,
)
from tetrapla.parity.quantity import Quantity, exact, lift

Expected = dict[str, Quantity]


@lru_cache(maxsize=8)  # one case is asked for by several backends in a row
def expect(case: Case, ar: Arithmetic) -> Expected:
    """Return every tensor of the case, with sizes."""
    with np.errstate(all="ignore"):  # infinities are answers here
        return _expect(case, ar)


@singledispatch
def _expect(case: Case, ar: Arithmetic) -> Expected:
    raise TypeError(f"the reference has no {type(case).__name__}")


@_expect.register
def _(case: ActivationCase, ar: Arithmetic) -> Expected:
    z = exact(ar, case.z)
    expected = {"a": activations.activation(case.activation, z)}
    if not case.forward_only:
        da = exact(ar, case.upstream)
        expected["dz"] = activations.gradient(case.activation, z, da)
    return expected


@_expect.register
def _(case: LossCase, ar: Arithmetic) -> Expected:
    outputs = exact(ar, case.outputs)
    expected = {"loss": losses.loss(case.loss, outputs, case.y)}
    if case.loss.reduction != "none":
        expected["gradient"] = losses.gradient(case.loss, outputs, case.y)
    return expected


@_expect.register
def _(case: NetworkCase, ar: Arithmetic) -> Expected:
    weights = {name: exact(ar, w) for name, w in case.weights.items()}
    x, y = case.data
    stages = networks.trace(case.net, weights, exact(ar, x), y, case.loss, case.key)
    outputs = stages[f"{len(case.net.layers) - 1}.a"]
    answers = {"forward": outputs, "loss_and_gradients.loss": stages["loss"]}
    for name in weights:
        answers[f"loss_and_gradients.{name}"] = stages[f"{name}.grad"]
    answers["loss_and_gradients.input"] = stages["input.grad"]
    return {f"trace.{name}": q for name, q in stages.items()} | answers


@_expect.register
def _(case: OptimizerCase, ar: Arithmetic) -> Expected:
    weights = {name: exact(ar, w) for name, w in case.weights.items()}
    slots = {
        name: {
            slot: lift(ar, np.full(w.shape, first))
            for slot, first in case.optimizer.slots.items()
        }
        for name, w in weights.items()
    }
    expected = _state(0, slots, ar)
    for t in range(1, case.steps + 1):
        for name, g in case.gradients(t).items():
            weights[name], slots[name] = optimizers.update(
                case.at(t), weights[name], exact(ar, g), slots[name], t
            )
        expected |= {f"t={t} {name}": w for name, w in weights.items()}
        expected |= _state(t, slots, ar)
    return expected


def _state(t: int, slots: dict[str, dict[str, Quantity]], ar: Arithmetic) -> Expected:
    state = {"t": exact(ar, float(t))}
    for name, of_weight in slots.items():
        state |= {f"{slot}/{name}": q for slot, q in of_weight.items()}
    return {f"t={t} {name}": q for name, q in state.items()}


@_expect.register
def _(case: TrainingCase, ar: Arithmetic) -> Expected:
    weights = {name: exact(ar, w) for name, w in case.weights.items()}
    data, validation = case.data
    return networks.fit(case.net, weights, data, case.training, validation)
