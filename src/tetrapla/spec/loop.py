"""The bookkeeping that every training loop shares.

Which epoch, which rows, which key, which rate; what is remembered, when to
stop, when to save. The tensors are the implementation's: see training.py
for the rules, impls/*/training.py for the loops.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec.state import Arrays, TrainingRun, TrainingState, advanced, copies
from tetrapla.spec.training import EarlyStopping, Training


@dataclass(frozen=True)
class StepReport:
    """What `on_step` is given: the step just done, and its batch's loss.

    `state()` is a copy of all that resuming needs, as it is when it is asked
    for; `stop()` ends the run after this step, to be resumed in the middle of
    its epoch.
    """

    epoch: int
    step: int
    loss: float
    state: Callable[[], TrainingState] = field(repr=False, compare=False)
    stop: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class EpochReport:
    """What `on_epoch` is given: the epoch just done, and its history row.

    `weights()` is a copy of the weights as they are now, `state()` of all
    that resuming needs; `stop()` ends the run here.
    """

    epoch: int
    history: dict[str, float]
    weights: Callable[[], Arrays]
    state: Callable[[], TrainingState] = field(repr=False, compare=False)
    stop: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Saving:
    """Where and when a run saves its state.

    `save` is called at the end of every epoch, after every `every` steps
    where that is a number, when a callback stops the run, and when
    `interrupted()` says that the user wants to stop; then KeyboardInterrupt
    ends the run, after a whole step.
    """

    save: Callable[[TrainingState], None]
    every: int | None = None
    interrupted: Callable[[], bool] = lambda: False


@dataclass
class Loop:
    """The bookkeeping of one run.

    The implementation sets `weights` and `optimizer`, which return the
    current weights and the optimizer's state as NumPy arrays; `tensor`,
    which makes rows and keys its own; and `outside`, a scope in which the
    user's callbacks run, where the implementation has changed anything
    around the loop. `evaluate` returns the numbers of the history's row that
    given weights have at an epoch's end. Without `dropout` layers no keys are
    made: a batch's key is None.
    """

    training: Training
    state: TrainingState
    dropout: bool = False
    evaluate: Callable[[Arrays], dict[str, float]] | None = None
    on_step: Callable[[StepReport], None] | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    saving: Saving | None = None
    outside: Callable[[], AbstractContextManager[object]] = nullcontext
    tensor: Callable[[NDArray[Any]], Any] = np.asarray
    weights: Callable[[], Arrays] = field(init=False)
    optimizer: Callable[[], Arrays] = field(init=False)
    stopped: bool = field(default=False, init=False)
    seen: list[tuple[SupportsFloat, int]] = field(default_factory=list, init=False)

    def epochs(self) -> Iterator[int]:
        """Yield the epochs to do, until the last or until there is no need."""
        while self.state.epoch < self.training.epochs and not self.finished:
            yield self.state.epoch
            if not self.stopped:
                self._end_epoch()
            if self.stopped:
                return

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
        if self.state.order is None:  # or the run goes on inside the epoch
            self.state = advanced(self.state, order=self.training.order(epoch, n))
        assert self.state.order is not None
        return self.state.order

    def batches(self, order: NDArray[np.int64]) -> Iterator[tuple[Any, Any, float]]:
        """Yield each batch's rows and dropout key, as tensors, and learning rate.

        They are those of the epoch that have not been seen yet.
        """
        for rows in self.training.batches(order[self.state.position :]):
            step, key = self.state.step, None
            if self.dropout:
                key = self.tensor(self.training.dropout_key(step))
            yield self.tensor(rows), key, self.training.rate(step)
            if self.stopped:
                return

    def end_step(self, loss: SupportsFloat, size: int) -> None:
        """Count a step; `loss` may be any scalar that float() accepts.

        It is kept as it is until it is needed, so that a framework that
        computes ahead need not wait for every step.
        """
        self.seen.append((loss, size))
        before = self.state
        self.state = advanced(before, step=before.step + 1, position=before.position + size)
        interrupted = self.saving is not None and self.saving.interrupted()
        saved = self.saving is not None and (interrupted or self._due(self.saving))
        if saved:
            self._save()
        if self.on_step is not None:
            report = StepReport(
                before.epoch, before.step, float(loss), self.snapshot, self.stop
            )
            with self.outside():
                self.on_step(report)
        if self.stopped and not saved:
            self._save()
        if interrupted:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """End the run after this step; its state can be resumed."""
        self.stopped = True

    def snapshot(self) -> TrainingState:
        """Return the state as it is now, sharing no memory with the run."""
        self._add_up()
        state = self.state
        return advanced(
            state,
            weights=self.weights(),
            optimizer=self.optimizer(),
            history={name: list(values) for name, values in state.history.items()},
            best=None if state.best is None else copies(state.best),
            order=None if state.order is None else state.order.copy(),
        )

    def result(self) -> TrainingRun:
        """Return the run as it is now."""
        state = self.snapshot()
        history = {name: list(values) for name, values in state.history.items()}
        stopping = self.training.early_stopping is not None
        best = state.best if stopping else None
        weights = state.weights if best is None else best
        return TrainingRun(history, copies(weights), state)

    def _save(self) -> None:
        if self.saving is not None:
            self.saving.save(self.snapshot())

    def _due(self, saving: Saving) -> bool:
        return saving.every is not None and self.state.step % saving.every == 0

    def _add_up(self) -> None:
        # One by one: a run that was saved in between adds in the same order.
        total = self.state.loss_sum
        for loss, size in self.seen:
            mean = self.training.loss.reduction == "mean"
            total += float(loss) * (size if mean else 1)
        self.seen.clear()
        self.state = advanced(self.state, loss_sum=total)

    def _end_epoch(self) -> None:
        self._add_up()
        row = {"loss": self.state.loss_sum / self.state.position}
        if self.evaluate is not None:
            row |= self.evaluate(self.weights())
        self.state = advanced(
            self.state,
            epoch=self.state.epoch + 1,
            history={k: [*v, row[k]] for k, v in self.state.history.items()},
            order=None,
            position=0,
            loss_sum=0.0,
        )
        if self.training.early_stopping is not None:
            self._watch(row.get("val_loss", row["loss"]), self.training.early_stopping)
        self._save()
        if self.on_epoch is not None:
            report = EpochReport(
                self.state.epoch - 1, row, self.weights, self.snapshot, self.stop
            )
            with self.outside():
                self.on_epoch(report)

    def _watch(self, loss: float, stopping: EarlyStopping) -> None:
        if loss < self.state.best_loss - stopping.min_delta:
            self.state = advanced(self.state, best=self.weights(), best_loss=loss, waited=0)
        else:
            self.state = advanced(self.state, waited=self.state.waited + 1)


@dataclass
class Loops:
    """Loops that differ in the learning rate alone, step by step together.

    The implementation sets each loop's own attributes. Losses and rates have
    a leading axis, one entry per loop.
    """

    each: list[Loop]

    @property
    def training(self) -> Training:
        """The settings that all share; the rate is the first one's."""
        return self.each[0].training

    def epochs(self) -> Iterator[int]:
        """Yield the epochs to do."""
        for epoch, *_ in zip(*(loop.epochs() for loop in self.each), strict=True):
            yield epoch

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order in which the epoch sees n samples."""
        first, *others = self.each
        order = first.order(epoch, n)
        for loop in others:
            loop.state = advanced(loop.state, order=order)
        return order

    def batches(self, order: NDArray[np.int64]) -> Iterator[tuple[Any, Any, Any]]:
        """Yield each batch's rows, dropout key and learning rates, as tensors."""
        dtype = next(iter(self.each[0].state.weights.values())).dtype
        for rows, key, _ in self.each[0].batches(order):
            rates = [loop.training.rate(loop.state.step) for loop in self.each]
            yield rows, key, self.each[0].tensor(np.array(rates, dtype))

    def end_step(self, losses: Any, size: int) -> None:
        """Count a step of all."""
        for loop, loss in zip(self.each, np.asarray(losses), strict=True):
            loop.end_step(loss, size)
