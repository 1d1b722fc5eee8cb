"""Sweeps of an activation: what they find, and that they can be taken up again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import tetrapla as tp
from tetrapla.commands.sweep import sweep as command
from tetrapla.parity import sweep as sweeps
from tetrapla.spec import InvalidInputError, Sigmoid, Softmax, Tanh


@pytest.fixture
def small(monkeypatch):
    """A float32 of 2^18 numbers, in chunks of 2^14."""
    monkeypatch.setattr(sweeps, "CHUNK", 2**14)
    monkeypatch.setattr(sweeps, "EVERY", 16)


def numpy32():
    return tp.load("numpy")


def test_the_chunks_are_all_finite_numbers():
    chunks = [sweeps.chunk(i) for i in (0, 1023, 2040, 2048, 4095)]
    assert all(np.isfinite(z).all() for z in chunks)
    assert chunks[0][:3].view(np.uint32).tolist() == [0, 1, 2]
    assert chunks[2].size == 0  # infinities and NaN
    assert chunks[3][0] == 0
    assert np.signbit(chunks[3][0])
    per_chunk = sweeps.CHUNK
    finite = sum(sweeps.chunk(i).size for i in range(2030, 2048)) + 2030 * per_chunk
    assert 2 * finite == 2**32 - 2 * 2**23


def test_the_sample_has_every_exponent_and_both_signs():
    z = sweeps.sample()
    exponents = np.unique(z.view(np.uint32) >> np.uint32(23))
    assert len(exponents) == 2 * 255
    assert 3e5 < z.size < 2e6


@pytest.mark.parametrize("activation", [Tanh(), Sigmoid()])
def test_every_number_of_the_sample_is_within_its_bound(activation):
    backend = numpy32()
    (done,) = sweeps.steps(
        sweeps.begin(activation, backend, "1", every=False), activation, backend
    )
    assert done.done
    for found in (done.a, done.dz):
        assert found.outside == found.unclaimed == 0
        assert 0.05 < found.fraction.size <= 1
        assert found.ulps.size > 0.5


def test_the_worst_is_where_the_fault_is():
    class Faulty(tp.backends.Backend):
        def activation(self, activation, z):
            return np.where(z == np.float32(0.625), 0, super().activation(activation, z))

    backend = Faulty("faulty", numpy32().implementation)
    (done,) = sweeps.steps(sweeps.begin(Tanh(), backend, "1", every=False), Tanh(), backend)
    assert done.a.outside > 0
    assert done.a.fraction.z == 0.625
    assert done.a.fraction.got == 0


def test_a_sweep_is_taken_up_where_it_stopped(small, tmp_path):
    backend, path = numpy32(), tmp_path / "tanh.json"
    whole = sweeps.begin(Tanh(), backend, "1", every=True)
    *_, uninterrupted = sweeps.steps(whole, Tanh(), backend)
    some = sweeps.steps(whole, Tanh(), backend)
    for _ in range(5):
        so_far = next(some)
    sweeps.save(so_far, path)
    *_, resumed = sweeps.steps(sweeps.load(path, whole), Tanh(), backend)
    assert resumed == uninterrupted
    assert resumed.numbers == 2**18


def test_a_file_of_another_sweep_is_refused(small, tmp_path):
    backend, path = numpy32(), tmp_path / "sweep.json"
    tanh = sweeps.begin(Tanh(), backend, "1", every=True)
    sweeps.save(tanh, path)
    with pytest.raises(InvalidInputError, match="is a sweep of version '1', not '2'"):
        sweeps.load(path, replace(tanh, version="2"))
    path.write_text("{}")
    with pytest.raises(InvalidInputError, match="is not a sweep"):
        sweeps.load(path, tanh)


def test_softmax_and_float64_have_no_sweep():
    with pytest.raises(InvalidInputError, match="softmax is no function of one number"):
        sweeps.begin(Softmax(), numpy32(), "1", every=False)
    with pytest.raises(InvalidInputError, match="float32's numbers"):
        sweeps.begin(Tanh(), tp.load("numpy", dtype="float64"), "1", every=False)


def test_the_command_prints_the_worst_and_keeps_its_state(small, tmp_path):
    path = tmp_path / "sweep.json"
    arguments = ["tanh", "--every", "--state", str(path)]
    first = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert first.exit_code == 0
    assert "every finite float32: 262,144 numbers" in first.stdout
    assert "ULP at z =" in first.stdout
    assert json.loads(path.read_text())["next"] == 16
    again = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert again.stdout == first.stdout
