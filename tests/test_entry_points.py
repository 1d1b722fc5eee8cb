"""A backend of somebody else's, registered as an entry point."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
from tetrapla.impls.numpy import backend


class Backend(backend.Backend):
    """NumPy, but with a wrong epsilon."""

    def update(self, optimizer, weights, gradients, state):
        import dataclasses

        if hasattr(optimizer, "eps"):
            optimizer = dataclasses.replace(optimizer, eps=10 * optimizer.eps)
        return super().update(optimizer, weights, gradients, state)


def absent(device, dtype):
    from tetrapla import BackendUnavailableError

    raise BackendUnavailableError("backend 'absent' found no accelerator")


def narrow(device, dtype):
    from tetrapla import InvalidInputError

    raise InvalidInputError("backend 'narrow' has no float64")
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as pip would leave it: a module, and its metadata."""
    (tmp_path / "other.py").write_text(MODULE)
    info = tmp_path / "other-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[tetrapla.backends]\nmine = other:Backend\nnumpy = other:Backend\n"
        "absent = other:absent\nnarrow = other:narrow\n"
    )
    return tmp_path


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n"
    if command[0] == "-c":
        command = ("-c", code + command[1])
    else:
        argv = ["tetrapla", *command]
        main = f"sys.argv = {argv!r}\nfrom tetrapla.cli import main; main()"
        command = ("-c", code + main)
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False
    )


def test_it_is_found_and_loaded_and_ours_keep_their_names(site: Path) -> None:
    statement = """
import tetrapla
assert tetrapla.available()["mine"] == "1.2"
b = tetrapla.load("mine", dtype="float64")
assert repr(b) == "<tetrapla backend 'mine' on cpu, float64>", b
import other
assert isinstance(b.implementation, other.Backend)
assert not isinstance(tetrapla.load("numpy").implementation, other.Backend)
try:
    b.forward(None, {}, None)
except tetrapla.InvalidInputError as error:
    assert str(error) == "net must be a Sequential, got NoneType"
"""
    done = run(site, "-c", statement)
    assert done.returncode == 0, done.stderr


def test_the_parity_suite_judges_it(site: Path) -> None:
    right = run(site, "parity", "--backends", "mine", "--filter", "optimizer/sgd")
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = run(site, "parity", "--backends", "numpy,mine", "--filter", "optimizer/adam")
    assert wrong.returncode == 1
    assert "mine" in wrong.stdout
    assert "optimizer/adam" in wrong.stdout


def test_one_that_cannot_be_loaded_is_not_run_and_says_why(site: Path) -> None:
    refused = run(site, "parity", "--backends", "absent", "--filter", "activation/elu")
    assert refused.returncode == 2
    assert refused.stderr == "Error: backend 'absent' found no accelerator\n"
    refused = run(
        site, "parity", "--backends", "numpy,absent", "--filter", "activation/elu"
    )
    assert refused.returncode == 2
    assert refused.stderr == "Error: backend 'absent' found no accelerator\n"
    refused = run(site, "parity", "--backends", "narrow", "--filter", "activation/elu")
    assert refused.returncode == 2
    assert refused.stderr == "Error: backend 'narrow' has no float64\n"
