"""Fixtures of all tests; plain helpers are in support.py."""

import gc
from itertools import count

import pytest
import support
from hypothesis import settings

# A first example that compiles or imports something is slow, and no failure.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")


OFTEN = 100  # tests
done = count(1)


def pytest_runtest_teardown() -> None:
    """Set aside what tests leave, so that no later collection goes through it.

    Frameworks keep what they compiled, millions of objects: in the end each
    collection, and a benchmark asks for dozens, took seconds.
    """
    if next(done) % OFTEN == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture(params=support.BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    """One item per backend."""
    return request.param


@pytest.fixture
def f32(name: str):
    """Each backend, in float32."""
    return support.backend(name, "float32")


@pytest.fixture
def f64(name: str):
    """Each backend, in float64."""
    return support.backend(name, "float64")
