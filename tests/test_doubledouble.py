"""Double-double against Arb's ball arithmetic, which is rigorous.

An error is compared as a ball: a test passes only if no number within the
radius of what Arb computed would let it fail.
"""

import itertools
import operator

import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from tetrapla.oracle import doubledouble as dd
from tetrapla.oracle.doubledouble import ACCURACY, DoubleDouble

N = 2000
NORMAL = arb(2) ** -969  # from here on, the spacing of lo does not matter
SPACING = arb(2) ** -1070
OVERFLOW = arb(2) ** 1024 - arb(2) ** 969  # rounds to infinity
FINITE = np.finfo(np.float64)

OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
}


@pytest.fixture(autouse=True)
def precision():
    with ctx.workprec(400):
        yield


def rng(*seed):
    return np.random.default_rng([ord(c) for s in seed for c in str(s)])


def with_tails(hi, generator):
    """Return numbers hi + lo, lo anything from 0 to half an ulp of hi."""
    size = 2.0 ** -generator.choice([53, 54, 60, 80, 105, 200], hi.shape)
    lo = hi * generator.uniform(-1, 1, hi.shape) * size
    return DoubleDouble(hi, np.where(generator.random(hi.shape) < 0.2, 0.0, lo))


def numbers(low, high, generator, n=N, signs=(-1, 1)):
    """Return numbers of log-uniform magnitude, from 2^low to 2^high."""
    hi = np.exp2(generator.uniform(low, high, n)) * generator.choice(signs, n)
    return with_tails(hi, generator)


def balls(x):
    pairs = zip(x.hi.ravel().tolist(), x.lo.ravel().tolist(), strict=True)
    return [arb(hi) + arb(lo) for hi, lo in pairs]


def assert_near(actual, expected, *inputs, accuracy=ACCURACY, magnitudes=None):
    """Assert |actual - expected| <= accuracy |expected|, or of what is given."""
    assert np.all(actual.hi + actual.lo == actual.hi)
    for i, (a, e) in enumerate(zip(balls(actual), expected, strict=True)):
        at = [x.hi.ravel()[i] for x in inputs]
        if abs(e) > OVERFLOW:
            assert abs(actual.hi.ravel()[i]) == np.inf, at
            continue
        size = abs(e) if magnitudes is None else magnitudes[i]
        bound = size * arb(accuracy) if size >= NORMAL else SPACING
        assert abs(a - e) <= bound, (at, (a - e) / size)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("reach", [1, 30, 500, 1020])
def test_operators(name, reach):
    generator = rng(name, reach)
    x, y = (numbers(-reach, reach, generator) for _ in "xy")
    operate = OPERATORS[name]
    assert_near(operate(x, y), list(map(operate, balls(x), balls(y))), x, y)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_of_neighbours(name):
    generator = rng(name)
    x = numbers(-2, 2, generator)
    y = with_tails(x.hi * (1 + generator.integers(-2, 3, N) * 2.0**-52), generator)
    for y_ in (y, -y):
        operate = OPERATORS[name]
        expected = list(map(operate, balls(x), balls(y_)))
        assert_near(operate(x, y_), expected, x, y_)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_at_the_ends_of_the_range(name):
    tail = 2.0**-60
    ends = [FINITE.max, FINITE.max / 2, 2.0**997, 1.5, 2.0**-900, 2.0**-969]
    x = DoubleDouble(ends, [-v * tail if v > 2.0**-900 else 0.0 for v in ends])
    pairs = list(itertools.product(range(len(ends)), repeat=2))
    a, b = (x[[p[i] for p in pairs]] for i in (0, 1))
    operate = OPERATORS[name]
    assert_near(operate(a, b), list(map(operate, balls(a), balls(b))), a, b)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_take_arrays_and_numbers_on_either_side(name):
    x, array = DoubleDouble([1.5, -3.0], 1e-20), np.array([3.0, 0.1])
    operate = OPERATORS[name]
    for other in (array, array[0], 3, [3.0, 0.1]):
        other_ = DoubleDouble(other)
        for actual, expected in (
            (operate(x, other), operate(x, other_)),
            (operate(other, x), operate(other_, x)),
        ):
            assert isinstance(actual, DoubleDouble)
            assert (actual == expected).all()
    assert array.flags.writeable


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_have_float64s_special_values(name):
    special = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan, FINITE.max])
    x, y = special[:, None], special[None, :]
    operate = OPERATORS[name]
    with np.errstate(all="ignore"):
        expected = operate(x, y)
    actual = operate(DoubleDouble(x), y)
    np.testing.assert_array_equal(actual.hi, expected)
    signed = ~np.isnan(expected)
    np.testing.assert_array_equal(
        np.signbit(actual.hi)[signed], np.signbit(expected)[signed]
    )
    exceptional = ~np.isfinite(expected) | (expected == 0)
    assert np.isfinite(actual.lo).all()
    assert not actual.lo[exceptional].any()


