"""One item per backend x component x case x dtype."""

import pytest
import support

from tetrapla.data import MissingExtraError
from tetrapla.parity.cases import Case
from tetrapla.parity.comparison import require
from tetrapla.parity.engine import AGREES, KNOWN, NO, examine, verdict
from tetrapla.parity.suite import cases
from tetrapla.spec import ACTIVATIONS, LOSSES, OPTIMIZERS

# The backends of a case are neighbours: they share one expectation.
ITEMS = [
    pytest.param(case, dtype, name, id=f"{case.id}-{dtype}-{name}")
    for case in cases()
    for dtype in case.dtypes
    for name in support.BACKENDS
]


@pytest.mark.parametrize(("case", "dtype", "name"), ITEMS)
def test_agrees_with_the_specification(case: Case, dtype: str, name: str):
    backend = support.backend(name, dtype)
    try:
        found = examine(case, backend)
    except MissingExtraError as error:
        support.missing(str(error))
    assert found
    require(found)


LIBRARY_ITEMS = [
    pytest.param(case, dtype, name, id=f"{case.id}-{dtype}-{name}")
    for case in cases()
    for dtype in case.dtypes
    for name in support.LIBRARIES
]


# Keras warns of softmax over a single class; so does the lecture.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize(("case", "dtype", "name"), LIBRARY_ITEMS)
def test_a_library_agrees_but_for_what_is_known(case: Case, dtype: str, name: str):
    found = verdict(case, support.backend(name, dtype))
    if found.status == "not run":
        support.missing(found.message)
    assert found.status in (AGREES, KNOWN, NO), found.first


def test_ids_are_unique():
    ids = [case.id for case in cases()]
    assert len(set(ids)) == len(ids)


def test_every_component_of_the_specification_has_cases():
    rows = {case.component for case in cases()}
    assert {f"activation/{name}" for name in ACTIVATIONS} <= rows
    assert {f"optimizer/{name}" for name in OPTIMIZERS} <= rows
    used = {type(case.loss) for case in cases() if hasattr(case, "loss")}
    assert set(LOSSES.values()) <= used


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_every_number_of_the_suite_something_is_claimed(dtype):
    backend = support.backend("numpy", dtype)
    for case in cases():
        if dtype in case.dtypes:
            try:
                found = examine(case, backend)
            except MissingExtraError as error:
                support.missing(str(error))
            assert {c.tensor: c.unclaimed for c in found if c.unclaimed} == {}, case.id
