"""Precisions below float32: the oracle's bounds, and what they catch.

Every case of the suite in every precision is `tetrapla parity --dtype`; here
are a few of each kind, and faults of mixed precision that must be caught.
"""

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.backends import label_of
from tetrapla.oracle.arithmetic import CUT, judge
from tetrapla.oracle.bounded import cast, given
from tetrapla.oracle.budgets import BUDGETS, ON_GPU
from tetrapla.parity import engine, suite
from tetrapla.parity.cases import ActivationCase, NetworkCase
from tetrapla.parity.pairwise import Pairwise
from tetrapla.spec import LossAndGradients
from tetrapla.spec.precisions import PRECISIONS, limits, numpy_dtype, precision

LOWER = ("tf32", "bfloat16", "float16")
HALVES = ("bfloat16", "float16")
KINDS = (
    "activation/sigmoid",
    "activation/gelu_tanh",
    "activation/softmax",
    "loss/bce-logits-tails-sum",
    "loss/softmax-cross-entropy-right-sum",
    "layer/dense-4096",
    "layer/dropout-below-threshold",
    "network/deep",
    "optimizer/adam",
    "training/breast-cancer-dropout",
)


CASES = support.cases(*KINDS)


@pytest.mark.parametrize("dtype", LOWER)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("name", support.BACKENDS)
def test_agrees(name, case, dtype):
    support.backend(name)
    verdict = engine.verdict(case, tp.load(name, dtype=dtype))
    worst = max(verdict.comparisons, key=lambda c: c.fraction, default=None)
    assert verdict.status == "agrees", (verdict.message, worst)


@pytest.mark.parametrize("name", support.BACKENDS)
@pytest.mark.parametrize("dtype", HALVES)
def test_every_array_has_its_dtype(name, dtype):
    support.backend(name)
    b = tp.load(name, dtype=dtype)
    half, single = numpy_dtype(dtype), np.dtype("float32")
    net = tp.Sequential(tp.Dense(3, 4, "tanh"), tp.Dropout(0.5), tp.Dense(4, 2))
    weights = net.init(seed=0)
    x, y = np.ones((5, 3)), np.ones((5, 2))
    key = tp.threefry.key(1)
    assert b.activation("tanh", x).dtype == half
    assert b.forward(net, weights, x).dtype == half
    r = b.loss_and_gradients(net, weights, x, y, "mse", key=key)
    assert (np.asarray(r.loss).dtype, r.input.dtype) == (single, half)
    assert {g.dtype for g in r.weights.values()} == {single}
    state = b.init_optimizer("adam", weights)
    new, state = b.update("adam", weights, r.weights, state)
    slots = [a for slot, a in state.items() if slot != "t"]
    assert {a.dtype for a in (*new.values(), *slots)} == {single}
    for stage, a in b.trace(net, weights, x, y, "mse", key=key).items():
        wide = stage == "loss" or (stage.endswith("grad") and stage != "input.grad")
        if not stage.endswith("mask"):
            assert a.dtype == (single if wide else half), stage
    run = b.fit(net, weights, (x, y), tp.Training(2, 2, tp.Adam(1e-3), "mse"))
    assert {w.dtype for w in run.weights.values()} == {single}


@pytest.mark.parametrize("dtype", HALVES)
def test_master_weights_take_steps_that_a_half_has_no_room_for(dtype):
    b = tp.load("numpy", dtype=dtype)
    theta, g = {"w": np.ones(1)}, {"w": np.ones(1)}
    state = b.init_optimizer("sgd", theta)
    for _ in range(100):
        theta, state = b.update(tp.SGD(1e-4), theta, g, state)
    assert theta["w"].item() == pytest.approx(0.99, abs=1e-5)  # 100 roundings of 2^-24
    assert numpy_dtype(dtype).type(1 - 1e-4) == 1


def planted(monkeypatch, where, name, fault):
    """Let NumPy's mixed precision have a fault."""
    mixed = pytest.importorskip("tetrapla.impls.numpy.mixed")
    target = getattr(mixed, where) if where else mixed
    monkeypatch.setattr(target, name, fault)


