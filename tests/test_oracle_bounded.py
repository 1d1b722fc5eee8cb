"""Bounds hold for every correct computation, and are not much wider than need be.

Correct computations are imitated: other orders of addition, fused
multiply-adds, flushed subnormals, functions off by their whole budget.
"""

import numpy as np
import pytest

from tetrapla.oracle import activations, losses, optimizers
from tetrapla.oracle.arithmetic import judge
from tetrapla.oracle.bounded import (
    Bounded,
    exact,
    given,
    if_positive,
    lift,
    likely_gamma,
    maximum,
    product,
    widest,
)
from tetrapla.oracle.budgets import roundings
from tetrapla.spec import Adam, BinaryCrossEntropy, ReLU

DTYPES = ("float32", "float64")
F32 = judge("float32")
RNG = np.random.default_rng(0)


def random32(*shape, scale=1.0):
    return (scale * RNG.standard_normal(shape)).astype(np.float32)


def used(got, bounded):
    """Return the largest share of the bound that a float32 result used."""
    distance = np.abs(got.astype(float) - bounded.floats)
    return float(np.max(np.where(distance == 0, 0, distance / bounded.error)))


OPERATIONS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: (a + b) * (a - b) / (a * b),
    lambda a, b: a * b + a / b - a,
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e15])
def test_float32_is_within_the_bound(operation, scale):
    a, b = random32(1000, scale=scale), random32(1000)
    with np.errstate(all="ignore"):
        bounded = operation(given(F32, a), given(F32, b))
        share = used(operation(a, b), bounded)
    assert share <= 1
    assert share > 0.1 or scale != 1  # beside 1, a sum with 1e-20 is exact


def test_a_fused_multiply_add_is_within_the_bound():
    a, b, c = random32(1000), random32(1000), random32(1000)
    fused = (a.astype(float) * b + c).astype(np.float32)  # rounded once
    assert used(fused, given(F32, a) * given(F32, b) + given(F32, c)) <= 1


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_every_order_of_addition_is_within_the_bound(n):
    x = random32(n)
    bounded = given(F32, x).sum()
    orders = {
        "forwards": np.add.accumulate(x)[-1],
        "backwards": np.add.accumulate(x[::-1])[-1],
        "pairwise": x.sum(),
        "by size": np.add.accumulate(x[np.argsort(np.abs(x))])[-1],
        "worst": np.add.accumulate(x[np.argsort(-x)])[-1],
    }
    for name, total in orders.items():
        assert used(np.asarray(total), bounded) <= 1, name
    assert bounded.likely <= bounded.error


def test_the_likely_bound_grows_with_the_root():
    unit = 2.0**-24
    assert likely_gamma(4, unit) == pytest.approx(4 * unit)
    assert likely_gamma(10**6, unit) == pytest.approx(8 * 1000 * unit, rel=0.01)


@pytest.mark.parametrize("shape", [(3, 1, 2), (2, 64, 5), (4, 4096, 3)])
def test_products_are_within_both_bounds(shape):
    m, k, n = shape
    a, b, c = random32(m, k), random32(k, n), random32(n)
    bounded = product(given(F32, a), given(F32, b), given(F32, c))
    for got in (a @ b + c, c + a @ b):
        assert used(got, bounded) <= 1
        distance = np.abs(got.astype(float) - bounded.floats)
        assert np.all(distance <= bounded.likely)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("sign", [1, -1])
def test_log1p_may_be_0_below_twice_the_smallest_normal_number(dtype, sign):
    """PyTorch's, with subnormals flushed; and no bound is wider than that needs."""
    ar = judge(dtype)
    near = np.array([1.0, 1.001, 1.5, 2 * (1 - ar.unit)])
    x = exact(ar, sign * ar.tiny * near)
    error = x.apply("log1p").error
    assert (error >= x.magnitude).all()
    assert (error <= x.magnitude * (1 + 20 * ar.unit)).all()
    beyond = exact(ar, sign * ar.tiny * np.array([2.5, 4.0, 1e9])).apply("log1p")
    assert (beyond.error <= 20 * ar.unit * beyond.magnitude).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ["exp", "expm1", "log", "log1p", "tanh", "sqrt"])
def test_a_function_off_by_its_budget_is_within_the_bound(dtype, function):
    ar = judge(dtype)
    x = np.abs(RNG.standard_normal(200)).astype(np.float32).astype(float) + 0.01
    bounded = given(ar, x).apply(function)
    budget = roundings(function, dtype) * ar.unit * bounded.magnitude
    assert np.all(budget <= bounded.error)
    assert np.all(bounded.error <= 1.01 * budget)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_argument_s_error_arrives(dtype):
    ar = judge(dtype)
    x = np.array([-3.0, -0.5, 0.1, 2.0, 5.0])
    for function in ("exp", "expm1", "tanh", "erf", "erfc"):
        f = Bounded(ar, x, 1e-3).apply(function)
        for moved in (x - 1e-3, x + 1e-3):
            there = given(ar, moved).apply(function).floats
            assert np.all(np.abs(there - f.floats) <= f.error)


