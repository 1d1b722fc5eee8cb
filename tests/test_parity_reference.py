"""The reference itself, against numbers that do not come from it."""

from fractions import Fraction

import numpy as np
import pytest
import support

from tetrapla.data import MissingExtraError
from tetrapla.parity import activations, losses
from tetrapla.parity.arithmetic import Extended, Float64, judge
from tetrapla.parity.cases import DifferenceCase
from tetrapla.parity.quantity import exact, if_positive, lift
from tetrapla.parity.reference import expect
from tetrapla.parity.suite import cases
from tetrapla.spec import (
    ACTIVATIONS,
    BinaryCrossEntropy,
    SoftmaxCrossEntropy,
    activation,
)

ARITHMETICS = (judge("float32"), judge("float64"))


@pytest.fixture(params=ARITHMETICS, ids=lambda ar: ar.dtype)
def ar(request):
    return request.param


def test_extended_matmul_is_exact_up_to_its_last_rounding():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((3, 5)) * 10.0 ** rng.integers(-30, 5, (3, 5))
    b = rng.standard_normal((5, 2))
    a[0, 0], b[1, 1] = 0.0, -0.0
    ar = Extended()
    product = ar.matmul(ar.array(a), ar.array(b))
    for i in range(3):
        for j in range(2):
            terms = (Fraction(x) * Fraction(y) for x, y in zip(a[i], b[:, j], strict=True))
            got = Fraction(str(product[i, j]))
            assert abs(got - sum(terms)) <= Fraction(1, 10**38) * abs(got)


def test_extended_matmul_of_infinities():
    ar = Extended()
    product = ar.matmul(ar.array([[np.inf, 1.0]]), ar.array([[1.0], [1.0]]))
    assert ar.floats(product).tolist() == [[np.inf]]


def test_extended_divides_by_zero_as_ieee_754_does():
    ar = Extended()
    with np.errstate(all="ignore"):
        x, y = np.array([1.0, -1.0, 0.0, np.nan]), np.zeros(4)
        assert np.array_equal(
            ar.floats(ar.divide(ar.array(x), ar.array(y))), x / y, equal_nan=True
        )


def test_the_lectures_losses(ar):
    p, y = np.array([[0.1], [0.8], [0.6]]), np.array([[1.0], [0.0], [1.0]])
    single = BinaryCrossEntropy(from_logits=False, reduction="none")
    each = losses.loss(single, exact(ar, p), y).floats
    assert np.round(each, 6).tolist() == [2.302585, 1.609438, 0.510826]
    mean = losses.loss(BinaryCrossEntropy(from_logits=False), exact(ar, p), y)
    assert round(float(mean.floats), 6) == 1.474283
    one_output = SoftmaxCrossEntropy()
    assert losses.loss(one_output, exact(ar, p), np.zeros(3, int)).floats == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_the_functions(name):
    """In 40 digits a centred difference is right to 26."""
    ar, g = judge("float64"), activation(name)
    z = np.array([[-30.0, -3.0, -0.5, 0.25, 2.0, 30.0]])
    h = ar.array(1e-13)
    up, down = exact(ar, ar.array(z) + h), exact(ar, ar.array(z) - h)
    for i in range(z.shape[1]):
        unit = np.eye(z.shape[1])[[i]]
        if name == "softmax":  # one z moves all: see the sum of the outputs' i-th
            shift = ar.array(unit) * h
            high = activations.activation(g, exact(ar, ar.array(z) + shift)).value
            low = activations.activation(g, exact(ar, ar.array(z) - shift)).value
            weights = ar.array(np.arange(6.0)[None])
            slope = np.sum((high - low) * weights) / (2 * h)
            got = activations.gradient(g, exact(ar, z), exact(ar, np.arange(6.0)[None]))
            assert abs(float(got.value[0, i] - slope)) < 1e-24
        else:
            high, low = activations.activation(g, up), activations.activation(g, down)
            slope = ((high.value - low.value) / (2 * h))[0, i]
            got = activations.gradient(g, exact(ar, z), exact(ar, unit)).value[0, i]
            assert abs(float(got - slope)) < 1e-24


@pytest.mark.parametrize(
    "case",
    [c for c in cases() if not isinstance(c, DifferenceCase)],
    ids=lambda case: case.id,
)
def test_both_arithmetics_agree(case):
    """float64's rounding is within the sizes that it is used for."""
    try:
        single, extended = (expect(case, ar) for ar in (Float64("float64"), Extended()))
    except MissingExtraError as error:
        support.missing(str(error))
    assert list(single) == list(extended)
    for name, quantity in extended.items():
        with np.errstate(all="ignore"):
            distance = np.abs(single[name].floats - quantity.floats)
            room = case.rule.count * 2.0**-53 * quantity.size + 1e-300
            same = single[name].floats == quantity.floats
            same |= np.isnan(single[name].floats) & np.isnan(quantity.floats)
        assert np.all(same | (distance <= room)), name


def test_a_plain_number_is_rounded_once_and_data_not_at_all(ar):
    assert float(lift(ar, 0.5).size) == 0
    assert float(lift(ar, 0.1).size) == (0.1 if ar.dtype == "float32" else 0)
    assert float(exact(ar, 0.1).size) == 0


def test_cancellation_keeps_the_size_of_its_terms(ar):
    one = exact(ar, 1.0)
    difference = (one + 1e-3) - one
    assert difference.floats < 0.0011
    assert difference.size > 1


def test_either_branch_is_right_at_an_uncertain_kink(ar):
    z = exact(ar, 1.0) * 3.0 - 3.0
    assert if_positive(z, 1.0, 0.0).size * ar.unit >= 1
    assert if_positive(exact(ar, 0.0), 1.0, 0.0).size == 0