def halved_sum(self, da):
    from tetrapla.impls.numpy.mixed import activation_gradient, product, wide

    self.dz = activation_gradient(self.activation, self.z, da)
    self.weight_grad = wide(self.x.T) @ wide(self.dz)
    total = np.zeros(self.dz.shape[1:], self.dz.dtype)
    for row in self.dz:
        total = total + row
    self.bias_grad = total.astype(np.float32)
    return product(self.dz, self.weight.T)


def halved_product(x, y):
    xy = np.zeros((len(x), y.shape[1]), x.dtype)
    for i in range(x.shape[1]):
        xy = xy + x[:, i : i + 1] * y.astype(x.dtype)[i]
    return xy


def rounded_gradient(self, da):
    from tetrapla.impls.numpy.mixed import activation_gradient, product, wide

    self.dz = activation_gradient(self.activation, self.z, da)
    grad = wide(self.x.T) @ wide(self.dz)
    twice = grad * np.float32(1 + 3 * limits(self.dz.dtype.name).unit)
    self.weight_grad, self.bias_grad = twice, wide(self.dz).sum(axis=0)
    return product(self.dz, self.weight.T)


FAULTS = {
    "a bias's gradient is summed in halves": ("Dense", "backward", halved_sum),
    "products are added up in halves": ("", "product", halved_product),
    "a gradient is off by three units": ("Dense", "backward", rounded_gradient),
}


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_of_mixed_precision_is_caught(monkeypatch, fault, dtype):
    b = tp.load("numpy", dtype=dtype)
    wide = [case for case in suite.cases() if case.id.startswith("layer/dense-tanh-70-")]
    assert {engine.verdict(case, b).status for case in wide} == {"agrees"}
    planted(monkeypatch, *fault)
    assert "differs" in {engine.verdict(case, b).status for case in wide}


def flushed(a):
    """Return float16's subnormal numbers as 0."""
    return np.where(np.abs(a) < limits("float16").tiny, 0 * a, a).astype(a.dtype)


def test_float16_keeps_its_subnormal_numbers(monkeypatch):
    """Products, gradients and bias gradients of real data are as small as that."""
    mixed = pytest.importorskip("tetrapla.impls.numpy.mixed")
    b = tp.load("numpy", dtype="float16")
    kinds = ("activation/", "layer/dense-tanh-70", "network/diabetes", "network/breast")
    cases = [c for c in suite.cases() if c.id.startswith(kinds) and "float16" in c.dtypes]

    def kinds_that_differ():
        found = ((case.id.split("/")[0], engine.verdict(case, b)) for case in cases)
        return {kind for kind, verdict in found if verdict.status == "differs"}

    assert kinds_that_differ() == set()
    product, gradient = mixed.product, mixed.activation_gradient
    monkeypatch.setattr(mixed, "product", lambda x, y: flushed(product(x, y)))
    assert {"layer", "network"} <= kinds_that_differ()
    monkeypatch.setattr(mixed, "product", product)
    monkeypatch.setattr(
        mixed, "activation_gradient", lambda *asked: flushed(gradient(*asked))
    )
    assert {"layer", "network"} <= kinds_that_differ()


def test_beside_what_may_overflow_a_relu_claims_nothing(monkeypatch):
    """0 times an infinity is NaN, and `where` makes it 0."""
    b = tp.load("numpy", dtype="float16")
    net = tp.Sequential(tp.Dense(1, 1, "relu"), tp.Dense(1, 1))
    mse = tp.MeanSquaredError(reduction="sum")
    case = NetworkCase("overflows", "layer/dense", net, mse)
    vars(case)["weights"] = {
        "0.weight": np.array([[-1.0]]),
        "0.bias": np.zeros(1),
        "1.weight": np.array([[3e3]]),
        "1.bias": np.zeros(1),
    }
    vars(case)["data"] = np.ones((1, 1)), np.array([[-100.0]])
    asked = b.loss_and_gradients

    def with_nan(*given, key=None):
        r = asked(*given, key=key)
        first = {n: w * np.nan if n[0] == "0" else w for n, w in r.weights.items()}
        return LossAndGradients(r.loss, first, r.input * np.nan)

    monkeypatch.setattr(b, "loss_and_gradients", with_nan)
    assert engine.verdict(case, b).status == "agrees"
    vars(case)["data"] = np.ones((1, 1)), np.array([[-1.0]])  # da is 6e3
    assert engine.verdict(case, b).status == "differs"


