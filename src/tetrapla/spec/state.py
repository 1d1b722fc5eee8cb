"""The state of a run: all that it takes to go on, at any step."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import checks
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.losses import Loss

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TrainingState:
    """All that resuming needs, taken after any step of a run.

    `epoch` and `step` count what is done; `weights` are the last ones,
    `optimizer` is the optimizer's state, `history` the whole epochs so far;
    `best` are the weights of the best epoch, and `best_loss` and `waited`
    what early stopping knows; `loss` is what the history is of. What is
    random is a function of the seed and these counts.

    Inside an epoch, `order` is the order of its samples, `position` how
    many of them have been seen, and `loss_sum` the sum of their losses;
    between epochs they are None, 0 and 0.

    `data` are fingerprints of the data the run has seen, where they were
    taken (with checkpoints): "training", and "validation" where there is one.
    """

    epoch: int
    step: int
    weights: Arrays
    optimizer: Arrays
    history: dict[str, list[float]]
    best: Arrays | None = None
    best_loss: float = math.inf
    waited: int = 0
    loss: Loss | None = None
    order: NDArray[np.int64] | None = None
    position: int = 0
    loss_sum: float = 0.0
    data: dict[str, str] | None = None

    def __post_init__(self) -> None:
        for name in ("epoch", "step", "waited"):
            checks.integer(name, getattr(self, name), 0, 2**32)
        if math.isnan(self.best_loss):
            raise InvalidInputError("best_loss must be a number, got nan")
        if not isinstance(self.history, dict) or "loss" not in self.history:
            raise InvalidInputError(
                f"history must be a dictionary with 'loss', got {self.history!r}"
            )
        for name, values in self.history.items():
            if not isinstance(values, list) or len(values) != self.epoch:
                raise InvalidInputError(
                    f"history[{name!r}] must be a list with a number for each of "
                    f"{self.epoch} epochs, got {values!r}"
                )
            if not all(isinstance(value, float) for value in values):
                raise InvalidInputError(
                    f"history[{name!r}] must hold floats, got {values!r}"
                )
        if self.order is None:
            if self.position != 0 or self.loss_sum != 0:
                raise InvalidInputError(
                    "between epochs (order None) position and loss_sum must be 0, "
                    f"got {self.position!r} and {self.loss_sum!r}"
                )
            return
        n = len(self.order)
        checks.integer("position", self.position, 0, n + 1)
        if not np.array_equal(np.sort(self.order), np.arange(n)):
            raise InvalidInputError(
                f"order must be the numbers 0 ... {n - 1}, each once, got {self.order!r}"
            )


def advanced(state: TrainingState, **changes: Any) -> TrainingState:
    """Return the state with these changes, unchecked.

    For the loop, which knows what it changes: checking an order and a history
    in every step would cost more, the more data and epochs there are.
    """
    new = object.__new__(TrainingState)
    new.__dict__.update(state.__dict__, **changes)
    return new


@dataclass(frozen=True)
class TrainingRun:
    """What `fit` returns.

    `history` has one value per epoch under "loss" (and "val_loss" and the
    metrics), `weights` are the last ones, or with early stopping those of
    the best epoch, and `state` is all that resuming needs.
    """

    history: dict[str, list[float]]
    weights: Arrays
    state: TrainingState


@dataclass(frozen=True)
class RateSweep:
    """What `fit_rates` returns: learning rates, and the run of each."""

    rates: tuple[float, ...]
    runs: tuple[TrainingRun, ...]

    @property
    def losses(self) -> tuple[float, ...]:
        """The last loss of each run, on the validation data if there is any."""
        rows = [run.history for run in self.runs]
        return tuple(row.get("val_loss", row["loss"])[-1] for row in rows)

    @property
    def best(self) -> float:
        """The rate whose last loss is the smallest; NaN is never that.

        >>> RateSweep((), ()).best
        nan
        """
        there = [
            (x, rate) for x, rate in zip(self.losses, self.rates, strict=True) if x == x
        ]
        return min(there)[1] if there else math.nan


def copies(arrays: Arrays) -> Arrays:
    """Return the arrays, sharing no memory with those given."""
    return {name: array.copy() for name, array in arrays.items()}
