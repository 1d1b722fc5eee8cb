"""The bookkeeping that every training loop shares.

Which epoch, which rows, which key, which rate; what is remembered, when to
stop, when to save. The tensors are the implementation's: see training.py
for the rules, impls/*/training.py for the loops.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, SupportsFloat, TypeVar

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec.reports import EpochReport, Saving, StepReport
from tetrapla.spec.state import Arrays, TrainingRun, TrainingState, advanced, copies
from tetrapla.spec.stored import NUMBERS
from tetrapla.spec.stretch import Pace, Position, Snapshots, Stretch, Together
from tetrapla.spec.training import EarlyStopping, Training

T = TypeVar("T")

ORDERS = 2**15  # samples: the orders of epochs that are made at once
ENDS = 16  # of epochs, in a stretch, that are looked at


@dataclass
class Loop:
    """The bookkeeping of one run.

    The implementation sets `weights` and `optimizer`, which return the
    current weights and the optimizer's state as NumPy arrays; `tensor`,
    which makes rows and keys its own; and where it has changed anything
    around the loop `outside`, a scope in which the user's callbacks run, and
    `inside`, one in which steps are done again for them. `evaluate` returns
    what the history's row has beside the loss at an epoch's end, the next
    one's and those that follow it in the stretch; for it the implementation
    may set `measure`, which returns the current model's outputs for x and,
    with y, their mean loss, dropout off. Without `dropout` layers no keys are
    made: a batch's key is None.

    The loop of training.py asks for `epochs`, `order` and `batches`, and
    says `end_step`; that of fast.py is `train`, which is given what does many
    steps together.
    """

    training: Training
    state: TrainingState
    dropout: bool = False
    evaluate: Callable[["Loop"], list[dict[str, float]]] | None = None
    on_step: Callable[[StepReport], None] | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    saving: Saving | None = None
    outside: Callable[[], AbstractContextManager[object]] = nullcontext
    inside: Callable[[], AbstractContextManager[object]] = nullcontext
    tensor: Callable[[NDArray[Any]], Any] = np.asarray
    plain: bool = False  # the loop as it is read, where there is a fast one
    measure: Callable[..., tuple[Any, Any]] | None = field(default=None, init=False)
    weights: Callable[[], Arrays] = field(init=False)
    optimizer: Callable[[], Arrays] = field(init=False)
    stopped: bool = field(default=False, init=False)
    snapshots: Snapshots | None = field(default=None, init=False)  # of the stretch
    seen: list[tuple[SupportsFloat, int]] = field(default_factory=list, init=False)
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False)
    _pace: Pace = field(default_factory=Pace, init=False)
    _ahead: int = field(default=0, init=False)  # steps of the stretch still to count
    _reached: int = field(default=0, init=False)  # the epoch that it ends in
    _asked: bool = field(default=False, init=False)  # for the state in a stretch
    _position: Position | None = field(default=None, init=False)
    # which of the stretch's ends of epochs the run is counted to, and which had
    # the best weights, not read yet; what was evaluated at those still to come
    _end: int | None = field(default=None, init=False)
    _best: int | None = field(default=None, init=False)
    _rows: list[dict[str, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        # a row is added to it after each epoch: it must be the run's own
        history = {name: list(values) for name, values in self.state.history.items()}
        self.state = advanced(self.state, history=history)

    def epochs(self) -> Iterator[int]:
        """Yield the epochs to do, until the last or until there is no need."""
        while self.state.epoch < self.training.epochs and not self.finished:
            yield self.state.epoch
            if not self._over:
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

    @property
    def _over(self) -> bool:
        """Whether the run was stopped, or ended with an epoch inside a stretch."""
        return self.stopped or (self.state.order is None and self.finished)

    def room(self, numbers: int) -> int:
        """Return how many ends of epochs may be in a stretch that are looked at.

        Of each there will be a snapshot, of `numbers` numbers; where nobody
        looks, or they are too many, it is 1.
        """
        return max(1, min(ENDS, NUMBERS // numbers)) if self._watched else 1

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order in which the epoch sees n samples."""
        if self.state.order is None:  # or the run goes on inside the epoch
            self.state = advanced(self.state, order=self._order(epoch, n))
        assert self.state.order is not None
        return self.state.order

    def _order(self, epoch: int, n: int) -> NDArray[np.int64]:
        if epoch == self.state.epoch and self.state.order is not None:
            return self.state.order
        if epoch not in self._orders:  # of many short epochs at once
            count = max(1, min(ORDERS // n, self.training.epochs - epoch))
            orders = self.training.orders(epoch, count, n)
            kept = {e: o for e, o in self._orders.items() if e > self.state.epoch}
            self._orders = kept | dict(enumerate(orders, epoch))
        return self._orders[epoch]

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

    def train(self, together: Together, n: int, most: int) -> None:
        """Do the run, of n samples an epoch, in stretches of steps.

        A stretch has at most `most` samples, or one batch, and goes over the
        ends of epochs where nobody looks at the model.
        """
        for _ in self.epochs():
            self.order(self.state.epoch, n)
            while self.state.position < n and not self._over:
                self._align()
                self._read_best()
                stretch = self._stretch(n, most, together.room)
                self._ahead = len(stretch)
                reports = self.on_step is not None or self.on_epoch is not None
                start = together.keep() if reports else None
                self._position = Position(together, stretch, start, len(stretch))
                self._pace.start()
                losses = together.run(stretch, 0, len(stretch))
                self.snapshots = together.snapshots
                self._rows.clear()
                self._end_stretch(losses)

    def _stretch(self, n: int, most: int, room: int) -> Stretch:
        """Return the next steps, as many as may be done without looking up."""
        state, size = self.state, self.training.size(n)
        steps = min(max(1, most // size), self._pace.steps)
        if self.saving is not None and self.saving.every is not None:
            steps = min(steps, self.saving.every - state.step % self.saving.every)
        rows: list[NDArray[np.int64]] = []
        sizes: list[int] = []
        ends: list[int] = []
        last = self.training.epochs - 1
        epoch, position = state.epoch, state.position
        while len(sizes) < steps:
            if position == n:
                if epoch == last or (self._watched and len(ends) == room):
                    break
                epoch, position = epoch + 1, 0
            end = min(n, position + (steps - len(sizes)) * size)
            rows.append(self._order(epoch, n)[position:end])
            sizes += [min(size, end - i) for i in range(position, end, size)]
            position = end
            if position == n:
                ends.append(len(sizes))
        self._reached, count = epoch, len(sizes)
        keys = self.training.dropout_keys(state.step, count) if self.dropout else None
        rates = self.training.rates(state.step, count)
        looked_at = tuple(ends) if self._watched else ()
        return Stretch(np.concatenate(rows), tuple(sizes), keys, rates, looked_at)

    @property
    def _watched(self) -> bool:
        """Whether the model is looked at after each epoch, or the run may end there."""
        settings = (self.training.convergence_threshold, self.training.early_stopping)
        lookers = (self.evaluate, self.saving, *settings)
        return self._asked or any(each is not None for each in lookers)

    def end_step(self, loss: SupportsFloat, size: int) -> None:
        """Count a step; `loss` may be any scalar that float() accepts.

        It is kept as it is until it is needed, so that a framework that
        computes ahead need not wait for every step.
        """
        before = self.state
        self._count([loss], [size])
        interrupted, saved = self._look_up()
        if self.on_step is not None:
            report = StepReport(
                before.epoch, before.step, float(loss), self.snapshot, self.stop
            )
            self._wait()
            with self.outside():
                self.on_step(report)
        if self.stopped and not saved:
            self._save()
        if interrupted:
            raise KeyboardInterrupt
        if self._ahead > 0 and not self.stopped:
            self._next_epoch()  # where this one is at its end

    def _end_stretch(self, losses: Any) -> None:
        """Count the steps of a stretch that were done together.

        `losses` are an array. Who asks for the state after one of the steps
        gets it: those up to it are done again from the stretch's start.
        """
        assert self._position is not None
        sizes = self._position.stretch.sizes
        assert self.state.order is not None
        n = len(self.state.order)
        if self._reached + 1 < self.training.epochs:  # while a device is at work
            self._order(self._reached + 1, n)
        values = np.asarray(losses)[: len(sizes)].tolist()
        self._pace.end(len(sizes))
        if self.on_step is not None:
            for value, size in zip(values, sizes, strict=True):
                self.end_step(value, size)
                if self._over:
                    return
            return
        while self._ahead > 0:
            done = len(sizes) - self._ahead
            if done > 0:
                self._next_epoch()
            if self._over:
                return
            end = done + math.ceil((n - self.state.position) / self.training.size(n))
            self._count(values[done:end], sizes[done:end])
        interrupted, _ = self._look_up()
        if interrupted:
            raise KeyboardInterrupt

    def _count(self, losses: Sequence[SupportsFloat], sizes: Sequence[int]) -> None:
        """Count steps of one epoch."""
        self._end = None
        self.seen += zip(losses, sizes, strict=True)
        self._ahead -= len(sizes)
        self.state = advanced(
            self.state,
            step=self.state.step + len(sizes),
            position=self.state.position + sum(sizes),
        )

    def _look_up(self) -> tuple[bool, bool]:
        """Return whether the user wants to stop, and whether the state was saved."""
        interrupted = self.saving is not None and self.saving.interrupted()
        saved = self.saving is not None and (interrupted or self._due(self.saving))
        if saved:
            self._save()
        return interrupted, saved

    def _next_epoch(self) -> None:
        """Within a stretch: begin the next epoch where this one is at its end."""
        assert self.state.order is not None
        n = len(self.state.order)
        if self.state.position == n:
            self._end_epoch()
            if not self._over:
                self.order(self.state.epoch, n)

    def _align(self) -> None:
        """Take the model to the last step that was counted."""
        if self._position is not None:
            counted = len(self._position.stretch) - self._ahead
            # who asks once will again: stretches end where epochs do
            self._asked = self._asked or counted != self._position.step
            with self.inside():
                self._position.move(counted)

    def _read(self, read: Callable[[], T]) -> T:
        """Return what `read` reads of the model after the last step counted."""
        if self.snapshots is not None and self._end is not None:
            with self.snapshots.shown(self._end):
                return read()
        self._align()
        return read()

    def _read_best(self) -> None:
        """Read the best weights, if that was put off."""
        if self._best is not None:
            assert self.snapshots is not None
            with self.snapshots.shown(self._best):
                self.state = advanced(self.state, best=self.weights())
            self._best = None

    def stop(self) -> None:
        """End the run after this step; its state can be resumed."""
        self.stopped = True

    def snapshot(self) -> TrainingState:
        """Return the state as it is now, sharing no memory with the run."""
        self._read_best()
        self._add_up()
        state = self.state
        weights, optimizer = self._read(lambda: (self.weights(), self.optimizer()))
        return advanced(
            state,
            weights=weights,
            optimizer=optimizer,
            history={name: list(values) for name, values in state.history.items()},
            best=None if state.best is None else copies(state.best),
            order=None if state.order is None else state.order.copy(),
        )

    def result(self) -> TrainingRun:
        """Return the run as it is now: it is over."""
        state = self.snapshot()
        # reports may outlive the run, and what it ran on may serve another
        self.weights = lambda: copies(state.weights)
        self.optimizer = lambda: copies(state.optimizer)
        self._position = self.snapshots = None
        history = {name: list(values) for name, values in state.history.items()}
        stopping = self.training.early_stopping is not None
        best = state.best if stopping else None
        weights = state.weights if best is None else best
        return TrainingRun(history, copies(weights), state)

    def _save(self) -> None:
        if self.saving is not None:
            self.saving.save(self.snapshot())

    @property
    def _overtaken(self) -> bool:
        """Whether the epochs done with this one leave its checkpoint no place."""
        stopping = (self.training.convergence_threshold, self.training.early_stopping)
        callbacks = (self.on_step, self.on_epoch)  # who may look at it, or stop
        if self._end is None or any(each is not None for each in (*stopping, *callbacks)):
            return False
        assert self._position is not None
        later = len(self._position.stretch.ends) - 1 - self._end
        keep = None if self.saving is None else self.saving.keep
        return keep is not None and later >= keep

    def _wait(self) -> None:
        if self.saving is not None:
            self.saving.wait()

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
        if self.snapshots is not None:
            assert self._position is not None
            stretch = self._position.stretch
            self._end = stretch.ends.index(len(stretch) - self._ahead)
        elif self._ahead <= 0:
            self._align()
        row = {"loss": self.state.loss_sum / self.state.position}
        if self.evaluate is not None:
            if not self._rows:
                self._rows = self.evaluate(self)
            row |= self._rows.pop(0)
        for name, values in self.state.history.items():
            values.append(row[name])
        self.state = advanced(
            self.state,
            epoch=self.state.epoch + 1,
            order=None,
            position=0,
            loss_sum=0.0,
        )
        if self.training.early_stopping is not None:
            self._watch(row.get("val_loss", row["loss"]), self.training.early_stopping)
        if not self._overtaken:
            self._save()
        if self.on_epoch is not None:
            report = EpochReport(
                self.state.epoch - 1,
                row,
                lambda: self._read(lambda: self.weights()),
                self.snapshot,
                self.stop,
            )
            self._wait()
            with self.outside():
                self.on_epoch(report)

    def _watch(self, loss: float, stopping: EarlyStopping) -> None:
        if loss < self.state.best_loss - stopping.min_delta:
            self.state = advanced(self.state, best_loss=loss, waited=0)
            self._best = self._end
            if self._end is None:
                self.state = advanced(self.state, best=self.weights())
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
