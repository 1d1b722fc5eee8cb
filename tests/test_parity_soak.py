"""Random cases: the generator repeats itself, and nothing correct is blamed."""

from itertools import islice

import numpy as np
import pytest
from support import backend

from tetrapla.backends import Backend
from tetrapla.parity.cases import ActivationCase, LossCase, NetworkCase, OptimizerCase
from tetrapla.parity.comparison import str_of
from tetrapla.parity.engine import DIFFERS
from tetrapla.parity.soak import NETWORKS, Tally, case, cases, option, soak
from tetrapla.spec import optimizers as opt

COUNT = 150
KINDS = (ActivationCase, LossCase, OptimizerCase, NetworkCase)


def arrays_of(case):
    match case:
        case ActivationCase():
            return [case.z, case.upstream]
        case LossCase():
            return [case.outputs, case.y]
        case OptimizerCase():
            steps = [case.gradients(t) for t in (1, case.steps)]
            return [*case.weights.values(), *(g for s in steps for g in s.values())]
        case NetworkCase():
            return [*case.weights.values(), *case.data]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_false_alarm_on_numpy(dtype):
    tally = Tally()
    failures = list(soak(backend("numpy", dtype), COUNT, seed=1, on_verdict=tally))
    assert not [f"{v.case}: {str_of(v.first) if v.first else v.message}" for v in failures]
    assert tally.cases == COUNT
    unclaimed = sum(row.unclaimed for row in tally.rows.values())
    assert unclaimed < 0.1 * sum(row.elements for row in tally.rows.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_seed_repeats_itself(dtype):
    first, again = cases(7, 60, dtype), cases(7, 60, dtype)
    for a, b in zip(first, again, strict=True):
        assert a == b
        assert hash(a) == hash(b)
        for x, y in zip(arrays_of(a), arrays_of(b), strict=True):
            np.testing.assert_array_equal(x, y)
    alone = case(7, 59, dtype)
    assert alone == b
    assert case(8, 59, dtype) != alone


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_finite_and_the_dtypes_own(dtype):
    for drawn in islice(cases(2, 100, dtype), 100):
        for x in arrays_of(drawn):
            assert np.isfinite(x).all()
            own = "float32" if isinstance(drawn, OptimizerCase) else dtype
            np.testing.assert_array_equal(x, x.astype(own).astype(np.float64))


def test_every_kind_and_network_comes():
    drawn = list(cases(0, 600))
    assert len({c.id for c in drawn}) == len(drawn)
    for kind in KINDS:
        assert sum(isinstance(c, kind) for c in drawn) > 50
    rows = {c.component for c in drawn}
    assert {f"network/{name}" for name in NETWORKS} <= rows
    assert {f"optimizer/{name}" for name in opt.OPTIMIZERS} <= rows


def test_an_unknown_option_is_not_passed_over():
    with pytest.raises(TypeError, match="'warmup'"):
        option(np.random.default_rng(0), "warmup")


class Sabotaged(Backend):
    """NumPy, but wrong by a few roundings in one place."""

    def __init__(self):
        numpy = backend("numpy", "float32")
        super().__init__("sabotaged", numpy.implementation)

    def activation(self, activation, z):
        a = super().activation(activation, z)
        return np.float32(1 + 2e-6) * a if activation.name == "sigmoid" else a


def test_a_small_fault_is_found():
    tally = Tally()
    failures = list(soak(Sabotaged(), 60, seed=3, on_verdict=tally))
    assert failures
    assert {v.component for v in failures} == {"activation/sigmoid"}
    assert {v.status for v in failures} == {DIFFERS}
    assert tally.rows["activation/sigmoid"].failures == len(failures)
    assert tally.rows["activation/sigmoid"].worst > 1
