"""Tensor cores, imitated: the bounds admit how they multiply, and nothing coarser.

A tensor core multiplies without error and adds up a few products at once with what was
there before. It shifts them all to the place of the largest, cuts off what is beyond
float32's digits, and cuts their sum (Fasi, Higham, Mikaitis and Pranesh, Numerical
behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021, section 3).
Each imitation has a twin that keeps less and must be outside its bound, in the very
product where it stands. The numbers are made for it: an error that bounds must admit at
its worst shows at its worst.
"""

from functools import cache, partial

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.backends import Backend
from tetrapla.impls.numpy import backend as from_scratch
from tetrapla.impls.numpy.activations import activation_gradient, wide
from tetrapla.impls.numpy.layers import Dense as InOne
from tetrapla.parity import engine
from tetrapla.parity.soak import RandomNetworkCase
from tetrapla.spec.precisions import limits, numpy_dtype

HALVES = ("bfloat16", "float16")
PLACES = ("0.z", "0.weight.grad", "input.grad")
LENGTHS = (64, 512)
PARTS = 4  # of a sum that several cores share


# Products of float32 numbers; halves are widened, which is exact.


def digits(x, bits, how=np.trunc):
    """Return x with so many bits of fraction, cut or rounded."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(how(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)


def simple(x, y):
    return x @ y


def of(operand, product):
    """Return the product of what is left of both operands."""
    return lambda x, y: product(operand(x), operand(y))


def in_blocks(size, kept=np.float32):
    """Return the product of a tensor core that adds up so many terms at once."""

    def product(x, y):
        total = np.zeros((len(x), y.shape[1]))
        for k in range(0, len(y), size):
            here = slice(k, k + size)
            terms = x[:, here, None].astype(float) * y[None, here].astype(float)
            terms = np.concatenate([total[:, None], terms], axis=1)
            _, exponent = np.frexp(np.abs(terms).max(axis=1, keepdims=True))
            place = np.maximum(exponent - 24, -149)  # of the last digit
            aligned = np.ldexp(np.trunc(np.ldexp(terms, -place)), place)
            total = digits(aligned.sum(axis=1), 23).astype(kept).astype(float)
        return total.astype(np.float32)

    return product


def in_parts(product, kept=np.float32):
    """Return the product whose terms are shared out; the parts are added in float32."""

    def whole(x, y):
        total = np.zeros((len(x), y.shape[1]), np.float32)
        for at in np.array_split(np.arange(len(y)), PARTS):
            total = total + product(x[:, at], y[at]).astype(kept).astype(np.float32)
        return total

    return whole


def one_by_one(half):
    """Return the product each of whose terms is rounded to the half."""

    def product(x, y):
        return (x[:, :, None] * y[None]).astype(half).astype(np.float32).sum(axis=1)

    return product


BLOCKS = {f"blocks of {size}": in_blocks(size) for size in (4, 8, 16)}
CORES = BLOCKS | {"parts": in_parts(in_blocks(8))}
CUT = partial(digits, bits=10)
ROUNDED = partial(digits, bits=10, how=np.rint)
RIGHT = {
    "float32": {"float32": simple},
    "tf32": {
        "rounded": of(ROUNDED, simple),
        "cut": of(CUT, simple),
        **{f"rounded, {how}": of(ROUNDED, core) for how, core in CORES.items()},
        **{f"cut, {how}": of(CUT, core) for how, core in CORES.items()},
    },
    "bfloat16": CORES,
    "float16": CORES,
}


def backend(dtype, product, others=None):
    """Return NumPy with such products; with `others`, a dict, where they differ."""
    products = dict.fromkeys(PLACES, product) | (others or {})

    class Dense(InOne):
        def linear(self, x):
            self.x = x
            xw = products["0.z"](wide(x), wide(self.weight.astype(x.dtype)))
            return (wide(xw.astype(x.dtype)) + self.bias).astype(x.dtype)

        def backward(self, da):
            self.dz = activation_gradient(self.activation, self.z, da)
            dz, w = wide(self.dz), wide(self.weight.astype(self.dz.dtype))
            self.weight_grad = products["0.weight.grad"](wide(self.x.T), dz)
            self.bias_grad = dz.sum(axis=0)
            return products["input.grad"](dz, w.T).astype(self.dz.dtype)

    implementation = from_scratch.Backend(dtype=dtype)
    implementation.dense, implementation.fast = Dense, None
    return Backend("numpy", implementation)


# Numbers: (rows, n) and (n, columns)


def spread(a, b):
    """Return a row and a column as three and two, of several sizes."""
    return np.outer([1.0, 0.25, 0.5], a), np.outer(b, [0.5, 1.0])


def cut_most(n, unit):
    """Of which cutting after 9 bits, and after 10, takes as much as it can."""
    return spread(*np.full((2, n), 1 + 2.0**-9 - 2.0**-23))


def rounded_most(n, unit):
    """Of which rounding to 10 bits takes as much as it can."""
    return spread(*np.full((2, n), 1 + 2.0**-11 - 2.0**-23))


def random(n, unit):
    rng = np.random.default_rng(n)
    return rng.standard_normal((3, n)), rng.standard_normal((n, 2))


def parts_cancel(n, unit):
    """Whose parts are 1 and 1 + unit of a size, of changing sign: a half has them as 1."""
    b = np.repeat(np.resize([1.0, -1.0], PARTS), n // PARTS)
    b[:: 2 * (n // PARTS)] += n // PARTS * unit
    return spread(np.ones(n), b)


def products_cancel(n, unit):
    """Whose products are 1 + 2^-i + 2^-j + unit, and without unit: a half has it not."""
    bits = -int(np.log2(unit))
    first, second = 2.0 ** -(bits // 2), 2.0 ** -(bits - bits // 2)
    a, b = np.ones(n), np.full(n, -(1 + first + second))
    a[::2], b[::2] = 1 + first, 1 + second
    return spread(a, b)


def sums_cancel(n, unit):
    """Of which all terms but a 1 and a -1 are just below float32's last place of 1."""
    a, b = np.full(n, 2.0**-12), np.full(n, (1 - unit) * 2.0**-11)
    a[[0, -1]], b[[0, -1]] = 1, [1, -1]
    return spread(a, b)


