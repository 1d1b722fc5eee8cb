"""On a GPU: the same bounds, the same random bits, and nothing of the user's changed.

`make gpu` runs these wherever a GPU is, with the frameworks that are there.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.parity import engine
from tetrapla.parity.pairwise import Pairwise
from tetrapla.spec.precisions import PRECISIONS

pytestmark = pytest.mark.gpu

NAMES = [name for name in support.ALL if name != "numpy"]
KINDS = (
    "activation/sigmoid",
    "activation/gelu_erf",
    "activation/softmax",
    "loss/bce-logits-tails-sum",
    "loss/softmax-cross-entropy-right-sum",
    "layer/dense-4096",
    "layer/dense-cancelling",
    "layer/dropout-below-threshold",
    "network/deep",
    "optimizer/adam",
    "training/breast-cancer-dropout",
    "training/digits-adam",
)


CASES = support.cases(*KINDS)

# Of a run there are no pairs: two correct ones are soon far apart.
SHARED = (
    "activation/softmax",
    "layer/dense-4096",
    "layer/dropout-below-threshold",
    "network/deep",
    "optimizer/adam",
)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_within_the_bounds(name, dtype, case):
    if dtype not in case.dtypes:
        pytest.skip(f"an optimizer has no {dtype}")
    verdict = engine.verdict(case, support.on_gpu(name, dtype))
    worst = max(verdict.comparisons, key=lambda c: c.fraction, default=None)
    assert verdict.status in ("agrees", "known deviation", "no"), (verdict.message, worst)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", SHARED)
def test_the_same_backend_on_both_devices(name, dtype, kind):
    case = CASES[next(i for i in CASES if i.startswith(kind))]
    both = [support.on_gpu(name, dtype), support.backend(name, dtype)]
    pairwise = Pairwise()
    verdicts = [engine.verdict(case, backend, pairwise) for backend in both]
    pairs = list(pairwise.pairs())
    if any(v.known or v.status == "no" for v in verdicts):
        pytest.skip("the library has another formula, or none: a pair has not its bound")
    assert {(p.left, p.right) for p in pairs} == {(name, f"{name}@gpu")}
    assert max(p.fraction for p in pairs) <= 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", SHARED)
def test_different_backends_on_one_gpu(dtype, kind):
    case = CASES[next(i for i in CASES if i.startswith(kind))]
    pairwise = Pairwise()
    for name in ("torch", "jax"):
        engine.verdict(case, support.on_gpu(name, dtype), pairwise)
    pairs = list(pairwise.pairs())
    assert {(p.left, p.right) for p in pairs} == {("jax@gpu", "torch@gpu")}
    assert max(p.fraction for p in pairs) <= 1


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_random_bits_are_equal_to_the_bit(name, dtype):
    gpu = support.on_gpu(name, dtype)
    net = tp.Sequential(tp.Dropout(0.3), tp.Dense(97, 3))
    key = tp.threefry.key(11)
    x, y = np.ones((64, 97)), np.zeros((64, 3))
    mask = gpu.trace(net, net.init(seed=0), x, y, "mse", key=key)["0.mask"]
    wanted = tp.threefry.bernoulli(tp.threefry.fold_in(key, 0), 0.7, x.shape)
    np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_the_same_run_has_the_same_bits(name, dtype):
    gpu = support.on_gpu(name, dtype)
    net = tp.Sequential(tp.Dense(20, 64, "relu"), tp.Dropout(0.5), tp.Dense(64, 5))
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 20)), rng.integers(0, 5, 200)
    rule = "adam" if gpu.supports("adam").status != "no" else tp.Adam.keras()
    settings = tp.Training(3, 32, rule, "softmax_cross_entropy")
    weights = net.init(seed=0)
    first, second = (gpu.fit(net, weights, data, settings) for _ in range(2))
    assert first.history == second.history
    for label, w in first.weights.items():
        np.testing.assert_array_equal(w, second.weights[label])


def test_looked_at_stored_or_resumed_it_is_the_same_run(name, tmp_path):
    run, others, _ = support.however(support.on_gpu(name), tmp_path)
    for what, other in others.items():
        for label, w in run.weights.items():
            np.testing.assert_array_equal(w, other.weights[label], err_msg=what)


@pytest.mark.parametrize("swept", ["torch", "jax"])
def test_many_rates_at_once(swept):
    gpu = support.on_gpu(swept, "float64")
    net = tp.Sequential(tp.Dense(5, 8, "tanh"), tp.Dense(8, 1))
    rng = np.random.default_rng(2)
    data = rng.standard_normal((30, 5)), rng.standard_normal((30, 1))
    settings, rates = tp.Training(2, 8, "adam", "mse"), [1e-3, 1e-2, 0.1]
    found = gpu.fit_rates(net, net.init(seed=0), data, settings, rates)
    for rate, run in zip(rates, found.runs, strict=True):
        alone = tp.Training(2, 8, tp.Adam(rate), "mse")
        one = gpu.fit(net, net.init(seed=0), data, alone)
        # Eight steps of another program: a few roundings of 1e-16 each.
        np.testing.assert_allclose(run.history["loss"], one.history["loss"], rtol=1e-9)


@pytest.mark.filterwarnings("error:a step is no CUDA graph")
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_torch_replays_a_step_and_has_the_bits_of_one_that_is_done(dtype, monkeypatch):
    gpu = support.on_gpu("torch", dtype)
    graphs = pytest.importorskip("tetrapla.impls.torch.graphs")
    net = tp.Sequential(tp.Dense(20, 64, "gelu_erf"), tp.Dropout(0.5), tp.Dense(64, 5))
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 20)), rng.integers(0, 5, 200)
    settings = tp.Training(4, 32, "adam", "softmax_cross_entropy", l2=1e-3)
    recorded, graph = [], graphs.recorded

    def counted(step, stream):
        recorded.append(step)
        return graph(step, stream)

    monkeypatch.setattr(graphs, "recorded", counted)
    replayed = gpu.fit(net, net.init(seed=0), data, settings)
    assert len(recorded) == 2  # of 32 samples, and of the last 8
    monkeypatch.setattr(graphs, "recorded", lambda step, stream: step)
    done = gpu.fit(net, net.init(seed=0), data, settings)
    assert replayed.history == done.history
    for label, w in done.weights.items():
        np.testing.assert_array_equal(w, replayed.weights[label])


def test_frameworks_train_in_turn_on_one_gpu():
    """A graph is recorded while the other framework's threads are there."""
    backends = [support.on_gpu("torch"), support.on_gpu("jax")]
    net = tp.Sequential(tp.Dense(8, 16, "relu"), tp.Dense(16, 2))
    data = np.ones((64, 8)), np.zeros((64, 2))
    settings = tp.Training(3, 8, "adam", "mse")
    other = net.init(seed=1)

    def beside(report):
        for b in backends:
            b.forward(net, other, data[0])

    runs = [b.fit(net, net.init(seed=0), data, settings, on_step=beside) for b in backends]
    first, second = (run.history["loss"] for run in runs)
    # 24 steps of two frameworks in float32, of roundings of 6e-8 that grow.
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_tf32_only_where_it_is_asked_for(name):
    # 1 + 2^-12 is 1 in TF32, and exact in float32.
    x = np.full((64, 64), 1 + 2.0**-12, np.float32)
    net = tp.Sequential(tp.Dense(64, 64))
    weights = {"0.weight": np.eye(64, dtype=np.float32), "0.bias": np.zeros(64)}
    single = support.on_gpu(name).forward(net, weights, x)
    np.testing.assert_array_equal(single, x)
    lower = support.on_gpu(name, "tf32").forward(net, weights, x)
    np.testing.assert_allclose(lower, x, rtol=2.0**-10)  # what TF32 may cut off


