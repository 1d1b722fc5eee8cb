"""Importing tetrapla loads no framework; loading a backend loads its own only."""

import subprocess
import sys

import pytest
import support

OWN = {  # what a backend imports
    "numpy": "import numpy",
    "torch": "import torch",
    "tf": "import tensorflow",
    "jax": "import jax, flax.nnx",
}
ALL = {"torch", "tensorflow", "keras", "jax", "flax", "optax"}


def loaded(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has afterwards."""
    code = f"import sys\n{statement}\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_loads_neither_numpy_nor_a_framework() -> None:
    assert not loaded("import tetrapla") & (ALL | {"numpy", "rich", "click", "mpmath"})


@pytest.mark.parametrize(
    "statement",
    [
        "import tetrapla.spec",
        "import tetrapla; tetrapla.available()",
        "import tetrapla.cli",
        "import tetrapla.parity",
        "import tetrapla.weights, tetrapla.data",
        "from tetrapla import *",
    ],
)
def test_no_framework(statement: str) -> None:
    assert not loaded(statement) & ALL


def test_the_specification_needs_nothing_but_numpy() -> None:
    modules = loaded("import tetrapla.spec")
    assert not modules & {"rich", "click", "mpmath", "safetensors", "sklearn", "scipy"}


def test_load_imports_one_framework(name: str) -> None:
    support.backend(name)  # skips where it is missing
    # a framework may import another: TensorFlow imports Keras, and it JAX
    expected = loaded(OWN[name]) & ALL
    assert loaded(f"import tetrapla; tetrapla.load({name!r})") & ALL == expected


def test_a_missing_framework_names_the_extra(name: str) -> None:
    if name == "numpy":
        code = "import tetrapla; assert 'numpy' in tetrapla.available()"
        loaded(code)
        return
    module = "tensorflow" if name == "tf" else name
    statement = f"""
import importlib.util
import tetrapla
from tetrapla import backends
real = importlib.util.find_spec
backends.find_spec = lambda m: None if m == {module!r} else real(m)
assert {name!r} not in tetrapla.available()
try:
    tetrapla.load({name!r})
except tetrapla.BackendUnavailableError as error:
    expected = "backend {name!r} needs {module}: pip install 'tetrapla[{name}]'"
    assert str(error) == expected, error
else:
    raise AssertionError("loaded without its framework")
"""
    assert not loaded(statement) & ALL


@pytest.mark.parametrize("name", ["numpy", "torch", "tf", "jax"])
def test_impls_on_the_path_does_not_shadow_the_framework(name: str) -> None:
    import tetrapla.impls

    folder = tetrapla.impls.__path__[0]
    code = f"import sys; sys.path.insert(0, {folder!r}); import {name}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "impls/ must not be on sys.path" in done.stderr
