"""Values and gradients where careless formulas fail: kinks, far ends, NaN.

What is expected here is written down in the specification, not computed by
one of the implementations.
"""

import math

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.spec import ACTIVATIONS

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])
BCE = tp.BinaryCrossEntropy(reduction="sum", outputs="sum")
BCE_P = tp.BinaryCrossEntropy(from_logits=False, reduction="sum", outputs="sum")
SUM = tp.SoftmaxCrossEntropy(reduction="sum")


def gradient(b, g, z):
    z = np.asarray(z)
    return b.activation_gradient(g, z, np.ones_like(z))


def loss_gradient(b, loss, outputs, y):
    """Return the gradient with respect to the outputs, by an identity network."""
    outputs = np.asarray(outputs, b.dtype)
    n = outputs.shape[1]
    net = tp.Sequential(tp.Dense(n, n))
    w = {"0.weight": np.eye(n), "0.bias": np.zeros(n)}
    return b.trace(net, w, outputs, np.asarray(y), loss)["0.da"]


# g and g' at 0, exactly; by the definition's formulas
AT_ZERO = {
    "identity": ("identity", 0.0, 1.0),
    "sigmoid": ("sigmoid", 0.5, 0.25),
    "tanh": ("tanh", 0.0, 1.0),
    "relu": ("relu", 0.0, 0.0),
    "leaky_relu": (tp.LeakyReLU(0.25), 0.0, 0.25),
    "leaky_relu-negative": (tp.LeakyReLU(-0.5), 0.0, -0.5),
    "elu": (tp.ELU(2.0), 0.0, 2.0),
    "silu": ("silu", 0.0, 0.5),
    "gelu_erf": ("gelu_erf", 0.0, 0.5),
    "gelu_tanh": ("gelu_tanh", 0.0, 0.5),
    "softplus": ("softplus", None, 0.5),
}


@BOTH
@pytest.mark.parametrize("zero", [0.0, -0.0], ids=["zero", "minus-zero"])
@pytest.mark.parametrize(("g", "value", "slope"), AT_ZERO.values(), ids=AT_ZERO)
def test_at_zero(name, dtype, g, value, slope, zero):
    b = support.backend(name, dtype)
    z = np.array([zero])
    assert gradient(b, g, z) == slope
    if value is not None:
        assert b.activation(g, z) == value
    else:  # softplus(0) = log 2, by one library function of one ULP
        ulp = np.finfo(dtype).eps
        np.testing.assert_allclose(b.activation(g, z), math.log(2), rtol=2 * ulp)


# (g, far below: value, slope; far above: value - z, slope), exactly: at -1e4
# every exponential underflows, in float64 too.
FAR = 1e4
AT_FAR = {
    "sigmoid": ("sigmoid", (0.0, 0.0), (1.0, 0.0)),
    "tanh": ("tanh", (-1.0, 0.0), (1.0, 0.0)),
    "relu": ("relu", (0.0, 0.0), (FAR, 1.0)),
    "leaky_relu": (tp.LeakyReLU(0.25), (-FAR / 4, 0.25), (FAR, 1.0)),
    "elu": (tp.ELU(2.0), (-2.0, 0.0), (FAR, 1.0)),
    "softplus": ("softplus", (0.0, 0.0), (FAR, 1.0)),
    "silu": ("silu", (0.0, 0.0), (FAR, 1.0)),
    "gelu_erf": ("gelu_erf", (0.0, 0.0), (FAR, 1.0)),
    "gelu_tanh": ("gelu_tanh", (0.0, 0.0), (FAR, 1.0)),
}


@BOTH
@pytest.mark.parametrize("scale", [1, 1e9, 1e16, 3e34], ids=str)
@pytest.mark.parametrize(("g", "below", "above"), AT_FAR.values(), ids=AT_FAR)
def test_far_from_zero(name, dtype, g, below, above, scale):
    # "a derivative that vanishes for large |z| is 0 there, never NaN": up to
    # 3e38, where z^2 and z^3 overflow in float32.
    b = support.backend(name, dtype)
    z = np.array([-FAR, FAR]) * scale
    grows = np.array([abs(below[0]) == FAR / 4, above[0] == FAR])
    value = np.array([below[0], above[0]]) * np.where(grows, scale, 1)
    expected = value.astype(dtype)
    np.testing.assert_array_equal(b.activation(g, z), expected)
    np.testing.assert_array_equal(gradient(b, g, z), [below[1], above[1]])


def test_softmax_far_from_zero(f32):
    z = np.array([[FAR, -FAR, 0.0], [3e38, -3e38, 0.0]])
    np.testing.assert_array_equal(f32.activation("softmax", z), [[1, 0, 0]] * 2)
    np.testing.assert_array_equal(gradient(f32, "softmax", z), np.zeros((2, 3)))


