"""The examples in the docstrings of the public API, run."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import tetrapla

# Lines of a result may be cut with "..." and wrapped.
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    """Return our modules; the implementations' need their frameworks."""
    found = pkgutil.walk_packages(tetrapla.__path__, "tetrapla.")
    names = [m.name for m in found if not m.name.endswith("__main__")]
    return ["tetrapla", *(n for n in names if not n.startswith("tetrapla.impls"))]


MODULES = modules()


def test_the_modules_are_found():
    assert {"tetrapla", "tetrapla.backends", "tetrapla.spec.layers"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(import_module(module), optionflags=FLAGS)
    assert result.failed == 0


def test_there_are_examples():
    # The names that a newcomer meets first.
    finder = doctest.DocTestFinder(exclude_empty=True)
    with_examples = {
        test.name
        for module in MODULES
        for test in finder.find(import_module(module))
        if test.examples
    }
    expected = {
        "tetrapla",
        "tetrapla.backends.available",
        "tetrapla.backends.load",
        "tetrapla.backends.Backend.activation",
        "tetrapla.spec.layers.Dense",
        "tetrapla.spec.layers.Sequential",
        "tetrapla.spec.training.Training",
    }
    assert expected <= with_examples