NUMBERS = (cut_most, rounded_most, random, parts_cancel, products_cancel, sums_cancel)


@cache  # what the oracle expects of a case is kept with it
def case(numbers, place, n, dtype):
    """Return a layer that multiplies these numbers, as they are, in this place."""
    data = tp.spec.precision(dtype).data
    a, b = numbers(n, limits(data).unit)
    kept = numpy_dtype(data)
    a, b = (x.astype(kept).astype(float) for x in (a, b))
    if place == "0.z":
        x, w, y = a, b, (a @ b + 1).astype(np.float32).astype(float)
    elif place == "0.weight.grad":  # x.T dz, with z = 0 and so dz = -2 y
        x, w, y = a.T, np.zeros((3, 2)), -b / 2
    else:  # dz W.T
        x, w, y = np.zeros((3, 2)), b.T, -a / 2
    net = tp.Sequential(tp.Dense(*w.shape))
    return RandomNetworkCase(
        f"{numbers.__name__}/{place}/{n}/{dtype}",
        "layer/dense",
        net,
        tp.MeanSquaredError(reduction="sum", outputs="sum"),
        weights={"0.weight": w, "0.bias": np.zeros(w.shape[1])},
        data=(x, y),
    )


def whys(verdict):
    return [c for c in verdict.comparisons if not c.agrees] or verdict.message


@pytest.mark.parametrize(
    ("dtype", "how"), [(dtype, how) for dtype, ways in RIGHT.items() for how in ways]
)
def test_what_a_tensor_core_does_is_admitted(dtype, how):
    b = backend(dtype, RIGHT[dtype][how])
    for numbers in NUMBERS:
        for place in PLACES:
            for n in LENGTHS:
                verdict = engine.verdict(case(numbers, place, n, dtype), b)
                assert verdict.status == "agrees", (verdict.case, whys(verdict))


