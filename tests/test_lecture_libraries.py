"""The lecture's rows and pitfalls that belong to a library, each reproduced.

The pitfalls are the libraries' own behaviour: a test that fails here says that
a library has changed, and that the lecture should.
"""

import numpy as np
import pytest
import support

import tetrapla as tp

NET = tp.Sequential(tp.Dense(3, 4, "relu"), tp.Dense(4, 2))
PAIRS = [("torch", "torch.nn"), ("tf", "tf.keras"), ("jax", "jax.flax")]


@pytest.mark.parametrize(("scratch", "library"), PAIRS)
def test_dense_by_calling_is_dense_from_scratch(scratch, library):
    """The same output from the same weights, and as the library's own object."""
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    weights = NET.init(seed=0)
    ours = support.backend(scratch).forward(NET, weights, x)
    b = support.backend(library)
    # float32, another order of addition; the bounds are the parity suite's
    np.testing.assert_allclose(b.forward(NET, weights, x), ours, rtol=1e-5, atol=1e-6)
    model = b.build(NET, weights)
    if library == "torch.nn":
        import torch

        assert type(model) is torch.nn.Sequential
        called = model(torch.tensor(x)).detach().numpy()
    elif library == "tf.keras":
        import keras

        assert type(model) is keras.Sequential
        called = model(x).numpy()
    else:
        from flax import nnx

        assert isinstance(model, nnx.Sequential)
        called = np.asarray(model(x))
    np.testing.assert_allclose(called, ours, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", support.ALL)
def test_all_together_learns_the_digits(name):
    """Shuffle, batches, forward, loss, gradient, update, in every framework."""
    digits = support.dataset("digits")
    x, y = digits.x_train[:600], digits.y_train[:600]
    net = tp.Sequential(tp.Dense(64, 32, "relu"), tp.Dense(32, 10))
    adam = tp.Adam.keras(0.01) if name == "tf.keras" else tp.Adam(0.01)
    training = tp.Training(8, 32, adam, "softmax_cross_entropy")
    b = support.backend(name)
    run = b.fit(net, net.init(seed=0), (x, y), training)
    assert run.history["loss"][-1] < 0.2
    right = b.forward(net, run.weights, x).argmax(axis=1) == y
    assert right.mean() > 0.95


def test_keras_dropout_takes_rate_and_torch_takes_p():
    torch = pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    assert torch.nn.Dropout(p=0.5).p == keras.layers.Dropout(rate=0.5).rate
    with pytest.raises(TypeError, match="rate"):
        torch.nn.Dropout(rate=0.5)
    with pytest.raises((TypeError, ValueError)):
        keras.layers.Dropout(p=0.5)


def test_torch_relu_of_z_builds_a_module():
    """nn.ReLU(z) is a module with a strange `inplace`; nothing is applied."""
    torch = pytest.importorskip("torch")
    made = torch.nn.ReLU(torch.tensor([1.0]))
    assert isinstance(made, torch.nn.Module)
    assert torch.nn.ReLU()(torch.tensor([-1.0])) == 0


def test_torch_gradients_add_up_without_zero_grad():
    torch = pytest.importorskip("torch")
    w = torch.tensor([2.0], requires_grad=True)
    for expected in (4.0, 8.0):
        (w**2).sum().backward()
        assert w.grad.item() == expected


def test_tensorflow_outside_the_tape_has_no_gradient():
    tf = pytest.importorskip("tensorflow")
    w = tf.Variable(2.0)
    value = w * w
    with tf.GradientTape() as tape:
        pass
    assert tape.gradient(value, w) is None


def test_a_rebound_variable_is_no_variable():
    tf = pytest.importorskip("tensorflow")
    w = tf.Variable(2.0)
    w = w - 0.1 * 4.0
    assert not isinstance(w, tf.Variable)
    with tf.GradientTape() as tape:
        value = w * w
    assert tape.gradient(value, w) is None


def test_softmax_before_a_loss_that_applies_it_again():
    """Twice softmax: a confident and right answer still costs much."""
    torch = pytest.importorskip("torch")
    z = torch.tensor([[20.0, 0.0, 0.0]])
    loss = torch.nn.CrossEntropyLoss()
    y = torch.tensor([0])
    assert loss(z, y) < 1e-7
    assert 0.55 < loss(torch.softmax(z, 1), y) < 0.56  # log(1 + 2 / e)


def test_clipped_probabilities_have_no_gradient_where_it_matters_most():
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    p = tf.constant([[0.0]])
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = keras.losses.BinaryCrossentropy()(tf.constant([[1.0]]), p)
    assert value > 16
    assert tape.gradient(value, p) == 0


def test_a_learning_rate_stored_in_float32():
    keras = pytest.importorskip("keras")
    rate = float(keras.optimizers.SGD(0.1).learning_rate)
    assert rate == float(np.float32(0.1)) != 0.1


def test_a_step_counter_that_stands_still_never_corrects_enough():
    """Optax's count is in the state: an old state is an old step."""
    pytest.importorskip("optax")
    import jax.numpy as jnp
    import optax

    rule = optax.adam(1.0, eps=0.0)
    first = rule.init(jnp.zeros(1))
    g = jnp.ones(1)
    _, second = rule.update(g, first)
    right, _ = rule.update(g, second)
    forgotten = second[0]._replace(count=first[0].count), second[1]
    wrong, _ = rule.update(g, forgotten)
    assert abs(right[0] + 1) < 1e-4
    assert abs(wrong[0] + 1) > 0.3


def test_flax_dropout_with_a_float64_scope_draws_other_masks():
    """The same key, another precision: nnx.Dropout draws in that of the scope."""
    pytest.importorskip("flax")
    import jax
    import jax.numpy as jnp
    from flax import nnx

    def mask():
        layer = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
        return np.asarray(layer(jnp.ones(64))) != 0

    single = mask()
    with jax.enable_x64(True):
        double = mask()
    assert (single != double).any()
