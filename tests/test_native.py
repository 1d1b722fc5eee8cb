"""What `build` returns: the classes that a student reads, usable as they are."""

from importlib import import_module

import numpy as np
import pytest
import support

import tetrapla as tp

NET = tp.Sequential(tp.Dense(2, 3, "tanh"), tp.Dropout(0.5), tp.Dense(3, 2, "sigmoid"))
WEIGHTS = {name: w + 0.1 for name, w in NET.init(seed=4).items()}
RNG = np.random.default_rng(1)
X = RNG.normal(size=(5, 2))
Y = np.zeros((5, 2))
KEY = tp.threefry.key(2)
BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def native(name, array):
    """Return the framework's tensor of an array; a key as random.py takes it."""
    if name == "torch":
        import torch

        return torch.tensor(array.astype(np.int64) if array.dtype == np.uint32 else array)
    if name == "tf":
        import tensorflow as tf

        return tf.constant(array)
    return array


def numpy(tensor):
    return tensor.detach().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


@BOTH
def test_build_returns_the_classes_of_layers(name, dtype):
    model = support.backend(name, dtype).build(NET, WEIGHTS)
    layers = import_module(f"tetrapla.impls.{name}.layers")
    assert type(model) is layers.Sequential
    parts = list(model.children()) if name == "torch" else list(model.layers)
    assert [type(part) for part in parts] == [layers.Dense, layers.Dropout, layers.Dense]


@pytest.mark.parametrize("cls", ["Dense", "Dropout", "Sequential"])
def test_they_are_classes_of_the_framework(name, cls):
    support.backend(name)
    base = {
        "numpy": ("builtins", "object"),
        "torch": ("torch.nn", "Module"),
        "tf": ("tensorflow", "Module"),
        "jax": ("flax.nnx", "Module"),
    }[name]
    layer = getattr(import_module(f"tetrapla.impls.{name}.layers"), cls)
    assert issubclass(layer, getattr(import_module(base[0]), base[1]))


@BOTH
@pytest.mark.parametrize("key", [None, KEY], ids=["evaluation", "dropout"])
def test_called_natively_it_is_forward(name, dtype, key):
    b = support.backend(name, dtype)
    x = X.astype(dtype)
    keys = [] if key is None else [native(name, key)]
    outputs = numpy(b.build(NET, WEIGHTS)(native(name, x), *keys))
    expected = b.forward(NET, WEIGHTS, x, key=key)
    assert outputs.dtype == dtype
    # The same operations, eager here and compiled there: values in (0, 1)
    # after two products of two and three terms.
    few = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=few)


def test_the_built_weights_are_a_copy(f32):
    w = {n: a.astype("float32") for n, a in WEIGHTS.items()}
    model = f32.build(NET, w)
    before = w["0.bias"].copy()
    w["0.bias"][...] = 9
    np.testing.assert_array_equal(f32.weights(model)["0.bias"], before)


def test_a_torch_model_trains_in_torch():
    b = support.backend("torch", "float64")
    import torch

    model = b.build(NET, WEIGHTS)
    assert set(dict(model.named_parameters())) == set(NET.shapes)
    (model(torch.tensor(X)) ** 2).mean().backward()
    r = b.loss_and_gradients(NET, WEIGHTS, X, Y, "mse")
    for n, p in model.named_parameters():
        # Sums over 5 rows, perhaps in another order.
        np.testing.assert_allclose(p.grad.numpy(), r.weights[n], rtol=1e-13, atol=1e-16)


def test_a_tf_model_trains_in_tf():
    b = support.backend("tf", "float64")
    import tensorflow as tf

    model = b.build(NET, WEIGHTS)
    assert len(model.trainable_variables) == 4
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model(tf.constant(X)) ** 2)
    gradients = tape.gradient(value, model.weights())
    r = b.loss_and_gradients(NET, WEIGHTS, X, Y, "mse")
    for n, g in gradients.items():
        # Sums over 5 rows, perhaps in another order.
        np.testing.assert_allclose(g.numpy(), r.weights[n], rtol=1e-13, atol=1e-16)


# JAX computes in float64 only inside a scope: a float64 module must not
# compute in float32, silently, when its user is outside.


def jax_model(dtype="float64"):
    b = support.backend("jax", dtype)
    import jax

    assert not jax.config.jax_enable_x64
    with jax.enable_x64(True):
        x = jax.numpy.array(X)
    return b, jax, b.build(NET, WEIGHTS), x


def close(actual, expected):
    actual = np.asarray(actual)
    assert actual.dtype == np.float64
    # Compiled or not, and sums over 5 rows: far from float32's 6e-8.
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-16)


def squares(model, x):
    return (model(x) ** 2).mean()


TRACED = {
    "jit": lambda jax, m, x: jax.jit(lambda x: m(x))(x),
    "jit-model": lambda jax, m, x: jax.jit(m)(x),
    "jit-argument": lambda jax, m, x: jax.jit(lambda m, x: m(x))(m, x),
    "vmap": lambda jax, m, x: jax.vmap(lambda row: m(row[None])[0])(x),
    "grad-input": lambda jax, m, x: jax.grad(squares, argnums=1)(m, x),
    "grad-model": lambda jax, m, x: jax.grad(squares)(m, x).weights(),
    "jit-grad": lambda jax, m, x: jax.jit(jax.grad(squares, argnums=1))(m, x),
    "grad-jit": lambda jax, m, x: jax.grad(jax.jit(squares), argnums=1)(m, x),
}
OF_EACH = pytest.mark.parametrize("transform", TRACED.values(), ids=TRACED)


@OF_EACH
def test_jax_float64_traced_inside_the_scope(transform):
    b, jax, model, x = jax_model()
    with jax.enable_x64(True):
        result = transform(jax, model, x)
    r = b.loss_and_gradients(NET, WEIGHTS, X, Y, "mse")
    if isinstance(result, dict):
        for n, dw in result.items():
            close(dw, r.weights[n])
    else:
        close(result, r.input if "grad" in CASE[transform] else b.forward(NET, WEIGHTS, X))


CASE = {transform: case for case, transform in TRACED.items()}


@OF_EACH
def test_jax_float64_traced_outside_the_scope_is_refused(transform):
    # What jit was given may be float32 by now, and what grad runs later is.
    _, jax, model, x = jax_model()
    with pytest.raises(TypeError, match=r"float64 model is traced .*enable_x64\(True\)"):
        transform(jax, model, x)


def test_jax_float64_eager_outside_the_scope():
    b, _, model, x = jax_model()
    expected = b.forward(NET, WEIGHTS, X)
    close(model(x), expected)
    close(model(X), expected)


def test_jax_float32_stays_float32_in_the_users_float64():
    b, jax, model, _ = jax_model("float32")
    with jax.enable_x64(True):
        outputs = model(jax.numpy.array(X, "float32"))
    assert outputs.dtype == np.float32
    # Compiled or not, values in (0, 1).
    expected = b.forward(NET, WEIGHTS, X)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=8 * 2.0**-23)


def test_a_jax_optimizer_starts_at_step_0():
    support.backend("jax", "float32")
    import jax.numpy as jnp

    from tetrapla.impls.jax.optimizers import optimizer

    adam, theta = optimizer(tp.Adam()), {"w": jnp.zeros(2)}
    state = adam.start(theta)
    assert state["t"] == 0
    _, state = adam.step(theta, {"w": jnp.ones(2)}, state, 1e-3)
    assert state["t"] == 1
