"""What the tests share: the backends' names, and one way to load them."""

import contextlib
import io
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from tetrapla import data
from tetrapla.backends import Backend, labelled
from tetrapla.parity import suite
from tetrapla.parity.cases import Case
from tetrapla.spec import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    BackendUnavailableError,
    Dense,
    Dropout,
    RMSProp,
    Sequential,
    StepReport,
    Training,
    TrainingRun,
)

BACKENDS = ("numpy", "torch", "tf", "jax")  # from scratch
LIBRARIES = ("torch.nn", "tf.keras", "jax.flax")
ALL = (*BACKENDS, *LIBRARIES)
RULES = {  # each, with what it has beside its defaults
    "sgd": SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adagrad": Adagrad(0.1),
    "adadelta": Adadelta(1.0),
    "rmsprop": RMSProp(1e-3, centered=True, momentum=0.5),
    "adam": Adam(1e-2),
    "adam-keras": Adam.keras(1e-2, amsgrad=True),
    "adamw": AdamW(1e-2),
}


@cache
def _load(name: str, dtype: str) -> Backend | str:
    try:
        return labelled(name, dtype)
    except BackendUnavailableError as error:
        return str(error)


def backend(name: str, dtype: str = "float32") -> Backend:
    """Return a backend on the CPU, the same object for every test.

    A missing framework skips the test and says why; in CI, where every
    framework is meant to be installed, it fails.
    """
    loaded = _load(name, dtype)
    if isinstance(loaded, str):
        missing(loaded)
    return loaded


def on_gpu(name: str, dtype: str = "float32") -> Backend:
    """Return a backend on a GPU; without one, or its framework, skip and say why."""
    loaded = _load(f"{name}@gpu", dtype)
    if isinstance(loaded, str):
        pytest.skip(loaded)
    return loaded


def cases(*beginnings: str) -> dict[str, Case]:
    """Return by name the first case of the suite that begins so, for each."""
    every = suite.cases()
    found = (next(c for c in every if c.id.startswith(b)) for b in beginnings)
    return {case.id: case for case in found}


def however(
    b: Backend, folder: Path
) -> tuple[TrainingRun, dict[str, TrainingRun], list[float]]:
    """Return a run; the same one looked at, of data in a file, and resumed; and the
    losses that were looked at, of 4 epochs of 7 steps."""
    net = Sequential(Dense(20, 32, "relu"), Dropout(0.3), Dense(32, 3))
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((100, 20)), rng.integers(0, 3, 100)
    rule = Adam() if b.supports("adam").status != "no" else Adam.keras()
    settings = Training(4, 16, rule, "softmax_cross_entropy")
    weights, seen, states = net.init(seed=0), [], []
    run = b.fit(net, weights, (x, y), settings)

    def look(report: StepReport) -> None:
        seen.append(report.loss)
        if report.step == 9:
            states.append(report.state())

    looked = b.fit(net, weights, (x, y), settings, on_step=look)
    np.save(folder / "x.npy", x)
    in_file = np.load(folder / "x.npy", mmap_mode="r")
    stored = b.fit(net, weights, (in_file, y), settings)
    resumed = b.fit(net, weights, (x, y), settings, resume=states[0])
    return run, {"looked": looked, "stored": stored, "resumed": resumed}, seen


def blocks(path: str, language: str) -> list[str]:
    """Return the blocks of code in a text of the repository."""
    text = (Path(__file__).parent.parent / path).read_text(encoding="utf-8")
    return blocks_of(text, language)


def blocks_of(text: str, language: str) -> list[str]:
    """Return the blocks of code in a text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def printed(code: str, page: str, names: dict[str, Any], raises: bool = False) -> str:
    """Run a page's block of code among these names; return what it prints.

    With `raises`, what it raises is its last line, as in a terminal.
    """
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            exec(compile(code, page, "exec"), names)
        except Exception as error:
            if not raises:
                raise
            print(f"{type(error).__name__}: {error}")
    return out.getvalue()


def dataset(name: str) -> data.Dataset:
    """Return a data set; skips or fails as `backend` does."""
    try:
        return data.DATASETS[name]()
    except data.MissingExtraError as error:
        missing(str(error))


def listening(*args: object) -> "subprocess.Popen[str]":
    """Start the command in a process that hears SIGINT.

    A shell without job control starts what is in its background deaf to it,
    and a test may be there: the handler is set by hand.
    """
    code = f"""
import signal
from tetrapla.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main({[str(a) for a in args]!r})
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def missing(reason: str) -> NoReturn:
    """Skip for want of a package; in CI fail."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
