"""The contract: NumPy in, NumPy out, fresh and of the backend's dtype."""

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.spec import Loss, threefry

NET = tp.Sequential(
    tp.Dense(2, 5, "tanh"),
    tp.Dropout(0.4),
    tp.Dense(5, 4, tp.LeakyReLU(0.3)),
    tp.Dropout(0.2),
    tp.Dense(4, 3),
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 2))
Z = RNG.normal(size=(6, 3))
Y = RNG.uniform(size=(6, 3))
CLASSES = np.array([0, 2, 1, 1, 0, 2])
WEIGHTS = {name: w + 0.125 for name, w in NET.init(seed=5).items()}
GRADIENTS = {
    name: RNG.normal(size=w.shape).astype("float32") for name, w in WEIGHTS.items()
}
KEY = threefry.fold_in(threefry.key(9), 2)
ADAM = tp.Adam(0.1, amsgrad=True)
OPTIMIZERS = {
    "sgd": tp.SGD(0.1),
    "sgd-updates": tp.SGD(0.1, momentum=0.9, nesterov=True, velocity="updates"),
    "adagrad": tp.Adagrad(initial_accumulator=0.1),
    "adadelta": tp.Adadelta(),
    "rmsprop-centered": tp.RMSProp(centered=True, momentum=0.9),
    "adam": tp.Adam(),
    "adam-amsgrad": ADAM,
    "adamw": tp.AdamW(),
}
EACH_OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


def state_for(weights):
    """Return a state of ADAM in the middle of a run."""
    return {"t": np.int64(3)} | {
        f"{slot}/{name}": np.full(w.shape, 0.5 + i)
        for i, slot in enumerate(ADAM.slots)
        for name, w in weights.items()
    }


# method -> arguments; every method that returns arrays
CALLS = {
    "activation": ("softmax", Z),
    "activation_gradient": ("sigmoid", Z, Y),
    "identity": ("identity", Z),
    "identity_gradient": ("identity", Z, Y),
    "forward": (NET, WEIGHTS, X),
    "loss": ("mse", Z, Y),
    "loss_none": (tp.SoftmaxCrossEntropy(reduction="none"), Z, CLASSES),
    "loss_and_gradients": (NET, WEIGHTS, X, Y, "mse"),
    "trace": (NET, WEIGHTS, X, Y, "mse"),
    "init_optimizer": (ADAM, WEIGHTS),
    "update": (ADAM, WEIGHTS, GRADIENTS, state_for(WEIGHTS)),
    "fit": (NET, WEIGHTS, (X, Y), tp.Training(2, "all", ADAM)),
}
METHODS = {
    "identity": "activation",
    "identity_gradient": "activation_gradient",
    "loss_none": "loss",
}
BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def call(b, case, args):
    result = getattr(b, METHODS.get(case, case))(*args)
    return leaves(result)


WHOLE = (np.ndarray, np.generic, Loss)


