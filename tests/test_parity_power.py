"""Planted faults: each must be caught, in the component that has it."""

from dataclasses import replace

import numpy as np
import pytest

from tetrapla.backends import Backend, load
from tetrapla.parity.cases import DifferenceCase
from tetrapla.parity.engine import DIFFERS, ERROR, NOT_RUN, run
from tetrapla.parity.suite import cases
from tetrapla.spec import Adam, GELUErf, GELUTanh, LossAndGradients


class Sabotaged(Backend):
    """NumPy's backend with one method replaced by a subclass."""

    def __init__(self, dtype: str = "float64") -> None:
        super().__init__("sabotaged", load("numpy", dtype=dtype).implementation)


class NaNs(Sabotaged):
    def activation(self, activation, z):
        return np.full_like(super().activation(activation, z), np.nan)


class ReturnsItsInput(Sabotaged):
    def activation(self, activation, z):
        return np.array(z, self.dtype)


class WrongAtTheKink(Sabotaged):
    def activation_gradient(self, activation, z, upstream):
        dz = super().activation_gradient(activation, z, upstream)
        return np.where(z == 0, upstream, dz) if activation.name == "relu" else dz


class OtherGELU(Sabotaged):
    def activation(self, activation, z):
        return super().activation(
            GELUTanh() if isinstance(activation, GELUErf) else activation, z
        )


class NaiveSoftplus(Sabotaged):
    def activation(self, activation, z):
        if activation.name != "softplus":
            return super().activation(activation, z)
        with np.errstate(over="ignore"):
            return np.log(1 + np.exp(z)).astype(self.dtype)


class WrongTraceStage(Sabotaged):
    def stage(self, stages, net, weights, x):
        raise NotImplementedError

    def trace(self, net, weights, x, y, loss, *, key=None):
        stages = super().trace(net, weights, x, y, loss, key=key)
        return self.stage(stages, net, weights, x)


class MissingMean(WrongTraceStage):
    def stage(self, stages, net, weights, x):
        last = f"{len(net.layers) - 1}.da"
        return stages | {last: stages[last] * len(x)}


class BiasOverWrongAxis(WrongTraceStage):
    def stage(self, stages, net, weights, x):
        dz = stages.get("0.dz")
        if dz is None or dz.shape[0] != dz.shape[1]:
            return stages
        return stages | {"0.bias.grad": dz.sum(axis=1)}


class Transposed(Sabotaged):
    def forward(self, net, weights, x, *, key=None):
        w = weights.get("0.weight")
        if w is not None and w.shape[0] == w.shape[1]:
            weights = dict(weights) | {"0.weight": w.T}
        return super().forward(net, weights, x, key=key)


class GradientOffByAPercent(Sabotaged):
    def loss_and_gradients(self, net, weights, x, y, loss, *, key=None):
        r = super().loss_and_gradients(net, weights, x, y, loss, key=key)
        wrong = {name: 1.01 * g for name, g in r.weights.items()}
        return LossAndGradients(r.loss, wrong, r.input)


class OtherOptimizer(Sabotaged):
    def change(self, spec):
        raise NotImplementedError

    def update(self, optimizer, weights, gradients, state):
        return super().update(self.change(optimizer), weights, gradients, state)


class BigEpsilon(OtherOptimizer):
    def change(self, spec):
        return replace(spec, eps=1e-7) if spec.name == "adam" else spec


class EpsilonInside(OtherOptimizer):
    def change(self, spec):
        outside = spec.name == "rmsprop" and spec.eps_place == "outside"
        return replace(spec, eps_place="inside") if outside else spec


class CoupledDecay(OtherOptimizer):
    def change(self, spec):
        wrong = spec.name == "sgd" and spec.decay == "decoupled"
        return replace(spec, decay="coupled") if wrong else spec


class NoNesterov(OtherOptimizer):
    def change(self, spec):
        return replace(spec, nesterov=False) if spec.name == "sgd" else spec


class OtherVelocity(OtherOptimizer):
    def change(self, spec):
        return replace(spec, velocity="gradients") if spec.name == "sgd" else spec


