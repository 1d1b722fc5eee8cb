"""Properties that hold for every input, and examples chosen to break them."""

import numpy as np
import pytest
import support
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tetrapla as tp
from tetrapla.spec import ACTIVATIONS, InvalidInputError

# Few examples and one shape each: JAX compiles for every shape anew. The
# fixtures are constants, so that sharing them between examples is right.
FEW = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ROWS = (3, 4)
EPS = 2.0**-52


def floats(low, high, shape=ROWS):
    """Return arrays of odd multiples of 2^-15: no kink, nothing subnormal.

    TensorFlow and JAX flush subnormal numbers on the CPU, a choice of theirs.
    """
    odd = st.integers(int(low * 2**14), int(high * 2**14) - 1)
    return arrays.arrays("float64", shape, elements=odd.map(lambda k: (k + 0.5) / 2**14))


finite32 = arrays.arrays(
    "float32", ROWS, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)
usual = floats(-20, 20)
EACH = pytest.mark.parametrize("g", ACTIVATIONS)


@FEW
@given(z=floats(-1e4, 1e4))
def test_softmax_rows_add_up_to_one(f64, z):
    a = f64.activation("softmax", z)
    assert (a >= 0).all()
    # Four quotients and three additions, each half an ULP of at most 1.
    np.testing.assert_allclose(a.sum(axis=1), 1, rtol=0, atol=4 * EPS)


@FEW
@given(z=usual, shift=st.floats(-100, 100))
def test_softmax_does_not_see_a_shift(f64, z, shift):
    shifted = f64.activation("softmax", z + shift)
    # z + shift is rounded, to half an ULP of 120: so is each exponent, twice.
    atol = 4 * 128 * EPS
    np.testing.assert_allclose(shifted, f64.activation("softmax", z), rtol=0, atol=atol)


@EACH
@FEW
@given(z=finite32)
@example(z=np.float32([[3.4e38, -3.4e38, 0, -0.0]] * 3))
@example(z=np.float32([[1e20, -1e20, 1e13, -1e13]] * 3))
@example(z=np.float32([[1e-45, -1e-45, 88.8, -88.8]] * 3))
def test_no_finite_input_gives_nan(f32, g, z):
    assert np.isfinite(f32.activation(g, z)).all()
    gradient = f32.activation_gradient(g, z, np.ones_like(z))
    assert np.isfinite(gradient).all()


@EACH
@FEW
@given(z=usual, upstream=floats(-1, 1))
def test_gradients_are_the_numerical_derivatives(f64, g, z, upstream):
    h = 1e-5
    assert (np.abs(z) > 2 * h).all()  # the kinks are all at 0
    gradient = f64.activation_gradient(g, z, upstream)
    up, down = f64.activation(g, z + h * upstream), f64.activation(g, z - h * upstream)
    numerical = (up - down) / (2 * h)  # J u, and u J: every Jacobian is symmetric
    # The difference's error, h^2/6 times a third derivative (below 10), and
    # the cancellation's, an ULP of 20 over h.
    np.testing.assert_allclose(gradient, numerical, rtol=0, atol=2e-10 + 4 * 20 * EPS / h)


@EACH
@FEW
@given(z=usual, upstream=floats(-1, 1), factor=st.sampled_from([-2.0, 0.0, 0.5, 4.0]))
def test_gradients_are_linear_in_the_upstream(f64, g, z, upstream, factor):
    # Powers of two scale exactly.
    one = f64.activation_gradient(g, z, upstream)
    np.testing.assert_array_equal(
        f64.activation_gradient(g, z, factor * upstream), factor * one
    )


@FEW
@given(x=usual, weights=floats(-2, 2, (4, 5)), second=floats(-2, 2, (5, 3)))
def test_stacked_linear_layers_are_a_product(f64, x, weights, second):
    net = tp.Sequential(tp.Dense(4, 5), tp.Dense(5, 3))
    w = {
        "0.weight": weights,
        "0.bias": np.zeros(5),
        "1.weight": second,
        "1.bias": np.zeros(3),
    }
    # Dot products of lengths 4 and 5, in two orders (Higham, ch. 3).
    bound = 2 * 9 * EPS * (np.abs(x) @ np.abs(weights) @ np.abs(second))
    difference = np.abs(f64.forward(net, w, x) - x @ (weights @ second))
    assert (difference <= bound + 1e-300).all()


