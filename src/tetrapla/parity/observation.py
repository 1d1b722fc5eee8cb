"""What a backend answers for each kind of case.

Everything goes through the public contract: a backend of somebody else's is
asked the same.
"""

from functools import singledispatch

import numpy as np

from tetrapla.backends import Backend
from tetrapla.parity.cases import (
    ActivationCase,
    Case,
    LossCase,
    NetworkCase,
    OptimizerCase,
    TrainingCase,
)
from tetrapla.spec.contract import Arrays
from tetrapla.spec.layers import Dense, Sequential


@singledispatch
def observe(case: Case, backend: Backend) -> Arrays:
    """Return every tensor of the case, by the names of reference.py."""
    raise TypeError(f"nobody asks a backend for {type(case).__name__}")


@observe.register
def _(case: ActivationCase, backend: Backend) -> Arrays:
    answers = {"a": backend.activation(case.activation, case.z)}
    if not case.forward_only:
        g, z, da = case.activation, case.z, case.upstream
        answers["dz"] = backend.activation_gradient(g, z, da)
    return answers


@observe.register
def _(case: LossCase, backend: Backend) -> Arrays:
    answers = {"loss": np.asarray(backend.loss(case.loss, case.outputs, case.y))}
    if case.loss.reduction != "none":
        # The gradient is seen behind a layer that changes nothing.
        width = case.outputs.shape[1]
        weights = {"0.weight": np.eye(width), "0.bias": np.zeros(width)}
        net = Sequential(Dense(width, width))
        stages = backend.trace(net, weights, case.outputs, case.y, case.loss)
        answers["gradient"] = stages["0.da"]
    return answers


@observe.register
def _(case: NetworkCase, backend: Backend) -> Arrays:
    x, y = case.data
    given = (case.net, case.weights, x, y, case.loss)
    stages = backend.trace(*given, key=case.key)
    result = backend.loss_and_gradients(*given, key=case.key)
    answers = {
        "forward": backend.forward(case.net, case.weights, x, key=case.key),
        "loss_and_gradients.loss": np.asarray(result.loss),
        "loss_and_gradients.input": result.input,
    }
    gradients = {f"loss_and_gradients.{name}": g for name, g in result.weights.items()}
    return {f"trace.{name}": a for name, a in stages.items()} | answers | gradients


@observe.register
def _(case: OptimizerCase, backend: Backend) -> Arrays:
    weights = case.weights
    state = backend.init_optimizer(case.optimizer, weights)
    answers = {f"t=0 {name}": a for name, a in state.items()}
    for t in range(1, case.steps + 1):
        weights, state = backend.update(case.at(t), weights, case.gradients(t), state)
        answers |= {f"t={t} {name}": a for name, a in (weights | state).items()}
    return answers


@observe.register
def _(case: TrainingCase, backend: Backend) -> Arrays:
    data, validation = case.data
    run = backend.fit(case.net, case.weights, data, case.training, validation=validation)
    history = {
        f"history.{name}": np.asarray(values, backend.dtype)
        for name, values in run.history.items()
    }
    return history | run.weights