class UnclampedVariance(Sabotaged):
    def update(self, optimizer, weights, gradients, state):
        new, state = super().update(optimizer, weights, gradients, state)
        if getattr(optimizer, "centered", False) and optimizer.rho == 0:
            new = {name: np.full_like(w, np.nan) for name, w in new.items()}
        return new, state


class NoBiasCorrection(Sabotaged):
    def update(self, optimizer, weights, gradients, state):
        if optimizer.name != "adam":
            return super().update(optimizer, weights, gradients, state)
        late = dict(state) | {"t": np.int64(10**6)}
        new, after = super().update(optimizer, weights, gradients, late)
        return new, after | {"t": state["t"] + 1}


class ForgottenStep(Sabotaged):
    def update(self, optimizer, weights, gradients, state):
        new, after = super().update(optimizer, weights, gradients, state)
        return new, after | {"t": state["t"]}


class NoAMSGrad(Sabotaged):
    def update(self, optimizer, weights, gradients, state):
        if not getattr(optimizer, "amsgrad", False):
            return super().update(optimizer, weights, gradients, state)
        plain = replace(optimizer, amsgrad=False)
        kept = {k: v for k, v in state.items() if not k.startswith("v_max")}
        new, after = super().update(plain, weights, gradients, kept)
        maxima = {
            f"v_max/{name}": np.maximum(state[f"v_max/{name}"], after[f"v/{name}"])
            for name in weights
        }
        return new, after | maxima


class Unstable(Sabotaged):
    """Forms that are right on paper and cancel in floating point."""

    def activation(self, activation, z):
        if activation.name == "softplus":  # linear from 20 up, as one library's is
            return np.where(z > 20, z, super().activation(activation, z))
        return super().activation(activation, z)

    def activation_gradient(self, activation, z, upstream):
        with np.errstate(all="ignore"):
            s = 1 / (1 + np.exp(-z))
            if activation.name == "sigmoid":
                return upstream * s * (1 - s)
        return super().activation_gradient(activation, z, upstream)

    def loss(self, loss, outputs, y):
        if loss.name != "binary_cross_entropy":
            return super().loss(loss, outputs, y)
        with np.errstate(all="ignore"):
            if loss.from_logits:
                e = np.exp(-np.abs(outputs))
                elements = np.maximum(outputs, 0) - outputs * y + np.log(1 + e)
            else:
                one = np.where(y > 0, y * np.log(outputs), 0)
                elements = -one - np.where(y < 1, (1 - y) * np.log(1 - outputs), 0)
            examples = getattr(elements, loss.outputs)(axis=1)
            how = loss.reduction
            return examples if how == "none" else getattr(examples, how)()

    def trace(self, net, weights, x, y, loss, *, key=None):
        stages = super().trace(net, weights, x, y, loss, key=key)
        if getattr(loss, "from_logits", False) and loss.reduction == "sum":
            z = stages["0.a"]
            with np.errstate(all="ignore"):
                stages["0.da"] = 1 / (1 + np.exp(-z)) - y
        return stages


class Raises(Sabotaged):
    def activation(self, activation, z):
        if activation.name == "tanh":
            raise RuntimeError("no such kernel")
        return super().activation(activation, z)


def failing(backend, text=""):
    chosen = [case for case in cases() if text in case.id]
    verdicts = list(run(chosen, [backend]))
    assert verdicts
    return {v.component for v in verdicts if v.failed}, verdicts