def test_a_root_near_0_has_a_finite_bound():
    near = Bounded(F32, np.array([0.0, 1e-12]), 1e-10).apply("sqrt")
    assert np.all(near.error >= np.sqrt(1e-10) - 1e-6)
    assert np.all(near.error < 2e-5)


def test_each_element_has_its_own_bound():
    x = np.array([1e6, 1.0, 1e-6])
    assert np.array_equal((given(F32, x) + 0.0).error / x, np.full(3, 2.0**-24 + 2.0**-50))


def test_cancellation_keeps_the_bound_of_its_terms():
    for ar in (judge("float32"), judge("float64")):
        difference = (exact(ar, 1.0) + 1e-3) - 1.0
        assert difference.floats < 0.0011
        assert difference.error > ar.unit


def test_a_plain_number_is_rounded_once_and_data_not_at_all():
    for ar in (judge("float32"), judge("float64")):
        assert float(lift(ar, 0.5).error) == 0
        assert (float(lift(ar, 0.1).error) > 0) == (ar.dtype == "float32")
        assert float(given(ar, 0.1).error) == 0


def test_flushed_subnormals_are_within_the_bound_and_only_they_widen_it():
    tiny = np.array([1e-40, 1e-30])
    data = given(F32, tiny)
    assert data.error[0] == tiny[0]
    assert data.error[1] == 0
    small = given(F32, np.array([1e-30, 1.0])) * given(F32, np.array([1e-10, 1.0]))
    assert small.error[0] >= 1e-40
    assert small.error[1] < 1e-6


def test_a_kink_widens_where_the_sign_is_in_doubt_and_nowhere_else():
    z = Bounded(F32, np.array([-1e-3, -1e-9, 0.0, 1e-9, 1e-3]), 1e-8)
    step = if_positive(z, 1.0, 0.0)
    assert np.array_equal(step.error >= 1, [False, True, True, True, False])
    assert np.all(if_positive(given(F32, np.zeros(1)), 1.0, 0.0).error == 0)
    # 1e-40 may be read as 0, 1e-30 may not
    subnormal = given(F32, np.array([1e-40, 1e-30]))
    slope = activations.gradient(ReLU(), subnormal, exact(F32, np.ones(2)))
    assert np.array_equal(slope.error >= 1, [True, False])


def test_the_larger_of_two_is_continuous():
    a, b = Bounded(F32, np.array([1.0]), 1e-3), Bounded(F32, np.array([1.0005]), 1e-4)
    assert maximum(a, b).error == 1e-3


def test_the_widest_form_decides_the_bound_and_the_first_the_value():
    first, other = Bounded(F32, np.ones(1), 1e-7), Bounded(F32, np.ones(1) + 1e-6, 1e-3)
    both = widest(first, other)
    assert (both.floats, both.error) == (1.0, 1e-3)


def test_overflow_leaves_both_outcomes_open():
    big = given(F32, np.array([1e30]))
    square = big * big
    assert square.infinite is not None
    ratio = big / square
    assert ratio.error >= 1e-30  # x / inf = 0
    assert np.isinf((square - square).error)  # inf - inf
    limit = (-square).apply("exp")
    assert limit.error < 1e-37
    assert np.isinf((square * 0.0).error)


def test_adam_with_overflowing_squares_is_0_or_its_step():
    g = given(F32, np.array([1e30]))
    zero = exact(F32, np.zeros(1))
    theta, _ = optimizers.update(Adam(lr=0.1), zero, g, {"m": zero, "v": zero}, 1)
    assert theta.floats == pytest.approx(-0.1)
    assert theta.error == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(("beside", "claimed"), [(1e-30, True), (1e-41, False)])
def test_infinity_times_a_number_that_may_be_flushed_is_anything(beside, claimed):
    ar = judge("float32")
    row, column = given(ar, [[np.inf, 1.0]]), given(ar, [[beside], [1.0]])
    with np.errstate(invalid="ignore"):
        both = product(row, column), product(column.T, row.T)
    for x in both:
        assert (x.floats == np.inf).all()
        assert np.isfinite(x.error).all() == claimed


@pytest.mark.parametrize(("y", "claimed"), [(1.0, True), (1e-37, False)])
def test_a_label_that_may_be_flushed_over_0_is_anything(y, claimed):
    ar = judge("float32")
    p, labels = given(ar, np.zeros((10, 2))), np.full((10, 2), y)
    with np.errstate(all="ignore"):
        slope = losses.gradient(BinaryCrossEntropy(from_logits=False), p, labels)
    assert (slope.floats == -np.inf).all()
    assert np.isfinite(slope.error).all() == claimed
