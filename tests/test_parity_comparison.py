"""The checker is checked: what is wrong must be caught, what is right must not."""

import math

import numpy as np
import pytest
import support

from tetrapla.oracle.arithmetic import judge
from tetrapla.oracle.bounded import Bounded, exact
from tetrapla.oracle.stages import Stage
from tetrapla.parity.comparison import DisagreementError, compare, median, require
from tetrapla.parity.verification import expected

DTYPES = ("float32", "float64")


def bounded(values, error, dtype):
    return Bounded(judge(dtype), values, error)


def one(got, value, **kwargs):
    return compare(expected("a", "a formula", value), np.asarray(got), **kwargs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1.0, 1e-20, 1e4])
def test_half_a_bound_passes_and_two_fail(dtype, size):
    value = np.array([0.0, 1024.0], dtype)
    error = judge(dtype).unit * size * np.array([1, 1e12])
    for share, agrees in ((0.5, True), (-0.5, True), (2.0, False), (-2.0, False)):
        got = (value + share * error).astype(dtype)
        found = one(got, bounded(value, error, dtype))
        assert found.agrees == agrees
        assert found.fraction == pytest.approx(abs(share), rel=0.01)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("got", "wanted", "agrees"),
    [
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (math.nan, math.inf, False),
        (0.0, math.nan, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (-math.inf, -math.inf, True),
        (math.inf, 1e30, False),
        (1e30, math.inf, False),
        (-0.0, 0.0, True),
    ],
)
def test_nan_and_inf_match_only_themselves(dtype, got, wanted, agrees):
    value = bounded(np.array([1.0, wanted]), np.ones(2), dtype)
    found = one(np.array([1.0, got], dtype), value)
    assert found.agrees == agrees
    assert agrees or found.index == (1,)


def test_a_bound_that_is_nan_excuses_nothing():
    value = bounded(np.array([1.0]), np.array([math.nan]), "float64")
    assert not one(np.array([1.5]), value).agrees
    assert not one(np.array([math.nan]), value).agrees


def test_what_is_not_claimed_is_counted():
    value = bounded(np.array([1.0, 1.0]), np.array([math.inf, 0.0]), "float64")
    found = one(np.array([math.nan, 1.0]), value)
    assert found.agrees
    assert found.unclaimed == 1
    assert not one(np.array([math.nan, 2.0]), value).agrees


def test_a_value_beyond_the_dtype_is_inf():
    value = bounded(np.array([1e39]), np.array([1e31]), "float32")
    assert one(np.array([np.inf], np.float32), value).agrees
    assert not one(np.array([-np.inf], np.float32), value).agrees
    assert not one(np.array([3e38], np.float32), value).agrees


def test_at_the_end_of_the_range_both_neighbours_are_right():
    top = float(np.finfo(np.float32).max)
    value = bounded(np.array([top]), np.array([top * 2**-23]), "float32")
    assert one(np.array([np.inf], np.float32), value).agrees
    assert one(np.array([top], np.float32), value).agrees


def test_one_ulp_of_float64_is_seen():
    got = np.nextafter(np.array([1.0]), 2)
    found = one(got, bounded(np.array([1.0]), np.zeros(1), "float64"))
    assert found.ulps == 1
    assert not found.agrees


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        (np.zeros((2, 1)), "has shape (2, 1), expected (2,)"),
        (np.zeros(2, np.float32), "has dtype float32, expected float64"),
        (np.array(["a", "b"]), "expected numbers"),
    ],
)
def test_shape_and_dtype_are_part_of_it(got, problem):
    found = one(got, bounded(np.zeros(2), np.zeros(2), "float64"))
    assert not found.agrees
    assert problem in found.problem


def test_a_missing_tensor_fails():
    stage = expected("a", "a formula", exact(judge("float64"), np.zeros(1)))
    found = compare(stage, None)
    with pytest.raises(DisagreementError, match="a: the backend did not return it"):
        require([found])


def test_require_names_tensor_element_and_values():
    value = bounded(np.ones((2, 2)), np.full((2, 2), 1e-9), "float64")
    got = np.ones((2, 2))
    got[1, 0] = 1.5
    with pytest.raises(DisagreementError, match=r"a\[1, 0\]: got 1.5, expected 1 \+-"):
        require([one(got, value)])
    require([one(np.ones((2, 2)), value)])


def test_blocks_are_put_together():
    ar = judge("float64")
    whole = np.arange(12.0).reshape(4, 3)

    def blocks():
        for i in range(4):
            yield (slice(i, i + 1),), Bounded(ar, whole[i : i + 1], 1e-3)

    stage = Stage("a", "a formula", (4, 3), {}, blocks)
    got = whole.copy()
    got[2, 1] += 0.5
    got[3, 0] += 0.01
    found = compare(stage, got)
    assert found.index == (2, 1)
    assert [e.index for e in found.outside] == [(2, 1), (3, 0)]
    assert sum(found.octaves) == 12
    assert found.around["a"].shape == (4, 3)


def test_of_the_steps_of_a_run_the_first_wrong_one_is_named():
    value = bounded(np.zeros((3, 2)), np.full((3, 2), 1e-3), "float64")
    got = np.array([[0.0, 0.0], [0.0, 0.01], [5.0, 5.0]])
    found = one(got, value, steps=[1, 10, 100])
    assert (found.step, found.index) == (10, (1,))


def test_the_likely_bound_decides_nothing():
    value = Bounded(judge("float64"), np.zeros(1), np.ones(1), np.full(1, 0.1))
    found = one(np.array([0.5]), value)
    assert found.agrees
    assert (found.fraction, found.likely) == pytest.approx((0.5, 5.0))


def test_the_median_is_the_middle_octave():
    value = bounded(np.zeros(5), np.ones(5), "float64")
    found = one(np.array([0.0, 0.3, 0.3, 0.3, 0.9]), value)
    assert 0.25 < median(found.octaves) < 0.5
    assert median(()) == 0


def test_every_backend_is_known_to_the_tests():
    from tetrapla.backends import BUILT_IN

    assert {*support.BACKENDS, *support.LIBRARIES} == set(BUILT_IN)
