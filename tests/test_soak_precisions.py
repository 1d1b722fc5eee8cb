"""Random cases in each precision: they have its range, and nothing correct is blamed."""

from collections import Counter

import numpy as np
import pytest
from support import backend

from tetrapla.parity.cases import ActivationCase, LossCase, NetworkCase
from tetrapla.parity.comparison import str_of
from tetrapla.parity.soak import Tally, cases, rounded, soak, special
from tetrapla.spec.losses import LOSSES
from tetrapla.spec.precisions import PRECISIONS, limits, numpy_dtype, precision

HALVES = ("bfloat16", "float16")


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_no_false_alarm(name, dtype):
    tally = Tally()
    failures = list(soak(backend(name, dtype), 60, seed=5, on_verdict=tally))
    assert not [f"{v.case}: {str_of(v.first) if v.first else v.message}" for v in failures]
    assert tally.cases == 60
    assert {name.split("/")[0] for name in tally.rows} == {
        "activation",
        "loss",
        "network",
        "optimizer",
    }
    unclaimed = sum(row.unclaimed for row in tally.rows.values())
    assert unclaimed < 0.1 * sum(row.elements for row in tally.rows.values())


def of_data(drawn):
    """Return what a case gives in the dtype of data."""
    match drawn:
        case ActivationCase():
            return [drawn.z, drawn.upstream]
        case LossCase():
            return [drawn.outputs]
        case NetworkCase():
            return [drawn.data[0]]
    return []


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_draws_have_the_range_of_the_precision(dtype):
    data = precision(dtype).data
    found = limits(data)
    drawn = [x.ravel() for c in cases(0, 800, dtype) for x in of_data(c)]
    x = np.concatenate(drawn)
    np.testing.assert_array_equal(x, x.astype(numpy_dtype(data)).astype(float))
    size = np.abs(x[x != 0])
    logs = np.log2(size)
    with np.errstate(over="ignore"):
        square = size**2
    assert size.max() <= found.largest
    assert np.mean((x == 0) | (np.abs(x) == found.largest)) < 0.1  # or it lost its size
    assert np.mean(size >= found.tiny) > 0.95
    assert np.mean((square >= found.tiny) & (square <= found.largest)) > 0.85
    # And some of everything: subnormals, and sizes whose products overflow or vanish.
    assert (size < found.tiny).any()
    assert (square > found.largest).any()
    assert (square < found.least).any()
    # From end to end, and not as another precision has it.
    assert logs.min() < np.log2(found.tiny) - 1
    assert logs.max() > 0.85 * np.log2(found.largest)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_special_numbers_are_subnormal_ones_too(dtype):
    data = precision(dtype).data
    rng = np.random.default_rng(0)
    size = np.abs(rounded(special(rng, (1000,), data), data))
    assert np.mean((size > 0) & (size < limits(data).tiny)) > 0.02
    assert size.max() < limits(data).largest  # none was beyond


@pytest.mark.parametrize("dtype", HALVES)
def test_weights_and_labels_beside_halves_are_float32s(dtype):
    half, finer = numpy_dtype(dtype), Counter()
    for drawn in cases(0, 200, dtype):
        if isinstance(drawn, NetworkCase):
            kind, x = "weights", next(iter(drawn.weights.values()))
        elif isinstance(drawn, LossCase):
            kind, x = drawn.loss.name, drawn.y.astype(float)
        else:
            continue
        np.testing.assert_array_equal(x, x.astype(np.float32).astype(float))
        assert np.isfinite(x.astype(half).astype(float)).all()
        finer[kind] += not np.array_equal(x, x.astype(half).astype(float))
    assert set(finer) == {"weights", *(loss.name for loss in LOSSES.values())}
    assert min(finer.values()) > 3
