"""Everything random, bit for bit: against the paper, jax.random and each other."""

from functools import cache, lru_cache
from importlib import import_module

import numpy as np
import pytest
import support
from hypothesis import given, settings
from hypothesis import strategies as st

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
KEYS = {
    **{str(seed): threefry.key(seed) for seed in SEEDS},
    "folded": threefry.fold_in(threefry.key(1), 2**32 - 1),
    "step": threefry.fold_in(threefry.fold_in(threefry.key(42), threefry.DROPOUT), 7),
    "split": threefry.split(threefry.key(2**31), 5)[3],
    "chain": threefry.split(threefry.fold_in(threefry.split(threefry.key(9))[1], 3))[0],
}
SHAPES = [(), (0,), (1,), (7,), (3, 0, 2), (2, 3, 5), (70001,)]
LENGTHS = [0, 1, 2, 3, 10, 1625, 1797, 70000]


def keys(n):
    """Return all keys, or for many numbers one."""
    return list(KEYS.values())[-1 if n > 10_000 else 0 :]


def tensor(name, array, dtype=np.uint32):
    """Return the framework's tensor; random words are int64 in torch."""
    array = np.asarray(array, dtype)
    if name == "torch":
        import torch

        return torch.tensor(array.astype(np.int64))
    if name == "tf":
        import tensorflow as tf

        return tf.constant(array)
    if name == "jax":
        import jax.numpy as jnp

        return jnp.array(array)
    return array


def native(name):
    """Return the backend's random module."""
    support.backend(name)  # skips where it is missing
    return import_module(f"tetrapla.impls.{name}.random")


class JaxRandom:
    """jax.random, in NumPy arrays, with every setting that matters given."""

    def __init__(self):
        support.backend("jax")  # skips where it is missing
        import jax

        self.jax = jax

    @lru_cache(maxsize=1000)  # asked once for each of the columns  # noqa: B019
    def call(self, function, key, *args):
        with self.jax.threefry_partitionable(True), self.jax.enable_x64(False):
            key = np.array(key, np.uint32)
            key = self.jax.random.wrap_key_data(key, impl="threefry2x32")
            result = getattr(self.jax.random, function)(key, *args)
            if function in ("split", "fold_in"):
                result = self.jax.random.key_data(result)
            return np.asarray(result)

    def key(self, seed):
        return np.asarray(self.jax.random.PRNGKey(seed, impl="threefry2x32"))

    def split(self, key, num=2):
        return self.call("split", tuple(key), num)

    def fold_in(self, key, data):
        return self.call("fold_in", tuple(key), data)

    def bits(self, key, shape):
        return self.call("bits", tuple(key), shape, "uint32")

    def uniform(self, key, shape):
        return self.call("uniform", tuple(key), shape, "float32")

    def bernoulli(self, key, p, shape):
        return self.call("bernoulli", tuple(key), np.float32(p), shape)

    def permutation(self, key, n):
        return self.call("permutation", tuple(key), n)


@cache
def jax_random():
    return JaxRandom()


@pytest.fixture(params=["specification", "jax.random"])
def expected(request):
    """What every column is compared with; NumPy's is the specification's own."""
    return threefry if request.param == "specification" else jax_random()


def same(tensor, array, **settings):
    np.testing.assert_array_equal(np.asarray(tensor), array, **settings)


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN.values(), ids=KNOWN)
def test_the_published_answers(name, key, counter, expected):
    module = native(name)
    words = (tensor(name, key), tensor(name, counter[:1]), tensor(name, counter[1:]))
    x0, x1 = module.threefry2x32(*words)
    assert (int(x0[0]), int(x1[0])) == expected


def test_the_constants_are_the_specifications(name):
    module = native(name)
    if name != "numpy":
        for constant in ("ROTATIONS", "PARITY", "ROUNDS"):
            assert getattr(module, constant) == getattr(threefry, constant)


@pytest.mark.parametrize("seed", SEEDS)
def test_key(name, expected, seed):
    key = native(name).key(seed)
    same(key, expected.key(seed))
    assert ("int64" if name == "torch" else "uint32") in str(key.dtype)


@pytest.mark.parametrize("num", [0, 1, 2, 5, 257])
def test_split(name, expected, num):
    module = native(name)
    for key in KEYS.values():
        mine = tensor(name, key)
        same(module.split(mine, num), expected.split(key, num))
        if num == 2:
            same(module.split(mine), expected.split(key))


@pytest.mark.parametrize("data", [0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1])
def test_fold_in(name, expected, data):
    module = native(name)
    for key in KEYS.values():
        same(module.fold_in(tensor(name, key), data), expected.fold_in(key, data))