def leaves(value, path=""):
    """Return every array in a result, by its path; specifications are whole."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple | list):
        items = enumerate(value)
    elif hasattr(value, "__dict__") and not isinstance(value, WHOLE):
        items = vars(value).items()
    else:
        return {path: value}
    return {
        k: v for label, part in items for k, v in leaves(part, f"{path}/{label}").items()
    }


def arrays_of(value):
    return {p: a for p, a in leaves(value).items() if isinstance(a, np.ndarray)}


def assert_equal_bits(actual, expected):
    assert list(actual) == list(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(actual[path], value, err_msg=path, strict=True)


@BOTH
@pytest.mark.parametrize("case", CALLS)
def test_results_are_numpy_of_the_dtype(name, dtype, case):
    b = support.backend(name, dtype)
    for path, value in call(b, case, CALLS[case]).items():
        if path.endswith("/t"):
            assert value.dtype == np.int64, path
            assert value.shape == (), path
        elif isinstance(value, np.ndarray | np.generic):
            assert value.dtype == (bool if path.endswith(".mask") else dtype), path
        elif path == "/state/loss":
            assert value == CALLS[case][3].loss
        else:  # histories and counters
            assert value is None or type(value) in (int, float), path


@BOTH
@pytest.mark.parametrize("case", CALLS)
def test_results_are_fresh_and_inputs_untouched(name, dtype, case):
    b = support.backend(name, dtype)
    # Of the backend's dtype already, so that the edge converts nothing.
    args = converted(CALLS[case], lambda a: np.array(a, dtype))
    before = copy.deepcopy(args)
    first = call(b, case, args)
    expected = copy.deepcopy(first)
    for path, array in first.items():
        if isinstance(array, np.ndarray):
            assert array.flags.writeable, path
            array[...] = 7
    assert_equal_bits(leaves(args), leaves(before))
    assert_equal_bits(call(b, case, args), expected)


@pytest.mark.parametrize("case", CALLS)
def test_no_two_results_share_memory(f32, case):
    result = list(call(f32, case, CALLS[case]).items())
    found = [(path, a) for path, a in result if isinstance(a, np.ndarray)]
    for i, (path, a) in enumerate(found):
        for other, b in found[:i]:
            assert not np.shares_memory(a, b), (path, other)


def converted(value, change):
    """Return nested arguments with every floating-point array changed."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return change(value)
    if isinstance(value, dict):
        return {k: converted(v, change) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(converted(v, change) for v in value)
    return value


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def backwards(array):
    return np.flip(np.flip(array).copy())


LAYOUTS = {
    "read-only": read_only,
    "fortran": np.asfortranarray,
    "strided": strided,
    "negative-strides": backwards,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "lists": lambda a: a.tolist(),
    "float64": lambda a: a.astype("float64"),
}


@cache
def of_contiguous(name, case):
    b = support.backend(name)
    return call(b, case, converted(CALLS[case], lambda a: a.astype("float32")))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CALLS)
def test_the_layout_of_the_input_does_not_matter(name, case, layout):
    args = converted(CALLS[case], lambda a: LAYOUTS[layout](a.astype("float32")))
    assert_equal_bits(call(support.backend(name), case, args), of_contiguous(name, case))


def test_rounded_once_at_the_edge(f32):
    # Halfway between two float32 numbers but for a bit of float64.
    z = np.array([1 + 2.0**-24 + 2.0**-50])
    assert f32.activation("identity", z) == np.float32(1 + 2.0**-23)


def test_beyond_float32_is_inf(f32):
    assert f32.activation("identity", np.array([1e300])) == np.inf


def test_labels_may_be_of_any_integer_kind(f32):
    loss = tp.SoftmaxCrossEntropy()
    expected = f32.loss(loss, Z, CLASSES)
    for kind in ("i1", "u1", "i4", ">i4", "u8"):
        assert f32.loss(loss, Z, CLASSES.astype(kind)) == expected, kind


@BOTH
def test_build_and_weights_are_a_round_trip(name, dtype):
    b = support.backend(name, dtype)
    given = {n: RNG.normal(size=w.shape).astype(dtype) for n, w in WEIGHTS.items()}
    given["0.bias"][:3] = [-0.0, 2.0**-140, np.inf]  # subnormal in float32
    back = b.weights(b.build(NET, given))
    assert list(back) == list(NET.shapes)
    for n, w in given.items():
        assert back[n].dtype == w.dtype
        assert back[n].tobytes() == w.tobytes(), n


def test_names_keep_the_network_order_beyond_ten_layers(f32):
    net = tp.Sequential(*[tp.Dense(2, 2, "tanh") for _ in range(12)])
    w = net.init(seed=0)
    names, y = list(net.shapes), np.zeros_like(X)
    assert names[-1] == "11.bias"
    state = f32.init_optimizer("adam", w)
    shuffled = dict(sorted(w.items()))
    r = f32.loss_and_gradients(net, shuffled, X, y, "mse")
    assert list(f32.weights(f32.build(net, shuffled))) == names
    assert list(r.weights) == names
    assert list(state) == ["t", *(f"m/{n}" for n in names), *(f"v/{n}" for n in names)]
    new, new_state = f32.update("adam", w, r.weights, state)
    assert list(new) == names
    assert list(new_state) == list(state)
    run = f32.fit(net, shuffled, (X, y), tp.Training(1, "all", "adam"))
    assert list(run.weights) == names
    # Numerically too: Adam's first step is deterministic in the gradients.
    for n in names:
        np.testing.assert_array_equal(run.weights[n].shape, new[n].shape)
        # The same step through two paths, one of them compiled: a few
        # roundings of a weight below 2 and of a step of at most 1e-3.
        np.testing.assert_allclose(run.weights[n], new[n], rtol=0, atol=4 * 2.0**-23)


