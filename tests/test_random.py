"""Everything random, bit for bit: against the paper, jax.random and each other."""

from importlib import import_module

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.spec import INITIALIZERS, normal, threefry

# From the test vectors of the authors' library, Random123 (kat_vectors):
# threefry2x32, 20 rounds; key, counter, result.
KNOWN = {
    "zeros": ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    "ones": ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    "pi": (
        (0x13198A2E, 0x03707344),
        (0x243F6A88, 0x85A308D3),
        (0xC4923A9C, 0x483DF7A0),
    ),
}
SEEDS = [0, 1, 42, 2**31, 2**32 - 1]
SHAPES = [(1,), (7,), (3, 5), (2, 3, 4), ()]


def native(name):
    """Return the backend's random module, and conversions to and from it."""
    support.backend(name)  # skips where it is missing
    module = import_module(f"tetrapla.impls.{name}.random")
    if name == "torch":
        import torch

        return module, lambda a: torch.tensor(np.asarray(a, np.int64)), lambda t: t.numpy()
    if name == "tf":
        import tensorflow as tf

        return module, lambda a: tf.constant(np.asarray(a, np.uint32)), lambda t: t.numpy()
    if name == "jax":
        import jax.numpy as jnp

        return module, lambda a: jnp.array(np.asarray(a, np.uint32)), np.asarray
    return module, lambda a: np.asarray(a, np.uint32), np.asarray


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN.values(), ids=KNOWN)
def test_the_published_answers(name, key, counter, expected):
    module, to, back = native(name)
    x0, x1 = module.threefry2x32(to(key), to(counter[:1]), to(counter[1:]))
    assert (int(back(x0)[0]), int(back(x1)[0])) == expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [s for s in SHAPES if s], ids=str)
def test_native_draws_are_the_specifications(name, seed, shape):
    module, to, back = native(name)
    key = threefry.key(seed)
    words = back(module.bits(to(key), shape))
    np.testing.assert_array_equal(words, threefry.bits(key, shape))
    draws = back(module.uniform(to(key), shape))
    np.testing.assert_array_equal(draws, threefry.uniform(key, shape), strict=True)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.7, 1.0], ids=str)
def test_native_bernoulli_is_the_specifications(name, p):
    module, to, back = native(name)
    key = threefry.key(3)
    kept = back(module.bernoulli(to(key), p, (20, 50)))
    np.testing.assert_array_equal(kept, threefry.bernoulli(key, p, (20, 50)), strict=True)
    # Four standard deviations of a mean of 1000 draws.
    assert abs(kept.mean() - p) <= 4 * np.sqrt(p * (1 - p) / 1000)


@pytest.mark.parametrize("data", [0, 1, 7, 2**31 - 1])
def test_native_fold_in_is_the_specifications(name, data):
    module, to, back = native(name)
    for seed in SEEDS:
        key = threefry.key(seed)
        folded = back(module.fold_in(to(key), data))
        np.testing.assert_array_equal(folded, threefry.fold_in(key, data))


# against jax.random


@pytest.fixture
def jax():
    support.backend("jax")  # skips where it is missing
    import jax

    # The layout that the specification follows is a setting of JAX's.
    with jax.threefry_partitionable(True):
        yield jax


def keys(jax, seed):
    return threefry.key(seed), jax.random.PRNGKey(seed, impl="threefry2x32")


