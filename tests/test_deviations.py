"""The known-deviations table: each row is needed, and hides nothing else."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import support

from tetrapla.oracle import habits
from tetrapla.parity import deviations
from tetrapla.parity.cases import ActivationCase
from tetrapla.parity.engine import DIFFERS, KNOWN, verdict
from tetrapla.parity.suite import cases
from tetrapla.spec import Sigmoid
from tetrapla.spec.precisions import PRECISIONS

CASES = {case.id: case for case in cases()}


@pytest.mark.parametrize(
    "row", deviations.TABLE, ids=lambda row: f"{row.backends[0]}-{row.habit}"
)
def test_a_row_is_needed(row):
    """A deviation that has disappeared has no row."""
    name, dtype = row.seen
    if row.on_gpu:
        pytest.skip("of a GPU: published, and not seen by us yet")
    backend = support.backend(row.backends[0], dtype)
    if row.setting:
        status, known = elsewhere(row)
    else:
        found = verdict(CASES[name], backend)
        status, known = found.status, found.known
    assert status == KNOWN, f"{row.backends[0]} no longer {row.cause}"
    assert row.habit in known


def elsewhere(row):
    """Return the verdict of a process that starts with the row's setting."""
    name, dtype = row.seen
    code = f"""
import json, tetrapla
from tetrapla.parity.engine import verdict
from tetrapla.parity.suite import cases
case = next(case for case in cases() if case.id == {name!r})
found = verdict(case, tetrapla.load({row.backends[0]!r}, dtype={dtype!r}))
print(json.dumps([found.status, found.known]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | dict([row.setting]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_every_habit_of_the_oracle_is_somebodys():
    known = {value for name, value in vars(habits).items() if name.isupper()}
    assert known == {row.habit for row in deviations.TABLE}


class Sabotaged:
    """A library backend whose gradient is wrong by more than its habit."""

    def __init__(self, backend, by):
        self._backend, self._by = backend, by

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def activation_gradient(self, activation, z, upstream):
        dz = self._backend.activation_gradient(activation, z, upstream)
        return dz * (1 + self._by)


def test_a_known_deviation_hides_no_other():
    backend = support.backend("torch.nn", "float64")
    z = np.linspace(-30.0, 30.0, 61).reshape(1, -1)
    case = ActivationCase("saturated", "activation/sigmoid", Sigmoid(), z)
    assert verdict(case, backend).status == KNOWN
    assert verdict(case, Sabotaged(backend, 1e-14)).status == DIFFERS


def test_a_from_scratch_backend_has_no_deviations():
    for name in support.BACKENDS:
        for dtype in PRECISIONS:
            for device in ("cpu", "gpu"):
                assert not list(deviations.of(name, dtype, device))