def test_tf32_is_used_where_it_is_asked_for():
    torch = pytest.importorskip("torch")
    b = support.on_gpu("torch", "tf32")
    if torch.cuda.get_device_capability()[0] < 8:
        pytest.skip("a GPU without TF32")
    n = 1024  # large enough for any library to use it
    net = tp.Sequential(tp.Dense(n, n))
    weights = {"0.weight": np.eye(n, dtype=np.float32), "0.bias": np.zeros(n)}
    x = np.full((n, n), 1 + 2.0**-12, np.float32)
    np.testing.assert_array_equal(b.forward(net, weights, x), np.ones_like(x))


def test_adams_betas_are_not_rounded():
    """CUDA's fused Adam takes beta2 through float32: its 1 - beta2 is 1.3e-5 off."""
    b = support.on_gpu("torch")
    net = tp.Sequential(tp.Dense(1, 1))
    weights = {"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)}
    data = np.ones((1, 1)), np.zeros((1, 1))
    run = b.fit(net, weights, data, tp.Training(1, 1, tp.Adam(0.1), "mse"))
    v = run.state.optimizer["v/0.weight"].item()  # (1 - beta2) g^2, g = 2
    assert abs(v / (0.001 * 4) - 1) < 4 * 2.0**-24


def test_two_precisions_in_turn(name):
    x = np.linspace(0.9, 1.1, 64 * 64, dtype=np.float32).reshape(64, 64)
    net = tp.Sequential(tp.Dense(64, 64))
    weights = net.init(seed=0)
    answers = {}
    for _ in range(2):
        for dtype in ("float32", "tf32", "bfloat16"):
            got = support.on_gpu(name, dtype).forward(net, weights, x)
            np.testing.assert_array_equal(got, answers.setdefault(dtype, got))
    assert not np.array_equal(answers["float32"], answers["bfloat16"].astype(np.float32))


def test_torchs_flags_stay_the_users():
    torch = pytest.importorskip("torch")
    b = support.on_gpu("torch", "tf32")
    flags = torch.backends.cuda.matmul
    names = (
        "allow_tf32",
        "allow_bf16_reduced_precision_reduction",
        "allow_fp16_reduced_precision_reduction",
    )
    before = {n: getattr(flags, n) for n in names}
    net = tp.Sequential(tp.Dense(8, 8))
    seen = []
    settings = tp.Training(2, 4, tp.SGD(0.1), "mse")
    b.fit(
        net,
        net.init(seed=0),
        (np.ones((8, 8)), np.ones((8, 8))),
        settings,
        on_step=lambda report: seen.append({n: getattr(flags, n) for n in names}),
    )
    assert {n: getattr(flags, n) for n in names} == before
    assert seen
    assert all(each == before for each in seen)


SHARES = """
import numpy as np, torch
import tetrapla as tp

tp.load("torch", "gpu")
jax = tp.load("jax", "gpu")
free, total = torch.cuda.mem_get_info()
net = tp.Sequential(tp.Dense(256, 256))
jax.forward(net, net.init(seed=0), np.ones((256, 256)))
after, _ = torch.cuda.mem_get_info()
print((free - after) / total)
"""


def test_frameworks_share_a_gpu():
    """In a process of its own: jax takes its memory when it starts."""
    for name in ("torch", "jax"):
        support.on_gpu(name)
    preset = ("XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION")
    env = {name: value for name, value in os.environ.items() if name not in preset}
    ran = subprocess.run(
        [sys.executable, "-c", SHARES], env=env, capture_output=True, text=True, check=True
    )
    # Three quarters, if it were taken in advance; others may be on the GPU too.
    assert float(ran.stdout) < 0.5