def test_softmax_of_one_is_one(f32):
    z = np.array([[-FAR], [0.0], [FAR]])
    np.testing.assert_array_equal(f32.activation("softmax", z), np.ones((3, 1)))
    np.testing.assert_array_equal(gradient(f32, "softmax", z), np.zeros((3, 1)))


@pytest.mark.parametrize("g", ACTIVATIONS)
def test_nan_in_nan_out(f32, g):
    z = np.array([1.0, np.nan, -1.0])
    a = f32.activation(g, z)
    elsewhere = g == "softmax"  # whose row is one value
    np.testing.assert_array_equal(np.isnan(a), [elsewhere, True, elsewhere])


@pytest.mark.parametrize("g", [g for g in ACTIVATIONS if g not in ("softmax", "silu")])
def test_infinity_in(f32, g):
    # The limits; silu and the gelus at -inf are inf times 0, as written.
    value = f32.activation(g, np.array([np.inf]))
    assert value == (1 if g in ("sigmoid", "tanh") else np.inf)


def test_the_where_trap(f32):
    # where(z > 0, z, expm1(z)) has a NaN gradient here: 0 times inf.
    np.testing.assert_array_equal(gradient(f32, "elu", [1e4, 89.0, 1000.0]), [1, 1, 1])


def test_softplus_keeps_its_tail(f64):
    # log(1 + exp(z)) as written is 0 below -37; here it is exp(z).
    z = np.array([-50.0, -300.0])
    np.testing.assert_allclose(f64.activation("softplus", z), np.exp(z), rtol=1e-15)


def test_sigmoid_keeps_its_tail(f64):
    z = np.array([-50.0, -300.0])
    np.testing.assert_allclose(f64.activation("sigmoid", z), np.exp(z), rtol=1e-15)


def test_gelu_keeps_its_tail(f64):
    # z/2 (1 + erf(z / sqrt 2)) as written is 0 below -8.3: 1 - 1.
    z = np.array([-10.0, -30.0])
    expected = [0.5 * v * math.erfc(-v / math.sqrt(2)) for v in z]
    # The argument's rounding, 1e-16, counts z^2 = 900 times in the tail.
    np.testing.assert_allclose(f64.activation("gelu_erf", z), expected, rtol=900 * 4e-16)


# binary cross-entropy on logits


@BOTH
@pytest.mark.parametrize("y", [0.0, 0.25, 1.0], ids=str)
@pytest.mark.parametrize("zero", [0.0, -0.0], ids=["zero", "minus-zero"])
def test_bce_at_logit_zero(name, dtype, y, zero):
    b = support.backend(name, dtype)
    value = b.loss(BCE, np.array([[zero]]), np.array([[y]]))
    np.testing.assert_allclose(value, math.log(2), rtol=2 * np.finfo(dtype).eps)
    assert loss_gradient(b, BCE, [[zero]], [[y]]) == 0.5 - y


BCE_FAR = {  # logit, label -> loss, gradient; exactly
    "right-above": (FAR, 1.0, 0.0, 0.0),
    "wrong-above": (FAR, 0.0, FAR, 1.0),
    "half-above": (FAR, 0.5, FAR / 2, 0.5),
    "right-below": (-FAR, 0.0, 0.0, 0.0),
    "wrong-below": (-FAR, 1.0, FAR, -1.0),
    "half-below": (-FAR, 0.5, FAR / 2, -0.5),
}


@BOTH
@pytest.mark.parametrize(("z", "y", "value", "slope"), BCE_FAR.values(), ids=BCE_FAR)
def test_bce_far_from_zero(name, dtype, z, y, value, slope):
    b = support.backend(name, dtype)
    assert b.loss(BCE, np.array([[z]]), np.array([[y]])) == value
    assert loss_gradient(b, BCE, [[z]], [[y]]) == slope


@pytest.mark.parametrize(("z", "y"), [(50.0, 1.0), (-50.0, 0.0)], ids=["above", "below"])
def test_bce_keeps_its_tail(f64, z, y):
    # log(1 + exp(-50)), and not 0
    tail = math.exp(-50)
    value = f64.loss(BCE, np.array([[z]]), np.array([[y]]))
    np.testing.assert_allclose(value, tail, rtol=1e-15)


# binary cross-entropy on probabilities

