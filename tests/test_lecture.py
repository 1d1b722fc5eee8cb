"""The lecture's numbers, on every backend."""

import numpy as np
import pytest
import support

import tetrapla as tp


@pytest.fixture(params=support.ALL)
def name(request):
    """From scratch, and by calling the library."""
    return request.param


BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def perceptron(activation="identity"):
    """Return the lecture's neuron, w0 = 1 and W = [3, -2]: a network and its weights."""
    net = tp.Sequential(tp.Dense(2, 1, activation))
    return net, {"0.weight": np.array([[3.0], [-2.0]]), "0.bias": np.array([1.0])}


@BOTH
def test_the_perceptron_multiplies_adds_and_squashes(name, dtype):
    b = support.backend(name, dtype)
    x = np.array([[-1.0, 2.0]])
    z = b.forward(*perceptron(), x)
    assert z == -6  # small integers are exact
    y = b.forward(*perceptron("sigmoid"), x)
    np.testing.assert_allclose(y, 0.0024726, rtol=0, atol=0.5e-7)  # as printed


def test_the_perceptron_divides_the_plane_by_a_line(f64):
    # 1 + 3 x1 - 2 x2 = 0
    x1 = np.array([-3.0, -1.0, 0.0, 2.0])
    on = np.stack([x1, (1 + 3 * x1) / 2], axis=1)
    y = f64.forward(*perceptron("sigmoid"), on)
    np.testing.assert_array_equal(y, np.full((4, 1), 0.5))
    up = np.array([0, 1])
    assert (f64.forward(*perceptron("sigmoid"), on + up) < 0.5).all()
    assert (f64.forward(*perceptron("sigmoid"), on - up) > 0.5).all()


@BOTH
def test_the_empirical_loss(name, dtype):
    b = support.backend(name, dtype)
    p, y = np.array([[0.1], [0.8], [0.6]]), np.array([[1.0], [0.0], [1.0]])
    if name == "jax.flax":  # from logits: the next test
        with pytest.raises(tp.UnsupportedError, match="takes logits"):
            b.loss(tp.BinaryCrossEntropy(from_logits=False), p, y)
        return
    each = b.loss(tp.BinaryCrossEntropy(from_logits=False, reduction="none"), p, y)
    np.testing.assert_allclose(each, [2.302585, 1.609438, 0.510826], rtol=0, atol=1e-6)
    mean = b.loss(tp.BinaryCrossEntropy(from_logits=False), p, y)
    np.testing.assert_allclose(mean, 1.474283, rtol=0, atol=1e-6)  # as printed


def test_the_same_loss_from_logits(f64):
    p, y = np.array([[0.1], [0.8], [0.6]]), np.array([[1.0], [0.0], [1.0]])
    logits = np.log(p / (1 - p))
    np.testing.assert_allclose(f64.loss("bce", logits, y), 1.474283, rtol=0, atol=1e-6)


def test_two_linear_layers_collapse_into_one(f64):
    two = tp.Sequential(tp.Dense(3, 5), tp.Dense(5, 2))
    w = {n: a + 0.1 for n, a in two.init(seed=1).items()}
    one = tp.Sequential(tp.Dense(3, 2))
    product = {
        "0.weight": w["0.weight"].astype(float) @ w["1.weight"],
        "0.bias": w["0.bias"].astype(float) @ w["1.weight"] + w["1.bias"],
    }
    x = np.random.default_rng(0).normal(size=(4, 3))
    # Sums of at most 15 products of numbers of order 1.
    expected = f64.forward(one, product, x)
    np.testing.assert_allclose(f64.forward(two, w, x), expected, rtol=0, atol=1e-14)


def test_with_a_nonlinearity_they_do_not_collapse(f64):
    # What is linear satisfies f(x) + f(-x) = 2 f(0).
    net = tp.Sequential(tp.Dense(3, 5, "relu"), tp.Dense(5, 2))
    w = net.init(seed=1)
    x = np.random.default_rng(0).normal(size=(4, 3))
    both = f64.forward(net, w, x) + f64.forward(net, w, -x)
    assert (np.abs(both - 2 * f64.forward(net, w, 0 * x)) > 0.1).any()


def test_the_identity_layer(f32):
    net = tp.Sequential(tp.Dense(3, 3))
    w = {"0.weight": np.eye(3), "0.bias": np.zeros(3)}
    x = np.array([[1.5, -2.25, 1e-3]])
    np.testing.assert_array_equal(f32.forward(net, w, x), x.astype("float32"))