@pytest.mark.parametrize("dtype", ["uint32", "int64"])
def test_what_is_folded_in_may_be_a_tensor(name, dtype):
    if name == "numpy" or (name, dtype) == ("jax", "int64"):
        pytest.skip("NumPy's data is an integer; jax has int64 with x64 only")
    module, key = native(name), threefry.key(8)
    for data in (0, 2**31, 2**32 - 1):
        folded = module.fold_in(tensor(name, key), tensor(name, data, dtype))
        same(folded, threefry.fold_in(key, data))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_draws(name, expected, shape):
    module = native(name)
    for key in keys(np.prod(shape)):
        mine = tensor(name, key)
        same(module.bits(mine, shape), expected.bits(key, shape))
        same(module.uniform(mine, shape), expected.uniform(key, shape), strict=True)
        kept = module.bernoulli(mine, 0.3, shape)
        same(kept, expected.bernoulli(key, 0.3, shape), strict=True)


@pytest.mark.parametrize("p", [-1.0, 0.0, 0.1, 0.5, 0.7, 1.0, 1.5], ids=str)
def test_bernoulli(name, expected, p):
    module, key = native(name), threefry.key(3)
    kept = np.asarray(module.bernoulli(tensor(name, key), p, (20, 50)))
    same(kept, expected.bernoulli(key, p, (20, 50)), strict=True)
    # Four standard deviations of a mean of 1000 draws.
    p = min(max(p, 0), 1)
    assert abs(kept.mean() - p) <= 4 * np.sqrt(p * (1 - p) / 1000)


@pytest.mark.parametrize("n", LENGTHS)
def test_permutation(name, expected, n):
    module = native(name)
    for key in keys(n):
        order = module.permutation(tensor(name, key), n)
        same(order, expected.permutation(key, n))


def test_the_rounds_of_a_permutation_are_jaxs_formula():
    last = threefry.ROUNDS[-1]
    for n in (*range(3000), last - 1, last, last + 1, 2**31, 2**32 - 1):
        formula = int(np.ceil(3 * np.log(max(1, n)) / np.log(2**32 - 1)))
        assert sum(n > limit for limit in threefry.ROUNDS) == formula, n


def test_a_permutation_whose_words_are_equal_here_and_there(name, expected):
    # Of 300,000 words of 32 bits about ten are there twice. In the last round
    # their order is that of the round before, if the sort is stable.
    module, key, n = native(name), threefry.key(5), 300_000
    last = threefry.split(threefry.split(key)[0])[1]
    assert len(np.unique(threefry.bits(last, (n,)))) < n
    same(module.permutation(tensor(name, key), n), expected.permutation(key, n))


def test_the_sort_is_stable(name, monkeypatch):
    module, n = native(name), 2000  # two rounds
    draw = module.bits
    owner = threefry if name == "numpy" else module
    # Words of two bits: each is there 500 times.
    monkeypatch.setattr(owner, "bits", lambda key, shape: draw(key, shape) & 3)
    for key in KEYS.values():
        order, k = list(range(n)), key
        for _ in range(2):
            k, subkey = threefry.split(k)
            few = threefry2bits(subkey, n)
            # Python's sort is stable, by the language's definition.
            order = [order[i] for i in sorted(range(n), key=few.__getitem__)]
        same(module.permutation(tensor(name, key), n), order)


def threefry2bits(key, n):
    x0, x1 = threefry.words(key, n)
    return ((x0 ^ x1) & 3).tolist()


@given(
    key=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    data=st.integers(0, 2**32 - 1),
    shape=st.lists(st.sampled_from([0, 3]), max_size=2).map(tuple),
    p=st.floats(0, 1, width=32),
    n=st.sampled_from([0, 1, 4]),
)
@settings(max_examples=50)
def test_any_key_and_shape_are_jaxs(key, data, shape, p, n):
    jax, key = jax_random(), np.array(key, np.uint32)
    same(threefry.split(key, n), jax.split(key, n), strict=True)
    same(threefry.fold_in(key, data), jax.fold_in(key, data), strict=True)
    same(threefry.bits(key, shape), jax.bits(key, shape), strict=True)
    same(threefry.uniform(key, shape), jax.uniform(key, shape), strict=True)
    same(threefry.bernoulli(key, p, shape), jax.bernoulli(key, p, shape), strict=True)
    same(threefry.permutation(key, n), jax.permutation(key, n))


# inside compiled code


def step(name):
    """Return a function of a key, a step and an array: all draws at once."""
    random = native(name)

    def draws(key, step, x):
        key, other = random.fold_in(key, step), random.split(key, 3)[2]
        shape = x.shape
        if name == "tf":
            import tensorflow as tf

            shape = tf.shape(x)
        return (
            random.bits(key, shape),
            random.uniform(other, shape),
            random.bernoulli(key, 0.3, shape),
            random.permutation(other, shape[0]),
        )

    return draws