# trace


@pytest.mark.parametrize("key", [None, KEY], ids=["evaluation", "dropout"])
def test_trace_names_every_stage_in_order(f32, key):
    stages = f32.trace(NET, WEIGHTS, X, Y, "mse", key=key)
    assert list(stages) == NET.stages(dropout=key is not None)


@pytest.mark.parametrize("key", [None, KEY], ids=["evaluation", "dropout"])
@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("mse", Y),
        (tp.MeanSquaredError(reduction="sum", outputs="sum"), Y),
        ("softmax_cross_entropy", CLASSES),
    ],
    ids=["mse", "mse-sum", "softmax"],
)
def test_trace_agrees_with_loss_and_gradients(f64, loss, y, key):
    stages = f64.trace(NET, WEIGHTS, X, y, loss, key=key)
    r = f64.loss_and_gradients(NET, WEIGHTS, X, y, loss, key=key)
    # Sums of at most 6 x 5 products of numbers of order 1, in another order.
    close = {"rtol": 1e-13, "atol": 1e-14}
    np.testing.assert_allclose(stages["loss"], r.loss, **close)
    np.testing.assert_allclose(stages["input.grad"], r.input, **close)
    for n, dw in r.weights.items():
        np.testing.assert_allclose(stages[f"{n}.grad"], dw, **close, err_msg=n)
    outputs = f64.forward(NET, WEIGHTS, X, key=key)
    np.testing.assert_allclose(stages["4.a"], outputs, **close)
    np.testing.assert_allclose(f64.loss(loss, outputs, y), r.loss, **close)


def test_trace_is_the_chain_rule(f64):
    s = f64.trace(NET, WEIGHTS, X, Y, "mse", key=KEY)
    w = WEIGHTS
    close = {"rtol": 1e-13, "atol": 1e-15}  # one product of up to six terms each
    np.testing.assert_allclose(s["0.z"], X @ w["0.weight"] + w["0.bias"], **close)
    np.testing.assert_allclose(s["0.a"], np.tanh(s["0.z"]), **close)
    np.testing.assert_array_equal(s["1.a"], np.where(s["1.mask"], s["0.a"] / 0.6, 0))
    np.testing.assert_allclose(s["4.da"], 2 * (s["4.a"] - Y) / Y.size, **close)
    np.testing.assert_array_equal(s["4.dz"], s["4.da"])
    np.testing.assert_allclose(s["3.da"], s["4.dz"] @ w["4.weight"].T, **close)
    np.testing.assert_allclose(
        s["2.da"], np.where(s["3.mask"], s["3.da"] / 0.8, 0), **close
    )
    slope = np.where(s["2.z"] > 0, 1, 0.3)
    np.testing.assert_allclose(s["2.dz"], slope * s["2.da"], **close)
    np.testing.assert_allclose(s["2.weight.grad"], s["1.a"].T @ s["2.dz"], **close)
    np.testing.assert_allclose(s["2.bias.grad"], s["2.dz"].sum(0), **close)
    np.testing.assert_allclose(s["0.dz"], (1 - s["0.a"] ** 2) * s["0.da"], **close)
    np.testing.assert_allclose(s["input.grad"], s["0.dz"] @ w["0.weight"].T, **close)


def test_trace_agrees_with_update(f64):
    grads = f64.trace(NET, WEIGHTS, X, Y, "mse")
    g = {n: grads[f"{n}.grad"] for n in WEIGHTS}
    new, _ = f64.update(tp.SGD(0.5), WEIGHTS, g, {"t": 0})
    for n, w in WEIGHTS.items():
        # One product and one difference, whether or not they are fused.
        np.testing.assert_allclose(new[n], w - 0.5 * g[n], rtol=1e-15, atol=1e-16)


# dropout


def test_without_a_key_dropout_is_off(f32):
    plain = tp.Sequential(*(layer for layer in NET.layers if isinstance(layer, tp.Dense)))
    renamed = dict(zip(plain.shapes, WEIGHTS.values(), strict=True))
    np.testing.assert_array_equal(
        f32.forward(NET, WEIGHTS, X), f32.forward(plain, renamed, X)
    )


