"""torch's loop on a GPU: what is recorded is right, and never asks the host.

Recording itself needs a GPU (test_gpu.py). Here each replay is the step done
again, so that all but the graph is judged by the oracle on a CPU.
"""

import gc
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.parity import engine
from tetrapla.spec.precisions import PRECISIONS

torch = pytest.importorskip("torch")
python_dispatch = pytest.importorskip("torch.utils._python_dispatch")

from tetrapla.impls.torch import graphs  # noqa: E402

TRAINING = support.cases(
    "training/breast-cancer-dropout",
    "training/digits-adam",
    "training/diabetes-adamw",
)


class Stream:
    """Stands for torch.cuda's."""

    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        pass


WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "lift_fresh"}


class NoHost(python_dispatch.TorchDispatchMode):
    """Refuses what a CUDA graph cannot record: to bring a number from or to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in WAITS, f"{name} in a recorded step"
        indices = args[1] if name in ("index", "index_put_") else ()
        kinds = [i.dtype for i in indices if i is not None]
        assert torch.bool not in kinds, f"{name} by a mask in a recorded step"
        return func(*args, **kwargs or {})


@pytest.fixture
def on_tape(monkeypatch):
    """Return what loads torch on the CPU, training as on a GPU; and what was replayed."""
    replays = []

    def recorded(step, stream):
        def replay():
            replays.append(step)
            with NoHost():
                step()

        return replay

    monkeypatch.setattr(graphs, "recorded", recorded)
    monkeypatch.setattr(graphs, "stream_of", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())

    def load(dtype="float32"):
        backend = tp.load("torch", dtype=dtype)
        backend.implementation.fast = graphs
        return backend

    return load, replays


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("case", TRAINING.values(), ids=TRAINING)
def test_runs_are_within_their_bounds(on_tape, monkeypatch, case, dtype):
    load, replays = on_tape
    monkeypatch.setattr(graphs, "WARM_UP", 0)
    verdict = engine.verdict(case, load(dtype))
    assert verdict.status == "agrees", (verdict.message, verdict.first)
    assert replays


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rule", support.RULES.values(), ids=support.RULES)
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mse", "bce"])
def test_every_rule_and_loss_trains_as_the_plain_loop(on_tape, rule, loss, dtype):
    """As plain, but for rounding: the schedule's rates and each step's t are its own."""
    load, replays = on_tape
    net = tp.Sequential(tp.Dense(6, 8, "gelu_erf"), tp.Dropout(0.3), tp.Dense(8, 3))
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((50, 6)), rng.random((50, 3)).round()
    if loss == "softmax_cross_entropy":
        y = rng.integers(0, 3, 50)
    settings = tp.Training(3, 8, rule, loss, schedule=tp.CosineDecay(21), l2=1e-3)
    weights = net.init(seed=0)
    run = load(dtype).fit(net, weights, (x, y), settings)
    plain = tp.load("torch", dtype=dtype).fit(net, weights, (x, y), settings, plain=True)
    assert len(replays) == 3 * 6 - graphs.WARM_UP  # the last, of 2 samples, comes 3 times
    # Another order of operations in 21 steps: a fault is a hundredth, not a rounding.
    tolerance = 1e-9 if dtype == "float64" else 2e-3
    for name, w in plain.weights.items():
        np.testing.assert_allclose(run.weights[name], w, rtol=tolerance, atol=tolerance)
    assert run.state.optimizer["t"] == plain.state.optimizer["t"] == 21


def test_looked_at_stored_or_resumed_it_is_the_same_run(on_tape, tmp_path):
    load, _ = on_tape
    run, others, seen = support.however(load(), tmp_path)
    assert len(seen) == 4 * 7
    for other in others.values():
        assert other.history["loss"][-1] == run.history["loss"][-1]
        for name, w in run.weights.items():
            np.testing.assert_array_equal(w, other.weights[name])


def test_a_fit_leaves_no_graph_behind(on_tape, monkeypatch):
    load, _ = on_tape
    alive = weakref.WeakSet()
    made = graphs.Tape.__init__

    def init(tape, *given):
        made(tape, *given)
        alive.add(tape)

    monkeypatch.setattr(graphs.Tape, "__init__", init)
    monkeypatch.setattr(graphs, "recorded", lambda step, stream: lambda: None)
    net = tp.Sequential(tp.Dense(3, 2))
    data = np.ones((40, 3)), np.zeros((40, 2))
    gc.disable()
    try:
        load().fit(net, net.init(seed=0), data, tp.Training(2, 4, tp.SGD(0.1), "mse"))
        assert not alive
    finally:
        gc.enable()


def test_a_step_that_cannot_be_recorded_is_done_all_the_same(on_tape, monkeypatch):
    load, _ = on_tape
    net = tp.Sequential(tp.Dense(3, 2))
    data = np.ones((40, 3)), np.zeros((40, 2))
    settings = tp.Training(2, 4, tp.Adam(0.1), "mse")
    weights = net.init(seed=0)
    run = load().fit(net, weights, data, settings)

    def refused(step, stream):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "recorded", refused)
    with pytest.warns(RuntimeWarning, match="no CUDA graph: operation not permitted"):
        again = load().fit(net, weights, data, settings)
    np.testing.assert_array_equal(run.weights["0.weight"], again.weights["0.weight"])
