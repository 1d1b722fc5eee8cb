"""The faults fit the implementations: every patch applies and is Python."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from power.plant import IMPLEMENTATIONS, KINDS, Fault, PatchError, faults, patched, plant

from tetrapla.spec import ACTIVATIONS, OPTIMIZERS

ROWS = {
    "activation": set(ACTIVATIONS),
    "loss": {"mse", "bce on logits", "bce on probabilities", "softmax cross-entropy"},
    "layer": {"dense", "dropout"},
    "optimizer": set(OPTIMIZERS),
    "network": {"*"},
    "training": {"*"},
}

every_fault = pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)


def test_there_are_enough_kinds():
    assert len(faults()) >= 60
    assert {fault.kind for fault in faults()} == set(KINDS)


@pytest.mark.parametrize("field", ["name", "what"])
def test_none_is_there_twice(field):
    times = Counter(getattr(fault, field) for fault in faults())
    assert [text for text, n in times.items() if n > 1] == []


@every_fault
def test_a_fault_says_what_it_is_and_where_it_shows(fault):
    assert 0 < len(fault.what) <= 79
    assert "\n" not in fault.what
    assert all(fault.stage)
    for component in fault.component:
        group, _, row = component.partition("/")
        assert row in ROWS[group]


@every_fault
def test_a_fault_has_a_patch_that_fits_in_every_implementation(fault):
    # the fast loops of numpy and torch alone have their gradients written out
    by_hand = all(c.file == "fast.py" for patch in fault.patches.values() for c in patch)
    assert set(fault.patches) in [{*IMPLEMENTATIONS}] + by_hand * [
        {"numpy", "torch"},
        {"jax", "tf"},
    ]
    for name in fault.patches:
        for file, text in patched(fault, name).items():
            compile(text, f"impls/{name}/{file}", "exec")


def test_no_patch_has_a_name_that_is_not_there(tmp_path):
    """It would be caught for that, whatever the fault does."""
    for fault in faults():
        for name in fault.patches:
            for file, text in patched(fault, name).items():
                (tmp_path / f"{name}-{fault.name}-{file}").write_text(text, "utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    found = subprocess.run(
        [*ruff, "--output-format", "concise", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("fault", [f for f in faults() if "numpy" in f.patches], ids=str)
def test_a_planted_numpy_backend_can_be_imported(fault):
    backend = plant(fault, "numpy", "float32")
    assert (backend.name, backend.dtype) == ("numpy", "float32")
    assert type(backend.implementation).__module__.startswith("tetrapla_planted_numpy_")


def changed(old: str, new: str) -> Fault:
    sound = faults()[0]
    (change, *_) = sound.patches["numpy"]
    patches = {"numpy": (replace(change, file="activations.py", old=old, new=new),)}
    return replace(sound, name="changed", patches=patches)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("no such text", "", "occurs 0 times"),
        ("return", "return 1", "occurs \\d+ times"),
        ("return np.tanh(z)", "return np.tanh(", "is no Python"),
        ("return np.tanh(z)", "return np.tanh(z)  # the same", "means the same"),
    ],
)
def test_a_patch_that_does_not_fit_is_an_error(old, new, message):
    with pytest.raises(PatchError, match=message):
        patched(changed(old, new), "numpy")