@pytest.mark.parametrize("dtype", HALVES)
def test_jax_multiplies_halves_and_adds_up_float32(dtype):
    """Of a product with one column XLA rounds each term on a GPU, unless asked."""
    jax = pytest.importorskip("jax")
    mixed = pytest.importorskip("tetrapla.impls.jax.mixed")
    half, single = numpy_dtype(dtype), np.dtype("float32")

    def total(x, w):
        return mixed.product(x, w).astype(single).sum()

    x, w = jax.numpy.ones((3, 5), half), jax.numpy.ones((5, 1), single)
    jaxpr = jax.make_jaxpr(jax.value_and_grad(total, argnums=(0, 1)))(x, w)
    found = jaxpr.jaxpr.eqns
    products = [each for each in found if each.primitive.name == "dot_general"]
    assert len(products) == 3  # x W, dx and dW
    for each in products:
        assert {v.aval.dtype for v in each.invars} == {half}
        assert {v.aval.dtype for v in each.outvars} == {single}


def test_names_and_what_they_say():
    for name, kinds in PRECISIONS.items():
        assert precision(name) is kinds
        assert limits(kinds.data).unit >= limits(kinds.weights).unit
        assert kinds.mixed == (name in HALVES)
    for name in ("float32", "float64", "float16"):
        info = np.finfo(name)
        assert limits(name).least == float(info.smallest_subnormal)
    ml_dtypes = pytest.importorskip("ml_dtypes")
    info = ml_dtypes.finfo(ml_dtypes.bfloat16)
    found = limits("bfloat16")
    assert found.unit == float(info.epsneg)
    assert found.tiny == float(info.smallest_normal)
    assert found.least == float(info.smallest_subnormal)
    assert found.largest == float(info.max)


def test_without_ml_dtypes_bfloat16_names_what_is_missing(monkeypatch):
    monkeypatch.setattr("tetrapla.spec.precisions.find_spec", lambda name: None)
    with pytest.raises(tp.BackendUnavailableError, match="needs ml_dtypes: pip install"):
        tp.load("numpy", dtype="bfloat16")


@pytest.mark.parametrize("dtype", HALVES)
def test_a_cast_stays_within_its_bound(dtype):
    half, single = judge(dtype), judge("float32")
    assert half.wide is single
    assert (half.sums, single.sums) == (CUT, single.unit)
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(1000) * 10.0 ** rng.integers(-6, 4, 1000)).astype(np.float32)
    rounded = x.astype(numpy_dtype(dtype)).astype(float)
    data, computed = cast(half, x), cast(half, given(single, x))
    np.testing.assert_array_equal(data.floats, rounded)
    assert (np.abs(computed.floats - rounded) <= computed.error).all()
    back = cast(single, computed)
    assert back.ar is single
    np.testing.assert_array_equal(back.error, computed.error)


def test_without_a_fast_loop_the_flag_is_looked_at_all_the_same():
    b = tp.load("numpy", dtype="float16")
    assert not b.has_fast
    net = tp.Sequential(tp.Dense(1, 1))
    training = tp.Training(1, 1, tp.SGD(0.1), "mse")
    data = np.ones((1, 1)), np.ones((1, 1))
    with pytest.raises(tp.InvalidInputError, match="plain"):
        b.fit(net, net.init(seed=0), data, training, plain="yes")


class Elsewhere:
    """A backend that says it is on a device, and has some methods changed."""

    def __init__(self, backend, device, name=None, **changed):
        self._backend = backend
        self.device = device
        self.name = name or backend.name
        vars(self).update(changed)

    def __getattr__(self, name):
        return getattr(self._backend, name)


def test_a_gpus_primitives_have_budgets_of_their_own():
    for name, budget in ON_GPU.items():
        least = BUDGETS[name]
        assert budget.float32 >= least.float32
        assert budget.float64 >= least.float64
    b = tp.load("numpy")
    z = np.linspace(-4, -1, 101, dtype=np.float32).reshape(1, -1)
    case = ActivationCase("sigmoid", "activation/sigmoid", tp.Sigmoid(), z)

    def status(roundings, device):
        def off(g, z):
            a = b.activation(g, z).astype(float)
            return (a * (1 + roundings * 2.0**-24)).astype(np.float32)

        return engine.verdict(case, Elsewhere(b, device, activation=off)).status

    assert (status(0, "cpu"), status(0, "gpu")) == ("agrees", "agrees")
    assert (status(13, "cpu"), status(13, "gpu")) == ("differs", "agrees")
    assert (status(26, "cpu"), status(26, "gpu")) == ("differs", "differs")


