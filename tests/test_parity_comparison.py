"""The checker is checked: what is wrong must be caught, what is right must not."""

import math

import numpy as np
import pytest
import support

from tetrapla.parity.arithmetic import judge
from tetrapla.parity.comparison import (
    DisagreementError,
    compare,
    compare_tensor,
    require,
)
from tetrapla.parity.quantity import Quantity, exact
from tetrapla.parity.tolerances import ROUNDING, allowed

DTYPES = ("float32", "float64")


def expected(values, size, dtype):
    return Quantity(judge(dtype), values, size)


def one(got, quantity, dtype):
    return compare_tensor("a", np.asarray(got), quantity, ROUNDING, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1.0, 1e-20, 1e4])
def test_half_a_tolerance_passes_and_two_fail(dtype, size):
    value = np.array([0.0, 1024.0], dtype)
    quantity = expected(value, size * np.array([1, 1e12]), dtype)
    tolerance = allowed(ROUNDING, quantity.size, dtype)
    for share, agrees in ((0.5, True), (2.0, False), (-2.0, False)):
        got = (value + share * tolerance).astype(dtype)
        assert one(got, quantity, dtype).agrees == agrees


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
    quantity = expected(np.array([1.0, wanted]), np.ones(2), dtype)
    found = one(np.array([1.0, got], dtype), quantity, dtype)
    assert found.agrees == agrees
    assert agrees or found.index == (1,)


@pytest.mark.parametrize("size", [math.nan, math.inf])
def test_nan_is_not_excused_by_its_size(size):
    quantity = expected(np.array([1.0]), np.array([size]), "float64")
    assert not one(np.array([math.nan]), quantity, "float64").agrees


def test_a_tolerance_that_is_nan_excuses_nothing():
    quantity = expected(np.array([1.0]), np.array([math.nan]), "float64")
    assert not one(np.array([1.5]), quantity, "float64").agrees


def test_a_value_beyond_the_dtype_is_inf():
    quantity = expected(np.array([1e39]), np.array([1e39]), "float32")
    assert one(np.array([np.inf], np.float32), quantity, "float32").agrees
    assert not one(np.array([3e38], np.float32), quantity, "float32").agrees


def test_one_ulp_of_float64_is_seen():
    got = np.nextafter(np.array([1.0]), 2)
    found = one(got, expected(np.array([1.0]), np.zeros(1), "float64"), "float64")
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
    found = one(got, expected(np.zeros(2), np.zeros(2), "float64"), "float64")
    assert not found.agrees
    assert problem in found.problem


def test_missing_and_unknown_tensors_fail():
    ar = judge("float64")
    found = compare({"b": np.zeros(1)}, {"a": exact(ar, np.zeros(1))}, ROUNDING, "float64")
    assert {c.tensor: c.agrees for c in found} == {"a": False, "b": False}
    with pytest.raises(DisagreementError, match="a: the backend did not return it"):
        require(found)


def test_require_names_tensor_element_and_values():
    quantity = expected(np.ones((2, 2)), np.ones((2, 2)), "float64")
    got = np.ones((2, 2))
    got[1, 0] = 1.5
    with pytest.raises(DisagreementError, match=r"a\[1, 0\]: got 1.5, expected 1 \+-"):
        require([one(got, quantity, "float64")])
    require([one(np.ones((2, 2)), quantity, "float64")])


def test_every_backend_is_known_to_the_tests():
    from tetrapla.backends import BUILT_IN

    assert set(support.BACKENDS) == set(BUILT_IN)