LOSSES = {
    "mse": (tp.MeanSquaredError, {}, None),
    "mse-sum": (tp.MeanSquaredError, {"outputs": "sum"}, None),
    "bce": (tp.BinaryCrossEntropy, {}, None),
    "softmax": (tp.SoftmaxCrossEntropy, {}, np.array([3, 0, 1])),
}


@pytest.mark.parametrize(("cls", "fields", "y"), LOSSES.values(), ids=LOSSES)
@FEW
@given(z=usual, rows=floats(0, 1))
def test_reductions_agree(f64, cls, fields, y, z, rows):
    y = rows if y is None else y
    each = f64.loss(cls(reduction="none", **fields), z, y)
    assert each.shape == (3,)
    assert (each >= 0).all()
    total = f64.loss(cls(reduction="sum", **fields), z, y)
    mean = f64.loss(cls(**fields), z, y)
    # Three terms >= 0 added in any order; a quotient.
    np.testing.assert_allclose(total, each.sum(), rtol=4 * EPS)
    np.testing.assert_allclose(mean, each.sum() / 3, rtol=5 * EPS)


@FEW
@given(w=usual, momentum=st.sampled_from([0.0, 0.5]), lr=st.floats(0, 10))
def test_a_zero_gradient_leaves_sgd_where_it_is(f64, w, momentum, lr):
    optimizer = tp.SGD(lr if f64.name != "jax" else 0.5, momentum=momentum)  # static in jax
    weights = {"w": w}
    state = f64.init_optimizer(optimizer, weights)
    new, state = f64.update(optimizer, weights, {"w": np.zeros(ROWS)}, state)
    np.testing.assert_array_equal(new["w"], w)


@FEW
@given(w=usual, g=usual)
def test_one_step_of_sgd(f64, w, g):
    new, _ = f64.update(tp.SGD(0.5), {"w": w}, {"w": g}, {"t": 0})
    np.testing.assert_array_equal(new["w"], w - 0.5 * g)  # 0.5 g is exact: one rounding


@pytest.mark.parametrize("other", ["torch", "tf", "jax"])
@EACH
@FEW
@given(z=floats(-5, 5))
def test_four_implementations_agree(other, g, z):
    ours, theirs = support.backend("numpy", "float64"), support.backend(other, "float64")
    a, b = ours.activation(g, z), theirs.activation(g, z)
    # Elementary functions to a few ULP each, composed of values of at most
    # 5, where GELU's tails lose what their argument's rounding costs.
    np.testing.assert_allclose(b, a, rtol=16 * EPS, atol=32 * EPS)


@FEW
@given(
    shape=st.lists(st.integers(1, 4), min_size=0, max_size=3).map(tuple),
)
def test_exactly_the_right_shapes_are_accepted(shape):
    b = support.backend("numpy")
    net = tp.Sequential(tp.Dense(2, 3))
    x = np.ones(shape)
    if len(shape) == 2 and shape[1] == 2:
        assert b.forward(net, net.init(), x).shape == (shape[0], 3)
    else:
        with pytest.raises(
            InvalidInputError, match=r"^x must have shape \(batch, 2\), got"
        ):
            b.forward(net, net.init(), x)


@FEW
@given(
    outputs=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    labels=st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple),
)
@example(outputs=(3, 1), labels=(3,))
@example(outputs=(2, 2), labels=(2,))
def test_labels_are_never_broadcast(outputs, labels):
    b = support.backend("numpy")
    z, y = np.ones(outputs), np.ones(labels)
    if labels == outputs:
        assert b.loss("mse", z, y) == 0
    else:
        with pytest.raises(
            InvalidInputError, match=r"^y must have the shape of the outputs"
        ):
            b.loss("mse", z, y)