def test_a_pair_has_the_bounds_of_both_devices():
    b = tp.load("numpy")
    z = np.linspace(-4, -1, 101, dtype=np.float32).reshape(1, -1)
    case = ActivationCase("sigmoid", "activation/sigmoid", tp.Sigmoid(), z)

    def fraction(*devices):
        pairwise = Pairwise()
        for i, device in enumerate(devices):

            def off(g, z, by=1 + i * 2.0**-20):
                return (b.activation(g, z).astype(float) * by).astype(np.float32)

            label = label_of(f"numpy{i}", device)
            engine.verdict(
                case, Elsewhere(b, device, label=label, activation=off), pairwise
            )
        return next(p.fraction for p in pairwise.pairs() if p.tensor == "a")

    cpus, mixed, gpus = (fraction(*d) for d in (["cpu"] * 2, ["cpu", "gpu"], ["gpu"] * 2))
    assert cpus > mixed > gpus
    assert mixed == pytest.approx(2 / (1 / cpus + 1 / gpus), rel=0.05)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_weight_that_is_not_cast_is_known_of_flax_on_a_gpu_alone(dtype):
    """XLA may multiply by a float32 weight where it should be a half: xla#41605."""
    b = tp.load("numpy", dtype=dtype)
    net, mse = tp.Sequential(tp.Dense(2, 1)), tp.MeanSquaredError()
    case = NetworkCase("cancels", "layer/dense", net, mse)
    w = np.array([[1 + 2.0**-12], [-1]], np.float32)
    one = np.ones((1, 1), numpy_dtype(dtype))
    vars(case)["weights"] = {"0.weight": w, "0.bias": np.zeros(1, np.float32)}
    vars(case)["data"] = np.ones((1, 2)), np.zeros((1, 1))
    # x W = 2^-12, where it is 0 if W is cast; then (x W)^2 and its gradients
    z = one / 2**12
    dz = 2 * z
    dw = np.full((2, 1), 2.0**-11, np.float32)
    dx = np.array([[1, -1]], z.dtype) / 2**11
    loss = np.float32(2.0**-24)
    stages = {"0.z": z, "0.a": z, "loss": loss, "0.da": dz, "0.dz": dz}
    stages |= {"0.weight.grad": dw, "0.bias.grad": dw[0], "input.grad": dx}
    r = LossAndGradients(loss, {"0.weight": dw, "0.bias": dw[0]}, dx)
    changed = {
        "forward": lambda *asked, key=None: z,
        "trace": lambda *asked, key=None: stages,
        "loss_and_gradients": lambda *asked, key=None: r,
    }

    def status(name, device):
        return engine.verdict(case, Elsewhere(b, device, name, **changed)).status

    assert status("jax.flax", "gpu") == "known deviation"
    assert status("jax.flax", "cpu") == "differs"
    assert status("jax", "gpu") == "differs"


def rounded_one_by_one(x, y):
    """Return x y of halves, each term rounded, added up in float32."""
    terms = (x[:, :, None] * y.astype(x.dtype)[None]).astype(np.float32)
    return terms.sum(1, dtype=np.float32).astype(x.dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_terms_that_are_rounded_are_known_of_flax_on_a_gpu_alone(monkeypatch, dtype):
    """XLA makes a product and a sum of a product with one column."""
    kind = "layer/dense-tanh-70-1-"
    case = next(case for case in suite.cases() if case.id.startswith(kind))
    planted(monkeypatch, "", "product", rounded_one_by_one)
    b = tp.load("numpy", dtype=dtype)

    def status(name, device):
        return engine.verdict(case, Elsewhere(b, device, name)).status

    assert status("jax.flax", "gpu") == "known deviation"
    assert status("jax.flax", "cpu") == "differs"
    assert status("jax", "gpu") == "differs"