FUNCTIONS = {
    "sqrt": [(-1074, 1023.9, 1), (-1, 1, 1)],
    "exp": [(-1074, -1, -1, 1), (-3, 9.6, -1, 1), (-3, 3, -1, 1)],
    "expm1": [(-1074, -1, -1, 1), (-60, 1, -1, 1), (-3, 9.6, -1, 1)],
    "log": [(-1074, 1023.9, 1), (-1, 1, 1), (-(2.0**-10), 2.0**-10, 1)],
    "log1p": [(-1074, 1023.9, 1), (-60, -(2.0**-20), -1, 1), (-3, 2, 1)],
    "tanh": [(-1074, 10, -1, 1), (-30, 2, -1, 1), (-3, 6, -1, 1)],
    "erf": [(-1074, 4, -1, 1), (-3, 3, -1, 1)],
    "erfc": [(-60, 4.8, -1, 1), (-3, 1, -1, 1), (0, 4.8, 1)],
}
"""From 2^low to 2^high, and the signs, of what each function is given."""


@pytest.mark.parametrize(
    ("name", "span"), [(name, span) for name, spans in FUNCTIONS.items() for span in spans]
)
def test_functions(name, span):
    x = numbers(*span[:2], rng(name, span), signs=span[2:])
    expected = [getattr(v, name)() for v in balls(x)]
    assert_near(getattr(dd, name)(x), expected, x)


EDGES = {
    "exp": [np.log(2) * (k + 0.5) for k in range(-1000, 1000, 37)],
    "expm1": [np.log(2) * (k + 0.5) for k in range(-1000, 1000, 37)],
    "log": [1.0, 0.5, 2.0, np.sqrt(0.5), np.sqrt(2), FINITE.smallest_normal],
    "log1p": [-0.25, 0.25, np.sqrt(2) - 1, np.sqrt(0.5) - 1, -1 + 2.0**-53],
    "tanh": [0.17, 0.35, 37.0, 354.9],
    "erf": [0.5, -0.5, 5.9, 7.0, 9.14],
    "erfc": [0.5, -0.5, 7.0, -7.0, 9.14, 18.28, 25.6, 27.2, 30.0],
}
"""Where a formula gives way to another, a rounding turns, or terms are equal."""


@pytest.mark.parametrize("name", EDGES)
def test_functions_beside_their_edges(name):
    steps = np.array([0, 1, -1, 2, -2, 1e3, -1e3, 1e9, -1e9])
    hi = np.ravel(np.array(EDGES[name])[:, None] * (1 + steps * 2.0**-52))
    x = with_tails(hi[hi > -1] if name == "log1p" else hi, rng(name))
    x = dd.where(np.abs(x.hi) == 1, x.hi, x)  # the edge itself
    expected = [getattr(v, name)() for v in balls(x)]
    assert_near(getattr(dd, name)(x), expected, x)