SUITE = support.cases("layer/dense-4096", "network/deep", "training/breast-cancer")


@pytest.mark.parametrize("case", SUITE.values(), ids=SUITE)
@pytest.mark.parametrize("dtype", ["tf32", *HALVES])
def test_the_suite_admits_it_too(case, dtype):
    ways = RIGHT[dtype]
    how = "cut, blocks of 8" if dtype == "tf32" else "blocks of 8"
    verdict = engine.verdict(case, backend(dtype, ways[how]))
    assert verdict.status == "agrees", whys(verdict)


TF32_FAULTS = {
    "nine bits are kept": ("tf32", of(partial(digits, bits=9), simple), cut_most),
    "operands are bfloat16": (
        "tf32",
        of(partial(digits, bits=7, how=np.rint), simple),
        cut_most,
    ),
    "float32 is TF32, cut": ("float32", of(CUT, simple), cut_most),
    "float32 is TF32, rounded": ("float32", of(ROUNDED, simple), rounded_most),
}


def faults():
    yield from TF32_FAULTS.items()
    for dtype in HALVES:
        half = numpy_dtype(dtype)
        for name, fault, numbers in (
            ("parts are rounded to", in_parts(in_blocks(8), half), parts_cancel),
            ("sums are kept in", in_blocks(8, half), parts_cancel),
            ("products are rounded one by one to", one_by_one(half), products_cancel),
        ):
            yield f"{name} {dtype}", (dtype, fault, numbers)


FAULTS = dict(faults())


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_keeps_less_is_outside(fault, place, n):
    dtype, wrong, numbers = fault
    right = next(iter(RIGHT[dtype].values()))
    verdict = engine.verdict(
        case(numbers, place, n, dtype), backend(dtype, right, {place: wrong})
    )
    assert verdict.status == "differs", verdict.worst
    assert verdict.first.tensor == place


def share(dtype, product, numbers, place, n):
    """Return how much of the product's bound is used."""
    verdict = engine.verdict(case(numbers, place, n, dtype), backend(dtype, product))
    return next(c.fraction for c in verdict.comparisons if c.tensor == place)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("place", PLACES)
def test_tf32_has_as_much_as_two_cuts_take(place, n):
    assert 0.9 < share("tf32", RIGHT["tf32"]["cut"], cut_most, place, n) <= 1


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", BLOCKS)
@pytest.mark.parametrize("dtype", HALVES)
def test_a_sum_has_no_more_than_four_times_what_is_cut(dtype, how, place, n):
    """Two cuts are charged, of twice the unit each, and here is one of the terms'."""
    assert 0.2 < share(dtype, BLOCKS[how], sums_cancel, place, n) <= 1


def test_the_imitation_cuts_where_float32_rounds():
    """As section 3.3 of the paper asks a tensor core: with terms below 1's last place."""
    ones, tiny = np.ones((8, 1)), 2.0**-24
    small = np.full((1, 8), tiny, np.float32)
    small[0, 0] = 1
    assert in_blocks(8)(small, ones) == 1  # each is cut by itself
    assert small.astype(float) @ ones == 1 + 7 * tiny
    small[0, :4] = [tiny, tiny, tiny, tiny]
    small[0, 4] = 1
    assert in_blocks(4)(small, ones) == 1 + 4 * tiny  # of which none is lost beside 1
    for sign in (1, -1):  # the sum is cut towards 0
        x = sign * np.array([[1, 1 + 2.0**-23 + 2.0**-22]], np.float32)
        assert in_blocks(4)(x, np.ones((2, 1))) == sign * (2 + 2.0**-22)
    assert digits(np.float32(-1.75), 1) == -1.5
    assert digits(np.float32(1.75), 1, np.rint) == 2
