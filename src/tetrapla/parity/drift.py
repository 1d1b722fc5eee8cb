"""How far whole trainings drift apart: a figure, never a verdict.

Bounds that are carried through training are void after a few steps: each
step multiplies what the one before left. So a run is judged step by step
(verification.lock_step), and what the steps add up to is only shown
(drift_figure.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tetrapla.backends import Backend
from tetrapla.data import MissingExtraError
from tetrapla.parity.cases import TrainingCase
from tetrapla.parity.suite_networks import trainings
from tetrapla.spec.contract import Arrays
from tetrapla.spec.reports import EpochReport

SHOWN = "training/digits-adam"
EPOCHS = 30


@dataclass(frozen=True)
class Curve:
    """||w_left - w_right|| / ||w_left|| over all weights, after each epoch."""

    dtype: str
    left: str
    right: str
    distances: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """How far each backend is from the first, from the same weights on.

    `failed` are runs that raised, and what.
    """

    case: str
    epochs: int
    steps: int  # of one epoch
    curves: tuple[Curve, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def drift(case: TrainingCase, backends: Sequence[Backend], epochs: int = EPOCHS) -> Drift:
    """Train in every backend, and compare each with the first of its dtype."""
    (x, _), _ = case.data
    curves: list[Curve] = []
    failed: dict[str, str] = {}
    for dtype in sorted({b.dtype for b in backends}):
        first: tuple[str, list[Arrays]] | None = None
        for backend in (b for b in backends if b.dtype == dtype):
            try:
                run = _weights(case, backend, epochs)
                if first is None:
                    first = (backend.name, run)
                    continue
                left, weights = first
                distances = tuple(map(distance, weights, run))
            except Exception as error:  # a backend may raise anything
                name = f"{backend.name} {dtype}"
                failed[name] = f"{type(error).__name__}: {error}"
            else:
                curves.append(Curve(dtype, left, backend.name, distances))
    steps = len(case.training.batches(np.arange(len(x))))
    return Drift(case.id, epochs, steps, tuple(curves), failed)


def shown(backends: Sequence[Backend]) -> Drift | None:
    """Return the drift that a report shows, or None where there is none.

    It takes two backends, and scikit-learn's data.
    """
    if len({b.name for b in backends}) < 2:
        return None
    case = next(c for c in trainings() if c.id == SHOWN)
    assert isinstance(case, TrainingCase)
    try:
        return drift(case, backends)
    except MissingExtraError:
        return None


def _weights(case: TrainingCase, backend: Backend, epochs: int) -> list[Arrays]:
    """Return the weights after each epoch; no run ends early."""
    training = replace(
        case.training, epochs=epochs, convergence_threshold=None, early_stopping=None
    )
    data, _ = case.data
    found: list[Arrays] = []

    def keep(report: EpochReport) -> None:
        found.append(report.weights())

    backend.fit(case.net, case.weights, data, training, on_epoch=keep)
    if len(found) != epochs:
        raise ValueError(f"on_epoch was called {len(found)} times in {epochs} epochs")
    return found


def distance(a: Arrays, b: Arrays) -> float:
    """Return ||a - b|| / ||a|| over all arrays, in float64.

    >>> distance({"w": np.array([3.0, 4.0])}, {"w": np.array([3.0, 4.5])})
    0.1
    """
    flat = [np.concatenate([w[n].ravel() for n in a]).astype(np.float64) for w in (a, b)]
    with np.errstate(all="ignore"):
        apart = np.linalg.norm(flat[0] - flat[1])
        return float(apart / np.linalg.norm(flat[0])) if apart else 0.0