def test_outputs_share_the_input_and_not_the_weights(f64):
    net = tp.Sequential(tp.Dense(2, 2, "tanh"))
    w = {"0.weight": np.array([[3.0, 0.5], [-2.0, 1.0]]), "0.bias": np.array([1.0, -1.0])}
    x = np.array([[-1.0, 2.0]])
    for i in range(2):
        single = tp.Sequential(tp.Dense(2, 1, "tanh"))
        column = {"0.weight": w["0.weight"][:, i : i + 1], "0.bias": w["0.bias"][i : i + 1]}
        alone = f64.forward(single, column, x)
        # One tanh, of vectors of other lengths.
        np.testing.assert_allclose(f64.forward(net, w, x)[:, i : i + 1], alone, rtol=4e-16)


def test_the_derivatives(f64):
    z = np.linspace(-5, 5, 11)
    one = np.ones_like(z)
    s, t = f64.activation("sigmoid", z), f64.activation("tanh", z)
    close = {"rtol": 0, "atol": 4e-16}  # three roundings of numbers below 1
    np.testing.assert_allclose(
        f64.activation_gradient("sigmoid", z, one), s * (1 - s), **close
    )
    np.testing.assert_allclose(f64.activation_gradient("tanh", z, one), 1 - t**2, **close)
    np.testing.assert_array_equal(f64.activation_gradient("relu", z, one), z > 0)


def test_will_i_pass_this_class(name, f64):
    # 2-3-1: predicted 0.1 where the answer is 1, so every step must help.
    hidden = tp.Dense(2, 3, "tanh")
    net = tp.Sequential(hidden, tp.Dense(3, 1, "sigmoid"))
    w = net.init(seed=0)
    z = f64.trace(net, w, np.array([[4.0, 5.0]]), np.array([[1.0]]), "mse")["1.z"]
    w["1.bias"] = w["1.bias"] - z[0] + np.log(0.1 / 0.9)
    x, y = np.array([[4.0, 5.0]]), np.array([[1.0]])
    # The weights are float32, so 0.1 comes out to float32's rounding.
    np.testing.assert_allclose(f64.forward(net, w, x), [[0.1]], rtol=1e-6)
    logits = name == "jax.flax"  # the same network, its sigmoid in the loss
    trained = tp.Sequential(hidden, tp.Dense(3, 1)) if logits else net
    loss = tp.BinaryCrossEntropy(from_logits=logits)
    settings = tp.Training(20, "all", tp.SGD(0.5), loss)
    run = f64.fit(trained, w, (x, y), settings)
    np.testing.assert_allclose(run.history["loss"][0], 2.302585, rtol=1e-6)
    assert (np.diff(run.history["loss"]) < 0).all()
    assert f64.forward(net, run.weights, x) > 0.9


def test_softmax_cross_entropy_of_one_output_is_a_pitfall(f64):
    # Nothing to learn: the loss is 0 and so are all gradients.
    net = tp.Sequential(tp.Dense(2, 1))
    x, y = np.array([[4.0, 5.0], [2.0, 1.0]]), np.array([0, 0])
    r = f64.loss_and_gradients(net, net.init(seed=0), x, y, "softmax_cross_entropy")
    assert r.loss == 0.0
    assert all((g == 0).all() for g in r.weights.values())


@BOTH
def test_minimising_a_parabola(name, dtype):
    # (x - 4)^2 from 0, learning rate 0.01, 500 steps: the error shrinks by
    # 1 - 0.02 each step.
    b = support.backend(name, dtype)
    w = {"x": np.array(0.0)}
    state = b.init_optimizer(tp.SGD(0.01), w)
    for _ in range(500):
        w, state = b.update(tp.SGD(0.01), w, {"x": 2 * (w["x"] - 4)}, state)
    assert state["t"] == 500
    # Each step rounds numbers up to 8 three times, and each is forgotten by
    # 0.98 per step: at most 3 ULP of 4 times 1 / 0.02.
    expected = 4 - 4 * 0.98**500
    atol = 3 * 4 * np.finfo(dtype).eps / 0.02
    if name == "tf.keras":  # its learning rate is float32(0.01)
        expected = 4 - 4 * (1 - 2 * float(np.float32(0.01))) ** 500
    np.testing.assert_allclose(w["x"], expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("lr", "verdict"),
    [(0.001, "slow"), (0.3, "converges"), (1.1, "diverges")],
    ids=["small", "stable", "large"],
)
def test_the_three_learning_rates(f32, lr, verdict):
    net = tp.Sequential(tp.Dense(1, 1))
    w = {"0.weight": np.zeros((1, 1)), "0.bias": np.zeros(1)}
    data = np.zeros((1, 1)), np.ones((1, 1))  # only the bias moves: e <- (1 - 2 lr) e
    run = f32.fit(net, w, data, tp.Training(20, "all", tp.SGD(lr), "mse"))
    first, last = run.history["loss"][0], run.history["loss"][-1]
    assert {"slow": first > last > 0.9, "converges": last < 1e-6, "diverges": last > 10}[
        verdict
    ]