STEP = {"torch": np.int64, "tf": np.int64, "jax": np.uint32}


def check_step(name, compiled, *shapes):
    key = threefry.key(7)
    for number in (3, 2**32 - 1):
        for shape in shapes:
            x = np.zeros(shape, np.float32)
            given = tensor(name, key), tensor(name, number, STEP[name])
            results = compiled(*given, tensor(name, x, np.float32))
            for result, expected in zip(
                results, step("numpy")(key, number, x), strict=True
            ):
                same(result, expected)


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_in_a_tensorflow_graph(xla):
    draws = step("tf")
    import tensorflow as tf

    signature = [
        tf.TensorSpec([2], tf.uint32),
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([None, None], tf.float32),  # known only when the graph runs
    ]
    compiled = tf.function(draws, input_signature=signature, jit_compile=xla)
    if xla:
        check_step("tf", compiled, (2000, 1))
    else:
        check_step("tf", compiled, (3, 2), (2000, 1), (1, 0))
        assert compiled.experimental_get_tracing_count() == 1


def test_in_a_tensorflow_graph_with_known_shapes():
    random = native("tf")
    import tensorflow as tf

    @tf.function
    def draws(key):
        assert random.split(key, 3).shape == (3, 2)
        assert random.uniform(key, (2, 3)).shape == (2, 3)
        return random.permutation(random.fold_in(key, 1), 2000)

    folded = threefry.fold_in(threefry.key(4), 1)
    same(draws(random.key(4)), threefry.permutation(folded, 2000))


def test_a_length_may_be_a_tensor_of_any_integer_type_in_tensorflow():
    random = native("tf")
    import tensorflow as tf

    for dtype in (tf.int32, tf.int64, tf.uint32):
        order = random.permutation(random.key(1), tf.constant(50, dtype))
        same(order, threefry.permutation(threefry.key(1), 50))


@pytest.mark.parametrize("x64", [False, True], ids=["32 bits", "64 bits"])
def test_in_jax_jit(x64):
    draws = step("jax")
    import jax

    with jax.enable_x64(x64):
        check_step("jax", jax.jit(draws), (2000, 1) if x64 else (3, 2))


def test_jaxs_settings_change_nothing():
    random = native("jax")
    import jax

    with (
        jax.threefry_partitionable(False),
        jax.default_prng_impl("rbg"),
        jax.numpy_dtype_promotion("strict"),
        jax.enable_x64(True),
    ):
        key = random.fold_in(random.key(5), 2**32 - 1)
        draws = random.bits(key, (4,)), random.permutation(key, 4)
    expected = threefry.fold_in(threefry.key(5), 2**32 - 1)
    same(draws[0], threefry.bits(expected, (4,)))
    same(draws[1], threefry.permutation(expected, 4))


def test_in_torch_compile():
    random = native("torch")
    import torch

    def draws(key, step, x):
        key = random.fold_in(key, step)
        return random.uniform(key, x.shape), random.permutation(key, len(x))

    # Traced whole, not turned to C++, which takes a minute.
    compiled = torch.compile(draws, backend="aot_eager", fullgraph=True)
    for number in (3, 2**32 - 1):
        key = threefry.fold_in(threefry.key(7), number)
        u, order = compiled(random.key(7), torch.tensor(number), torch.zeros(30, 2))
        same(u, threefry.uniform(key, (30, 2)))
        same(order, threefry.permutation(key, 30))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_mapped_over_keys(name):
    draws = step(name)
    if name == "torch":
        from torch import vmap
    else:
        from jax import vmap
    x, keys = np.zeros((5, 2), np.float32), threefry.split(threefry.key(6), 3)
    results = vmap(lambda k: draws(k, 4, tensor(name, x, np.float32)))(tensor(name, keys))
    for i, key in enumerate(keys):
        for result, expected in zip(results, step("numpy")(key, 4, x), strict=True):
            same(result[i], expected)


# beside other generators


def test_tensorflows_threefry_has_another_layout():
    support.backend("tf")
    import tensorflow as tf

    draw = tf.random.stateless_uniform
    settings = {"minval": None, "maxval": None, "dtype": tf.uint32, "alg": "threefry"}
    draws = tf.function(lambda: draw([2], [0, 42], **settings), jit_compile=True)()
    same(draws, np.concatenate(threefry.words(threefry.key(42), 1)))


def test_what_the_documentation_shows():
    for name in support.BACKENDS:
        support.backend(name)
    names: dict = {}
    blocks = support.blocks("docs/random.md", "python")
    assert len(blocks) >= 6
    for block in blocks:
        exec(block, names)


# what draws are like


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
