"""torch's code on another device, without one: tensors of "meta" have no numbers.

A tensor that stayed on the CPU is found, and so is waiting for a number. What is
computed is not known: that is test_gpu.py's.
"""

from contextlib import nullcontext

import pytest
import support

import tetrapla as tp
from tetrapla.spec import ACTIVATIONS
from tetrapla.spec.precisions import precision

torch = pytest.importorskip("torch")
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from tetrapla.impls.torch import graphs, layers, mixed, optimizers, training  # noqa: E402
from tetrapla.impls.torch.library import backend as library  # noqa: E402
from tetrapla.impls.torch.library import training as library_training  # noqa: E402

ELSEWHERE = torch.device("meta")
LOSSES = {
    "mse": tp.MeanSquaredError(),
    "bce": tp.BinaryCrossEntropy(),
    "probabilities": tp.BinaryCrossEntropy(from_logits=False),
    "softmax": tp.SoftmaxCrossEntropy(),
}


class Alone(TorchDispatchMode):
    """Refuses a tensor that is not on the device, even a scalar, and waiting for one."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "lift_fresh"), name
        result = func(*args, **kwargs or {})
        for each in torch.utils._pytree.tree_leaves((args, kwargs, result)):
            if isinstance(each, torch.Tensor):
                assert each.device == ELSEWHERE, f"{name} has a tensor on {each.device}"
        return result


def dtypes(mode):
    kinds = precision(mode)
    return getattr(torch, kinds.data), getattr(torch, kinds.weights)


def made(net, mode, loss):
    """Return a model, inputs and labels on the device."""
    data, kept = dtypes(mode)
    weights = {
        name: torch.zeros(w.shape, dtype=kept, device=ELSEWHERE)
        for name, w in net.init(seed=0).items()
    }
    x = torch.zeros(16, 6, dtype=data, device=ELSEWHERE)
    y = torch.zeros(16, 3, dtype=kept, device=ELSEWHERE)
    if isinstance(loss, tp.SoftmaxCrossEntropy):
        y = torch.zeros(16, dtype=torch.int64, device=ELSEWHERE)
    return weights, x, y


def network(activation="tanh"):
    return tp.Sequential(tp.Dense(6, 8, activation), tp.Dropout(0.3), tp.Dense(8, 3))


def record(monkeypatch, net, mode, loss, rule):
    """Do one step of those that are recorded."""
    monkeypatch.setattr(graphs, "stream_of", lambda device: None)
    weights, x, y = made(net, mode, loss)
    dense = mixed.Dense if precision(mode).mixed else layers.Dense
    model = layers.sequential(net, weights, dense)
    optimizer = optimizers.optimizer(rule, model.weights())
    steps = graphs.Steps(model, loss, optimizer, x, y, 1e-3)
    tape = graphs.Tape(steps, 4)
    with torch.no_grad(), Alone():
        steps.body(tape)
    assert tape.outputs.dtype == x.dtype


@pytest.mark.parametrize("mode", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_recorded_step_never_leaves_its_device(monkeypatch, activation, mode):
    record(monkeypatch, network(activation), mode, LOSSES["softmax"], support.RULES["adam"])


@pytest.mark.parametrize("mode", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("rule", support.RULES.values(), ids=support.RULES)
def test_nor_does_any_loss_or_rule(monkeypatch, rule, loss, mode):
    record(monkeypatch, network(), mode, loss, rule)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("rule", support.RULES.values(), ids=support.RULES)
@pytest.mark.parametrize("name", ["torch", "torch.nn"])
def test_a_plain_step_stays_on_one_device(monkeypatch, name, rule, loss):
    # "meta" has no autocast, which is off in float32
    monkeypatch.setattr(library_training, "lowered", lambda x: nullcontext())
    net, b = network(), support.backend(name).implementation
    if b.supports(rule).status == "no":
        pytest.skip("not in torch.optim")
    weights, x, y = made(net, "float32", loss)
    key = torch.zeros(2, dtype=torch.int64, device=ELSEWHERE)
    if name == "torch":
        model, module = layers.sequential(net, weights), training
        optimizer = optimizers.optimizer(rule, model.weights())
    else:
        model = library.layers.sequential(net, weights)
        module = library_training
        theta = library.layers.parameters(model)
        optimizer = library.optimizers.optimizer(rule, theta)
    value, gradients, dx = module.loss_and_gradients(model, loss, x, y, key)
    stages = module.trace(model, loss, x, y, key)
    step = module.train_step(model, loss, optimizer, x, y, key, 1e-3)
    found = [value, dx, step, *gradients.values(), *stages.values()]
    assert {t.device for t in found} == {ELSEWHERE}