@BOTH
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_the_mask_is_the_one_of_the_formula(name, dtype, seed):
    b, key = support.backend(name, dtype), threefry.key(seed)
    stages = b.trace(NET, WEIGHTS, X, Y, "mse", key=key)
    for place, rate, width in [(1, 0.4, 5), (3, 0.2, 4)]:
        draws = threefry.uniform(threefry.fold_in(key, place), (6, width))
        expected = draws < np.float32(1 - rate)
        np.testing.assert_array_equal(stages[f"{place}.mask"], expected, strict=True)


def test_another_key_is_another_mask(f32):
    masks = [
        f32.trace(NET, WEIGHTS, X, Y, "mse", key=threefry.key(s))["1.mask"] for s in (1, 2)
    ]
    assert (masks[0] != masks[1]).any()


def test_rate_zero_keeps_all(f32):
    net = tp.Sequential(tp.Dropout(0), tp.Dense(2, 3))
    w = net.init()
    np.testing.assert_array_equal(f32.forward(net, w, X, key=KEY), f32.forward(net, w, X))


def test_what_is_dropped_is_zero_even_if_infinite(f32):
    net = tp.Sequential(tp.Dense(2, 4), tp.Dropout(0.5))
    w = {"0.weight": np.full((2, 4), np.inf), "0.bias": np.zeros(4)}
    stages = f32.trace(net, w, np.ones((5, 2)), np.zeros((5, 4)), "mse", key=KEY)
    mask = stages["1.mask"]
    assert 0 < mask.sum() < mask.size
    np.testing.assert_array_equal(stages["1.a"], np.where(mask, np.inf, 0))


# optimizers


@EACH_OPTIMIZER
def test_init_optimizer_is_complete(f32, optimizer):
    state = f32.init_optimizer(optimizer, WEIGHTS)
    assert list(state) == ["t", *(f"{s}/{n}" for s in optimizer.slots for n in WEIGHTS)]
    assert state["t"] == 0
    for slot, first in optimizer.slots.items():
        for n, w in WEIGHTS.items():
            expected = np.full(w.shape, first, "float32")
            np.testing.assert_array_equal(state[f"{slot}/{n}"], expected, strict=True)


@EACH_OPTIMIZER
def test_update_is_pure_and_counts(f32, optimizer):
    start = f32.init_optimizer(optimizer, WEIGHTS)
    w, s = f32.update(optimizer, WEIGHTS, GRADIENTS, start)
    again = f32.update(optimizer, WEIGHTS, GRADIENTS, start)
    assert_equal_bits(leaves(again), leaves((w, s)))
    assert start["t"] == 0
    assert s["t"] == 1
    _, s = f32.update(optimizer, w, GRADIENTS, s)
    assert s["t"] == 2
    for n in WEIGHTS:
        assert (w[n] != WEIGHTS[n]).any(), n


@EACH_OPTIMIZER
def test_a_changed_learning_rate_keeps_the_state(f64, optimizer):
    state = f64.init_optimizer(optimizer, WEIGHTS)
    w, state = f64.update(optimizer, WEIGHTS, GRADIENTS, state)
    zero = replace(optimizer, lr=0.0)
    still, after = f64.update(zero, w, GRADIENTS, state)
    _, expected = f64.update(optimizer, w, GRADIENTS, state)
    assert list(after) == list(expected)
    if getattr(optimizer, "velocity", "gradients") == "gradients":
        assert_equal_bits(after, expected)  # the state does not depend on eta
        for n in w:
            np.testing.assert_array_equal(still[n], w[n])
    else:  # the velocity remembers the steps of the former eta: mu b
        for n in w:
            b = state[f"velocity/{n}"]
            # A product of two roundings, or of one where it is fused.
            np.testing.assert_allclose(after[f"velocity/{n}"], 0.9 * b, rtol=1e-15)


def test_a_late_step(f32):
    # Past 2^31, where an int32 would have wrapped; 1 - beta^t is 1.
    state = f32.init_optimizer("adam", WEIGHTS) | {"t": np.int64(2**31)}
    w, after = f32.update("adam", WEIGHTS, GRADIENTS, state)
    assert after["t"] == 2**31 + 1
    assert all(np.isfinite(a).all() for a in w.values())


@pytest.mark.parametrize("optimizer", tp.spec.OPTIMIZERS)
def test_every_optimizer_is_native(f32, optimizer):
    assert str(f32.supports(optimizer)) == "native"


def test_info_is_for_people(f32):
    info = f32.info()
    assert "cpu" in info["devices"]
    assert all(isinstance(v, str) and v for v in info.values())