INF = math.inf
BCE_EDGES = {  # p, y -> loss, gradient -y/p + (1 - y)/(1 - p), where 0/0 has no part
    "0-0": (0.0, 0.0, 0.0, 1.0),
    "0-1": (0.0, 1.0, INF, -INF),
    "0-half": (0.0, 0.5, INF, -INF),
    "1-0": (1.0, 0.0, INF, INF),
    "1-1": (1.0, 1.0, 0.0, -1.0),
    "1-half": (1.0, 0.5, INF, INF),
    "half-half": (0.5, 0.5, None, 0.0),
    "half-1": (0.5, 1.0, None, -2.0),
    "half-0": (0.5, 0.0, None, 2.0),
}


@BOTH
@pytest.mark.parametrize(("p", "y", "value", "slope"), BCE_EDGES.values(), ids=BCE_EDGES)
def test_bce_on_probabilities_at_its_edges(name, dtype, p, y, value, slope):
    b = support.backend(name, dtype)
    given = b.loss(BCE_P, np.array([[p]]), np.array([[y]]))
    if value is None:  # log 2, by one or two library functions of an ULP
        np.testing.assert_allclose(given, math.log(2), rtol=2 * np.finfo(dtype).eps)
    else:
        assert given == value


@BOTH
@pytest.mark.parametrize(("p", "y", "value", "slope"), BCE_EDGES.values(), ids=BCE_EDGES)
def test_bce_gradient_on_probabilities_at_its_edges(name, dtype, p, y, value, slope):
    b = support.backend(name, dtype)
    assert loss_gradient(b, BCE_P, [[p]], [[y]]) == slope


# softmax cross-entropy


@BOTH
@pytest.mark.parametrize("y", [np.array([0, 0, 0]), np.ones((3, 1))], ids=["class", "row"])
def test_softmax_ce_of_a_single_output_is_zero(name, dtype, y):
    b = support.backend(name, dtype)
    z = np.array([[-FAR], [0.0], [2.5]])
    value = b.loss(SUM, z, y)
    assert value == 0.0
    assert not np.signbit(value)
    np.testing.assert_array_equal(loss_gradient(b, SUM, z, y), np.zeros((3, 1)))


CE = {  # logits, class -> loss, gradient; exactly
    "right": ([FAR, -FAR], 0, 0.0, [0.0, 0.0]),
    "wrong": ([FAR, -FAR], 1, 2 * FAR, [1.0, -1.0]),
    "third": ([FAR, 0.0, -FAR], 1, FAR, [1.0, -1.0, 0.0]),
    "huge": ([3e38, -3e38], 0, 0.0, [0.0, 0.0]),
}


@pytest.mark.parametrize("rows", [False, True], ids=["class", "row"])
@pytest.mark.parametrize(("z", "y", "value", "slope"), CE.values(), ids=CE)
def test_softmax_ce_far_from_zero(f32, z, y, value, slope, rows):
    y = np.eye(len(z))[[y]] if rows else np.array([y])
    assert f32.loss(SUM, np.array([z]), y) == value
    np.testing.assert_array_equal(loss_gradient(f32, SUM, [z], y), [slope])


@BOTH
@pytest.mark.parametrize("zero", [0.0, -0.0, FAR, -FAR], ids=str)
def test_softmax_ce_of_equal_logits(name, dtype, zero):
    b = support.backend(name, dtype)
    z, y = np.full((1, 4), zero), np.array([2])
    value = b.loss(SUM, z, y)
    np.testing.assert_allclose(value, math.log(4), rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(loss_gradient(b, SUM, z, y), [[0.25, 0.25, -0.75, 0.25]])


# optimizers


@BOTH
@pytest.mark.parametrize("place", ["outside", "inside"])
@pytest.mark.parametrize("g", [0.1, 1e-3, 37.7], ids=str)
def test_centred_rmsprop_on_constant_gradients(name, dtype, g, place):
    # v - m^2 rounds below 0 here: PyTorch, Optax and Keras reach NaN.
    b = support.backend(name, dtype)
    optimizer = tp.RMSProp(centered=True, eps_place=place)
    w = {"w": np.zeros(2)}
    gradients = {"w": np.full(2, g)}
    state = b.init_optimizer(optimizer, w)
    for _ in range(300):
        w, state = b.update(optimizer, w, gradients, state)
    assert np.isfinite(w["w"]).all()
    assert (w["w"] < 0).all()
    assert all(np.isfinite(s).all() for s in state.values())


@pytest.mark.parametrize("optimizer", ["adagrad", "adadelta", "rmsprop", "adam", "adamw"])
def test_a_zero_gradient_from_the_start_is_no_nan(f32, optimizer):
    w, zero = {"w": np.ones(2)}, {"w": np.zeros(2)}
    state = f32.init_optimizer(optimizer, w)
    new, state = f32.update(optimizer, w, zero, state)
    decayed = 1 - 1e-3 * 0.01 if optimizer == "adamw" else 1
    np.testing.assert_array_equal(new["w"], np.full(2, decayed, "float32"))
