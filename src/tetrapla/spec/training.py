"""Training: the settings, and the bookkeeping that every loop shares.

The loop is written out in each implementation (impls/*/training.py):
shuffle, batches, forward, loss, gradient, update. What must be the same in
all of them and is not arithmetic on tensors is defined here, once:

* the order of epoch e (counted from 0) is permutation(fold_in(fold_in(
  key(seed), SHUFFLE), e), n), or 0 ... n - 1 without shuffling;
* batches are consecutive slices of the order; the last may be smaller;
* the dropout key of step s (counted from 0 over the whole run) is
  fold_in(fold_in(key(seed), DROPOUT), s);
* the loss of an epoch in the history is the mean over its samples of the
  loss as each was seen, before the update that followed: batch losses
  weighted by their size, so that a partial last batch counts for what it
  holds, added in float64;
* the run has converged when that loss moved by less than
  `convergence_threshold` from one epoch to the next;
* early stopping watches the validation loss, or the training loss where
  there is no validation data.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import checks, losses, optimizers, threefry
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.losses import Loss
from tetrapla.spec.optimizers import Optimizer

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs without a gain of more than `min_delta`.

    An epoch gains if its watched loss is below best - min_delta; the
    weights of the best epoch are what the run returns.

    Source: Prechelt, Early stopping - but when? (1998); Deep Learning
    (2016), algorithm 7.1.
    """

    patience: int = 1
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", checks.integer("patience", self.patience, 1))
        delta = checks.non_negative("min_delta", self.min_delta)
        object.__setattr__(self, "min_delta", delta)


@dataclass(frozen=True, init=False)
class Training:
    """The settings of a run: hashable, no arrays inside.

    `batch_size` is a number of samples from 1 (stochastic) up, or "all"
    (full batch).

    >>> Training(epochs=10, loss="mse").optimizer
    SGD(lr=0.01, ...)
    """

    epochs: int
    batch_size: int | str
    optimizer: Optimizer
    loss: Loss
    seed: int
    shuffle: bool
    convergence_threshold: float | None
    early_stopping: EarlyStopping | None

    def __init__(
        self,
        epochs: int,
        batch_size: int | str = 32,
        optimizer: Optimizer | str = "sgd",
        loss: Loss | str = "mean_squared_error",
        *,
        seed: int = 0,
        shuffle: bool = True,
        convergence_threshold: float | None = None,
        early_stopping: EarlyStopping | None = None,
    ) -> None:
        settle = object.__setattr__
        settle(self, "epochs", checks.integer("epochs", epochs, 1))
        if not (isinstance(batch_size, str) and batch_size == "all"):
            if isinstance(batch_size, str):
                raise InvalidInputError(
                    f"batch_size must be an integer >= 1 or 'all', got {batch_size!r}"
                )
            batch_size = checks.integer("batch_size", batch_size, 1)
        settle(self, "batch_size", batch_size)
        settle(self, "optimizer", optimizers.optimizer(optimizer))
        settle(self, "loss", losses.loss(loss))
        if self.loss.reduction == "none":
            raise InvalidInputError(
                "training needs one number to go down: the loss's reduction must be "
                "'mean' or 'sum', got 'none'"
            )
        settle(self, "seed", checks.integer("seed", seed, 0, 2**32))
        settle(self, "shuffle", checks.flag("shuffle", shuffle))
        if convergence_threshold is not None:
            convergence_threshold = checks.positive(
                "convergence_threshold", convergence_threshold
            )
        settle(self, "convergence_threshold", convergence_threshold)
        if not isinstance(early_stopping, EarlyStopping | None):
            raise InvalidInputError(
                f"early_stopping must be an EarlyStopping or None, got {early_stopping!r}"
            )
        settle(self, "early_stopping", early_stopping)

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order in which epoch `epoch` sees n samples."""
        if not self.shuffle:
            return np.arange(n, dtype=np.int64)
        stream = threefry.fold_in(threefry.key(self.seed), threefry.SHUFFLE)
        return threefry.permutation(threefry.fold_in(stream, epoch), n)

    def batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the rows of each batch, slices of the order."""
        n = len(order)
        size = n if self.batch_size == "all" else int(self.batch_size)
        return [order[i : i + size] for i in range(0, n, size)]

    def dropout_key(self, step: int) -> threefry.Key:
        """Return the key of the dropout masks of a step."""
        stream = threefry.fold_in(threefry.key(self.seed), threefry.DROPOUT)
        return threefry.fold_in(stream, step)


