"""Every planted fault is caught, and the first stage named is where it is."""

import pytest
import support
from power.plant import IMPLEMENTATIONS, faults
from power.score import forget, score

# Each takes seconds: here every second in NumPy and every 32nd in the frameworks,
# by turns, and all of them in `make power`.
EVERY = {"numpy": 2, "torch": 32, "tf": 32, "jax": 32}
ITEMS = [
    pytest.param(fault, name, id=f"{name}-{fault.name}")
    for turn, name in enumerate(IMPLEMENTATIONS)
    for i, fault in enumerate(faults())
    if name in fault.patches and i % EVERY[name] == (turn + 6) % EVERY[name]
]


@pytest.mark.filterwarnings("ignore")  # what a fault makes a framework say
@pytest.mark.parametrize(("fault", "name"), ITEMS)
def test_is_caught_and_named(fault, name):
    support.backend(name, "float32")  # skips where the framework is missing
    found = score(fault, name)
    forget(name)
    assert found.caught, fault.what
    where = found.first.first.place if found.first.first else found.first.message
    assert found.named, f"{found.first.case}: {where}"