@pytest.mark.parametrize(
    ("fault", "text", "component"),
    [
        (NaNs, "activation/sigmoid", "activation/sigmoid"),
        (ReturnsItsInput, "activation/", "activation/tanh"),
        (WrongAtTheKink, "activation/", "activation/relu"),
        (OtherGELU, "activation/", "activation/gelu_erf"),
        (NaiveSoftplus, "activation/", "activation/softplus"),
        (Unstable, "activation/sigmoid", "activation/sigmoid"),
        (Unstable, "activation/softplus", "activation/softplus"),
        (Unstable, "loss/bce-logits-tails-none", "loss/bce on logits"),
        (Unstable, "loss/bce-logits-tails-sum", "loss/bce on logits"),
        (Unstable, "loss/bce-probabilities-tails-none", "loss/bce on probabilities"),
        (MissingMean, "loss/mse", "loss/mse"),
        (MissingMean, "loss/bce", "loss/bce on logits"),
        (BiasOverWrongAxis, "layer/dense", "layer/dense"),
        (Transposed, "layer/dense", "layer/dense"),
        (GradientOffByAPercent, "layer/", "layer/differences"),
        (BigEpsilon, "optimizer/", "optimizer/adam"),
        (EpsilonInside, "optimizer/", "optimizer/rmsprop"),
        (CoupledDecay, "optimizer/", "optimizer/sgd"),
        (NoNesterov, "optimizer/", "optimizer/sgd"),
        (OtherVelocity, "optimizer/", "optimizer/sgd"),
        (UnclampedVariance, "optimizer/", "optimizer/rmsprop"),
        (NoBiasCorrection, "optimizer/", "optimizer/adam"),
        (ForgottenStep, "optimizer/", "optimizer/sgd"),
        (NoAMSGrad, "optimizer/adam-", "optimizer/adam"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_is_caught_and_named(fault, text, component):
    failed, _ = failing(fault(), text)
    assert component in failed


@pytest.mark.parametrize(
    ("fault", "component"),
    [
        (WrongAtTheKink, "activation/relu"),
        (OtherGELU, "activation/gelu_erf"),
        (NaiveSoftplus, "activation/softplus"),
    ],
)
def test_nothing_else_is_blamed(fault, component):
    failed, _ = failing(fault(), "activation/")
    assert failed == {component}


@pytest.mark.parametrize("fault", [BigEpsilon, NoBiasCorrection])
def test_only_adam_is_blamed(fault):
    failed, _ = failing(fault(), "optimizer/")
    assert failed == {"optimizer/adam"}


class Scaled(Sabotaged):
    """Adam's steps are off by a relative error."""

    error = 0.0

    def update(self, optimizer, weights, gradients, state):
        new, after = super().update(optimizer, weights, gradients, state)
        for name, w in new.items():
            old = np.asarray(weights[name], self.dtype)
            new[name] = (old + (w - old) * (1 + self.error)).astype(self.dtype)
        return new, after


@pytest.mark.parametrize(
    ("dtype", "error", "caught"),
    [
        ("float64", 5e-9, True),  # a learning rate that went through float32
        ("float64", 1e-14, True),
        ("float64", 0.0, False),
        ("float32", 7e-6, True),  # 1 - beta^t formed in float32
        ("float32", 0.0, False),
    ],
)
def test_a_relative_error_of_the_step(dtype, error, caught):
    backend = Scaled(dtype)
    backend.error = error
    failed, _ = failing(backend, "optimizer/adam-defaults")
    assert bool(failed) == caught


def test_an_exception_hides_no_other_case():
    failed, verdicts = failing(Raises(), "activation/")
    assert failed == {"activation/tanh"}
    status = {v.case: v for v in verdicts}
    assert status["activation/tanh"].status == ERROR
    assert status["activation/tanh"].message == "RuntimeError: no such kernel"
    assert not status["activation/relu"].failed


def test_the_tensor_and_the_step_are_named():
    _, verdicts = failing(BigEpsilon(), "optimizer/adam-defaults")
    (verdict,) = verdicts
    assert verdict.status == DIFFERS
    assert verdict.first.place == "step 1: 0.weight"
    wrong = [c.tensor for c in verdict.comparisons if not c.agrees]
    assert not any("m/" in name for name in wrong)


def test_without_scikit_learn_its_cases_are_not_run(monkeypatch):
    from tetrapla.data import MissingExtraError
    from tetrapla.parity import samples

    def absent(source, n, numbers):
        raise MissingExtraError("pip install 'tetrapla[data]'")

    monkeypatch.setattr(samples, "real", absent)
    chosen = [
        replace(case, id=f"{case.id}-absent")
        for case in cases()
        if case.component == "network/digits" and not isinstance(case, DifferenceCase)
    ]
    verdicts = list(run(chosen, [load("numpy")]))
    assert {v.status for v in verdicts} == {NOT_RUN}
    assert not any(v.failed for v in verdicts)
    assert "tetrapla[data]" in verdicts[0].message


def test_correct_code_is_not_caught():
    failed, _ = failing(Sabotaged(), "optimizer/adam")
    assert not failed
    assert Adam().eps == 1e-8  # what BigEpsilon changes