@dataclass(frozen=True)
class TrainingState:
    """All that resuming needs, taken between two epochs.

    `epoch` and `step` count what is done; `weights` are the last ones,
    `optimizer` is the optimizer's state, `history` the epochs so far; `best`
    are the weights of the best epoch, and `best_loss` and `waited` what
    early stopping knows; `loss` is what the history is of.
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

    def __post_init__(self) -> None:
        for name in ("epoch", "step", "waited"):
            checks.integer(name, getattr(self, name), 0, 2**32)
        if self.best_loss != math.inf:
            checks.real("best_loss", self.best_loss)
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


@dataclass(frozen=True)
class TrainingRun:
    """What `fit` returns.

    `history` has one value per epoch under "loss" (and "val_loss"),
    `weights` are the last ones, or with early stopping those of the best
    epoch, and `state` is all that resuming needs.
    """

    history: dict[str, list[float]]
    weights: Arrays
    state: TrainingState


@dataclass(frozen=True)
class StepReport:
    """What `on_step` is given: the step just done, and its batch's loss."""

    epoch: int
    step: int
    loss: float


@dataclass(frozen=True)
class EpochReport:
    """What `on_epoch` is given: the epoch just done, and its history row.

    `weights()` is a copy of the weights as they are now.
    """

    epoch: int
    history: dict[str, float]
    weights: Callable[[], Arrays]


def copies(arrays: Arrays) -> Arrays:
    """Return the arrays, sharing no memory with those given."""
    return {name: array.copy() for name, array in arrays.items()}


@dataclass
class Loop:
    """The bookkeeping of one run; the tensors are the implementation's.

    The implementation sets `weights`, which returns the current weights as
    NumPy arrays; `tensor`, which makes rows and keys its own; and `outside`,
    a scope in which the user's callbacks run, where the implementation has
    changed anything around the loop. `validate`
    returns the mean loss of given weights on the validation data. Without
    `dropout` layers no keys are made: a batch's key is None.
    """

    training: Training
    state: TrainingState
    dropout: bool = False
    validate: Callable[[Arrays], SupportsFloat] | None = None
    on_step: Callable[[StepReport], None] | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    outside: Callable[[], AbstractContextManager[object]] = nullcontext
    tensor: Callable[[NDArray[Any]], Any] = np.asarray
    weights: Callable[[], Arrays] = field(init=False)
    seen: list[tuple[SupportsFloat, int]] = field(default_factory=list, init=False)

    def epochs(self) -> Iterator[int]:
        """Yield the epochs to do, until the last or until there is no need."""
        while self.state.epoch < self.training.epochs and not self.finished:
            yield self.state.epoch
            self._end_epoch()

    @property
    def finished(self) -> bool:
        """Whether the run has converged or early stopping has ended it."""
        losses, limit = self.state.history["loss"], self.training.convergence_threshold
        if limit is not None and len(losses) > 1 and abs(losses[-1] - losses[-2]) < limit:
            return True
        stopping = self.training.early_stopping
        return stopping is not None and self.state.waited >= stopping.patience

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order in which the epoch sees n samples."""
        return self.training.order(epoch, n)

    def batches(self, order: NDArray[np.int64]) -> Iterator[tuple[Any, Any]]:
        """Yield the rows and the dropout key of each batch, as tensors."""
        for rows in self.training.batches(order):
            key = None
            if self.dropout:
                key = self.tensor(self.training.dropout_key(self.state.step))
            yield self.tensor(rows), key

    def end_step(self, loss: SupportsFloat, size: int) -> None:
        """Count a step; `loss` may be any scalar that float() accepts.

        It is kept as it is until the epoch's end, so that a framework that
        computes ahead need not wait for every step.
        """
        self.seen.append((loss, size))
        if self.on_step is not None:
            report = StepReport(self.state.epoch, self.state.step, float(loss))
            with self.outside():
                self.on_step(report)
        self.state = replace(self.state, step=self.state.step + 1)

    def result(self, optimizer: Arrays) -> TrainingRun:
        """Return the run, with the optimizer's state as it is now."""
        history = {name: list(values) for name, values in self.state.history.items()}
        best = None if self.state.best is None else copies(self.state.best)
        state = replace(
            self.state,
            weights=self.weights(),
            optimizer=optimizer,
            history=history,
            best=best,
        )
        weights = copies(state.weights if best is None else best)
        return TrainingRun(copy.deepcopy(history), weights, state)

    def _end_epoch(self) -> None:
        total = sum(
            float(loss) * (size if self.training.loss.reduction == "mean" else 1)
            for loss, size in self.seen
        )
        row = {"loss": total / sum(size for _, size in self.seen)}
        self.seen.clear()
        if self.validate is not None:
            row["val_loss"] = float(self.validate(self.weights()))
        history = {k: [*v, row[k]] for k, v in self.state.history.items()}
        self.state = replace(self.state, epoch=self.state.epoch + 1, history=history)
        if self.training.early_stopping is not None:
            self._watch(row.get("val_loss", row["loss"]), self.training.early_stopping)
        if self.on_epoch is not None:
            report = EpochReport(self.state.epoch - 1, row, self.weights)
            with self.outside():
                self.on_epoch(report)

    def _watch(self, loss: float, stopping: EarlyStopping) -> None:
        if loss < self.state.best_loss - stopping.min_delta:
            self.state = replace(self.state, best=self.weights(), best_loss=loss, waited=0)
        else:
            self.state = replace(self.state, waited=self.state.waited + 1)