@pytest.mark.parametrize("seed", SEEDS)
def test_key_is_jaxs(jax, seed):
    ours, theirs = keys(jax, seed)
    np.testing.assert_array_equal(ours, np.asarray(theirs), strict=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("num", [1, 2, 5])
def test_split_is_jaxs(jax, seed, num):
    ours, theirs = keys(jax, seed)
    expected = np.asarray(jax.random.split(theirs, num))
    np.testing.assert_array_equal(threefry.split(ours, num), expected, strict=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("data", [0, 1, 12345, 2**32 - 1])
def test_fold_in_is_jaxs(jax, seed, data):
    ours, theirs = keys(jax, seed)
    expected = np.asarray(jax.random.fold_in(theirs, data))
    np.testing.assert_array_equal(threefry.fold_in(ours, data), expected, strict=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_draws_are_jaxs(jax, seed, shape):
    ours, theirs = keys(jax, seed)
    words = np.asarray(jax.random.bits(theirs, shape))
    np.testing.assert_array_equal(threefry.bits(ours, shape), words, strict=True)
    draws = np.asarray(jax.random.uniform(theirs, shape, "float32"))
    np.testing.assert_array_equal(threefry.uniform(ours, shape), draws, strict=True)
    kept = np.asarray(jax.random.bernoulli(theirs, 0.3, shape))
    np.testing.assert_array_equal(threefry.bernoulli(ours, 0.3, shape), kept, strict=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [1, 2, 10, 1797])
def test_permutation_is_jaxs(jax, seed, n):
    ours, theirs = keys(jax, seed)
    expected = np.asarray(jax.random.permutation(theirs, n))
    np.testing.assert_array_equal(threefry.permutation(ours, n), expected)


def test_permutation_of_none():
    assert threefry.permutation(threefry.key(0), 0).tolist() == []


def test_uniform_is_in_the_half_open_interval():
    draws = threefry.uniform(threefry.key(5), (100_000,))
    assert draws.dtype == np.float32
    assert (draws >= 0).all()
    assert (draws < 1).all()
    # Standard deviation of a mean of n uniforms: sqrt(1/12 n); four of them.
    assert abs(draws.mean(dtype=float) - 0.5) < 4 * np.sqrt(1 / 12 / draws.size)


def test_the_streams_differ():
    streams = [threefry.INIT, threefry.SHUFFLE, threefry.DROPOUT]
    assert len(set(streams)) == 3
    folded = {tuple(threefry.fold_in(threefry.key(0), s)) for s in streams}
    assert len(folded) == 3


# initial weights

RANDOM = {
    "glorot_uniform": lambda n, m: 2 / (n + m),
    "glorot_normal": lambda n, m: 2 / (n + m),
    "he_uniform": lambda n, m: 2 / n,
    "he_normal": lambda n, m: 2 / n,
    "lecun_uniform": lambda n, m: 1 / n,
    "lecun_normal": lambda n, m: 1 / n,
}


def test_every_initializer_is_covered():
    assert set(RANDOM) | {"zeros", "constant"} == set(INITIALIZERS)


@pytest.mark.parametrize("which", RANDOM)
def test_moments(which):
    n, m = 300, 200
    w = INITIALIZERS[which]().draw(threefry.key(8), n, m)
    assert w.shape == (n, m)
    variance = RANDOM[which](n, m)
    # Four standard deviations of the mean, and of the variance, of N draws:
    # (kurtosis - 1) / N, with kurtosis 9/5 of a uniform, 3 of a normal.
    kurtosis = 9 / 5 if which.endswith("uniform") else 3
    assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 4 * np.sqrt((kurtosis - 1) / w.size)
    if which.endswith("uniform"):
        assert np.abs(w).max() <= np.sqrt(3 * variance)
    else:  # not truncated: some of 60,000 are beyond three standard deviations
        assert np.abs(w).max() > 3 * np.sqrt(variance)


@pytest.mark.parametrize("value", [0.0, -1.5])
def test_constants(value):
    spec = tp.Constant(value) if value else tp.Zeros()
    np.testing.assert_array_equal(spec.draw(threefry.key(0), 2, 3), np.full((2, 3), value))


# Of seed 7, as first computed: a change of these bits changes every run of
# every user, and must be meant.
BITS = {
    "glorot_uniform": ["3f1fb7e1", "bdfec022", "3e12140e", "bf1f4b9f"],
    "he_normal": ["3f307acd", "be02b34b", "3e16055d", "bf2fee62"],
}


@pytest.mark.parametrize("which", BITS)
def test_the_bits_of_a_seed(which):
    net = tp.Sequential(tp.Dense(2, 2, weight_init=which))
    w = net.init(seed=7)["0.weight"]
    assert w.dtype == np.float32
    assert [f"{word:08x}" for word in w.view(np.uint32).ravel()] == BITS[which]


def test_init_is_the_formula():
    net = tp.Sequential(
        tp.Dense(2, 3), tp.Dropout(0.5), tp.Dense(3, 4, bias_init="lecun_uniform")
    )
    fold_in = threefry.fold_in
    stream = fold_in(threefry.key(9), threefry.INIT)
    w = net.init(seed=9)
    assert list(w) == list(net.shapes)
    u = threefry.uniform(fold_in(fold_in(stream, 2), 0), (3, 4)).astype(float)
    expected = (np.sqrt(6 / 7) * (2 * u - 1)).astype("float32")
    # sqrt(3 x 2/7) and sqrt(6/7): a rounding of float64 may reach float32's last bit.
    np.testing.assert_allclose(w["2.weight"], expected, rtol=2.0**-23)
    assert (w["0.bias"] == 0).all()
    assert (w["2.bias"] != 0).all()


def test_layers_and_seeds_draw_differently():
    net = tp.Sequential(tp.Dense(3, 3), tp.Dense(3, 3))
    one, two = net.init(seed=0), net.init(seed=1)
    assert (one["0.weight"] != one["1.weight"]).all()
    assert (one["0.weight"] != two["0.weight"]).all()


def test_float64_weights_are_the_widened_float32_ones(f64):
    net = tp.Sequential(tp.Dense(3, 4, weight_init="he_normal"))
    w = net.init(seed=3)
    back = f64.weights(f64.build(net, w))
    np.testing.assert_array_equal(
        back["0.weight"], w["0.weight"].astype("float64"), strict=True
    )


# quantiles of the normal distribution

P = np.concatenate(
    [
        2.0 ** -np.arange(1, 25),
        1 - 2.0 ** -np.arange(1, 25),
        np.linspace(0.001, 0.999, 41),
        [0.5 - 0.425, 0.5 + 0.425, np.nextafter(0.075, 0), np.nextafter(0.075, 1)],
    ]
)


def test_quantile_against_mpmath():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        exact = [
            float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(float(p)) - 1)) for p in P
        ]
    # The docstring's bound, but near p = 1/2, where z is near 0.
    np.testing.assert_allclose(normal.quantile(P), exact, rtol=1e-15, atol=1e-17)


def test_log_is_the_logarithm():
    x = np.concatenate([2.0 ** -np.arange(0, 40), np.linspace(0.5, 2, 50), [1e-12, 0.7071]])
    # "to a few ULP"; near 1 the logarithm is near 0, without cancelling.
    np.testing.assert_allclose(normal.log(x), np.log(x), rtol=1e-15)