SPECIAL = {
    "sqrt": "-inf nan, -1 nan, -0.0 -0.0, 0 0, inf inf, nan nan",
    "exp": "-inf 0, -1e300 0, -746 0, -0.0 1, 0 1, 710 inf, 1e300 inf, inf inf, nan nan",
    "expm1": "-inf -1, -1e300 -1, -0.0 -0.0, 0 0, 710 inf, 1e300 inf, inf inf, nan nan",
    "log": "-inf nan, -1 nan, -0.0 -inf, 0 -inf, 1 0, inf inf, nan nan",
    "log1p": "-inf nan, -2 nan, -1 -inf, -0.0 -0.0, 0 0, inf inf, nan nan",
    "tanh": "-inf -1, -1e300 -1, -0.0 -0.0, 0 0, 1e300 1, inf 1, nan nan",
    "erf": "-inf -1, -1e300 -1, -0.0 -0.0, 0 0, 1e300 1, inf 1, nan nan",
    "erfc": "-inf 2, -1e300 2, -0.0 1, 0 1, 28 0, 1e300 0, inf 0, nan nan",
}
"""An argument and the function's value, and so on."""


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name):
    x, expected = np.array([v.split() for v in SPECIAL[name].split(",")], float).T
    actual = getattr(dd, name)(x)
    np.testing.assert_array_equal(actual.hi, expected)
    signed = ~np.isnan(expected)
    np.testing.assert_array_equal(
        np.signbit(actual.hi)[signed], np.signbit(expected)[signed]
    )
    assert not actual.lo.any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_any_shape(name):
    function = getattr(dd, name)
    x = np.linspace(0.1, 3, 3 * dd.BLOCK // 2)
    expected = function(x)
    assert (function(x.reshape(3, 1, -1)).reshape(-1) == expected).all()
    assert function(x[7]).shape == ()
    assert function(x[7]) == expected[7]
    assert function(x[:0]).shape == (0,)
    assert x.flags.writeable


def test_pi():
    assert_near(dd.pi(), [arb.pi()])


def test_powers():
    generator = rng("power")
    x, n = numbers(-1, 1, generator, n=300), generator.integers(0, 1000, 300)
    expected = [v ** int(k) for v, k in zip(balls(x), n, strict=True)]
    sizes = [abs(e) * max(1, int(k)) for e, k in zip(expected, n, strict=True)]
    assert_near(x**n, expected, x, magnitudes=sizes)
    assert (x**0 == 1).all()
    twos = DoubleDouble(2.0) ** np.arange(1024)
    assert (twos == np.exp2(np.arange(1024))).all()
    for exponent in (-1, 0.5, np.array([1, -1])):
        with pytest.raises(ValueError, match="nonnegative integer"):
            x**exponent


def test_comparisons():
    hi = np.array([1.0, 1.0, 1.0, 2.0, -0.0, np.inf, -np.inf, np.nan])
    x = DoubleDouble(hi, [0.0, 2.0**-80, -(2.0**-80), 0.0, 0.0, 0.0, 0.0, 0.0])
    rank = np.array([2, 3, 1, 4, 0, 5, -1, np.nan])  # in order, NaN aside
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        compare = getattr(operator, name)
        actual = compare(x[:, None], x[None, :])
        np.testing.assert_array_equal(actual, compare(rank[:, None], rank[None, :]))
        np.testing.assert_array_equal(compare(hi, x), compare(DoubleDouble(hi), x))
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def test_the_greatest():
    x = DoubleDouble([[1.0, 1.0, -5.0], [2.0, np.nan, 3.0]], [[1e-20, 2e-20, 0.0]] * 2)
    assert x[0].max() == DoubleDouble(1.0, 2e-20)
    assert (x[:, ::2].max(axis=0, keepdims=True) == x[1:, ::2]).all()
    assert np.isnan(x.max().hi)
    assert DoubleDouble([-np.inf, -np.inf]).max() == -np.inf
    greater = dd.maximum(x, [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(greater.hi, [[1, 1, np.nan], [2, np.nan, np.nan]])
    np.testing.assert_array_equal(greater.lo[0], [1e-20, 2e-20, 0.0])


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (1000,), (1025,)])
def test_sums(shape):
    x = numbers(-20, 20, rng("sum", shape), n=shape[0])
    terms = balls(x)
    total = x.sum()
    assert total.shape == ()
    size = sum(map(abs, terms))
    assert_near(total[None], [sum(terms)], magnitudes=[size])


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (2, 0), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_along_axes(axis, keepdims):
    hi = rng("axis").integers(-100, 100, (3, 4, 5)).astype(float)
    actual = DoubleDouble(hi, hi * 2.0**-70).sum(axis, keepdims=keepdims)
    expected = hi.sum(axis, keepdims=keepdims)
    np.testing.assert_array_equal(actual.hi, expected)
    np.testing.assert_array_equal(actual.lo, expected * 2.0**-70)


def test_sums_that_cancel_or_do_not_end():
    assert DoubleDouble([1.0, 1e-30, -1.0]).sum() == 1e-30
    # float64 alone would leave -2^-52 of this.
    assert DoubleDouble([1.0, 2.0**-53, 2.0**-53, -1 - 2.0**-52]).sum() == 0
    assert DoubleDouble([1.0, np.inf]).sum() == np.inf
    assert np.isnan(DoubleDouble([np.inf, -np.inf]).sum().hi)
    assert DoubleDouble(np.zeros((0, 2))).sum(0).hi.tolist() == [0, 0]
    assert DoubleDouble(np.zeros((2, 0))).sum(0).shape == (0,)


def test_it_is_an_array_and_immutable():
    source = np.arange(1.0, 7).reshape(2, 3)
    x = DoubleDouble(source, 1e-20)
    assert (x.shape, x.size, x.ndim, len(x)) == ((2, 3), 6, 2, 2)
    assert x.T.shape == (3, 2)
    assert x.reshape(3, -1).shape == x.reshape((3, 2)).shape == (3, 2)
    assert x[1, 2] == DoubleDouble(6.0, 1e-20)
    assert x[..., None].shape == (2, 3, 1)
    assert (abs(-x) == x).all()
    np.testing.assert_array_equal(x.floats(), source)
    for part in (x.hi, x.lo, x[0].hi, (x + 1).lo):
        with pytest.raises(ValueError, match="read-only"):
            part[...] = 0
    source[...] = 0
    assert (x.hi > 0).all()
    normal = DoubleDouble(1.0, 3.0)
    assert (normal.hi, normal.lo) == (4.0, 0.0)


def product(x, y):
    """Return the exact product of matrices, and |x| |y|, as lists."""
    with ctx.workprec(6000):
        matrices = []
        for pick in (lambda v: v, abs):
            a, b = (arb_mat(*v.shape, list(map(pick, balls(v)))) for v in (x, y))
            matrices.append((a * b).entries())
    return matrices


def assert_product(x, y, accuracy=2.0**-60):
    x, y = (v if isinstance(v, DoubleDouble) else DoubleDouble(v) for v in (x, y))
    expected, magnitudes = product(x, y)
    assert_near(dd.matmul(x, y), expected, accuracy=accuracy, magnitudes=magnitudes)


@pytest.mark.parametrize("length", [0, 1, 2, 16, 300, 4096])
def test_products(length):
    generator = rng("matmul", length)
    n = 20 if length < 1000 else 3
    x, y = generator.normal(size=(n, length)), generator.normal(size=(length, n + 1))
    assert_product(x, y)
    assert_product(with_tails(x, generator), y)
    assert_product(x, with_tails(y, generator))
    assert_product(with_tails(x, generator), with_tails(y, generator))


@pytest.mark.parametrize("reach", [5, 30, 100])
@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_products_of_wide_ranging_entries(reach, density):
    generator = rng("wide", reach, density)

    def matrix(*shape):
        x = 10.0 ** generator.uniform(-reach, 4, shape) * generator.choice([-1, 1], shape)
        return with_tails(np.where(generator.random(shape) < density, x, 0.0), generator)

    assert_product(matrix(15, 40), matrix(40, 12))


def test_products_of_what_hides_beside_a_greater_entry():
    x = np.array([[1e4, 1e-30], [1e-30, 1e4], [1e-30, 1e-250]])
    y = np.array([[0.0, 1e-30, 1e30], [1 / 3, 1e4, 0.0]])
    assert_product(x, y)


def test_products_of_extreme_rows_and_columns():
    generator = rng("extreme")
    scale = 10.0 ** np.array([-305, -200, -3, 0, 200, 300])
    x = generator.normal(size=(6, 40)) * scale[:, None]
    y = generator.normal(size=(40, 6)) * scale
    assert_product(x, y)
    assert_product(np.full((2, 3), 5e-324), np.full((3, 1), 1e300))
    assert_product(np.full((1, 1), FINITE.max), np.full((1, 1), 0.75))


def test_products_that_cancel():
    generator = rng("cancel")
    x, y = generator.normal(size=(10, 50)), generator.normal(size=(50, 10))
    assert_product(np.hstack([x, -x]), np.vstack([y, y * (1 + 2.0**-50)]))
    assert dd.matmul([[1e16, 1.0, -1e16]], [[1.0], [1.0], [1.0]]) == [[1.0]]


def test_products_of_matrices_that_are_not_finite():
    x = np.ones((3, 2))
    y = np.ones((2, 3)) / 3
    x[0, 1], y[1, 2] = np.inf, np.nan
    actual = dd.matmul(x, y)
    expected = np.array([[np.inf, np.inf, np.nan]] + [[2 / 3, 2 / 3, np.nan]] * 2)
    np.testing.assert_array_equal(actual.hi, expected)
    assert (actual[1:, :2] == dd.matmul(x[1:], y[:, :2])).all()
    assert not actual.lo[~np.isfinite(expected)].any()
