"""Many training steps at once: what fast.py is given, and gives back.

A stretch is some consecutive steps of a run with all that they need: the
rows of their batches, dropout keys and learning rates, made in bulk. A loop
in Python goes through its batches; a compiled one does them together.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec.losses import Loss
from tetrapla.spec.precisions import weights_dtype
from tetrapla.spec.stored import NUMBERS, Stored


@dataclass(frozen=True, eq=False)
class Stretch:
    """Consecutive steps.

    `rows` are the samples of all of them, one batch after the other, and
    `sizes` how many each has; `keys` (steps, 2) are their dropout keys, or
    None, and `rates` (steps,) their learning rates. Where epochs' ends will be
    looked at, `ends` are the numbers of steps after which they are.
    """

    rows: NDArray[np.int64]
    sizes: tuple[int, ...]
    keys: NDArray[np.uint32] | None
    rates: NDArray[np.float64]
    ends: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.sizes)

    def batches(self) -> Iterator[tuple[slice, float]]:
        """Yield each batch's part of `rows`, and its learning rate."""
        start = 0
        for size, eta in zip(self.sizes, self.rates.tolist(), strict=True):
            yield slice(start, start + size), eta
            start += size

    def part(self, start: int, stop: int) -> "Stretch":
        """Return the steps start ... stop - 1."""
        before, after = sum(self.sizes[:start]), sum(self.sizes[:stop])
        keys = None if self.keys is None else self.keys[start:stop]
        return Stretch(
            self.rows[before:after], self.sizes[start:stop], keys, self.rates[start:stop]
        )

    def keys_of(self, size: int) -> NDArray[np.uint32]:
        """Return the keys of the batches of that size."""
        assert self.keys is not None
        keys: NDArray[np.uint32] = self.keys[np.array(self.sizes) == size]
        return keys

    def padded(
        self, steps: int, sizes: tuple[int, ...], start: int, stop: int
    ) -> dict[str, NDArray[Any]]:
        """Return the steps start ... stop - 1 for a program of fixed shapes.

        `rows` (steps * the largest size,); of each step `at`, where in rows it
        begins, `rates` and `keys`; `runs` (steps, sizes + 1), of which `count`
        count: steps runs[j, k] ... runs[j, k + 1] - 1 have the size sizes[k],
        and belong to the epoch that ends as number ends[j] in the stretch.
        """
        padded: dict[str, NDArray[Any]] = {
            "rows": np.zeros(steps * max(sizes), np.int32),
            "at": np.zeros(steps, np.int32),
            "rates": np.zeros(steps),
            "runs": np.zeros((steps, len(sizes) + 1), np.int32),
        }
        padded["rows"][: len(self.rows)] = self.rows
        padded["at"][: len(self)] = np.cumsum((0, *self.sizes[:-1]))
        padded["rates"][: len(self)] = self.rates
        if self.keys is not None:
            padded["keys"] = np.zeros((steps, 2), np.uint32)
            padded["keys"][: len(self)] = self.keys
        runs = self._runs(sizes, start, stop)
        padded["runs"][: len(runs)] = runs
        padded["ends"] = np.searchsorted(self.ends, padded["runs"][:, -1]).astype(np.int32)
        padded["count"] = np.array(len(runs), np.int32)
        return padded

    def _runs(self, sizes: tuple[int, ...], start: int, stop: int) -> list[tuple[int, ...]]:
        """Return steps in runs: first those of sizes[0], then of sizes[1] ..."""
        places = [sizes.index(size) for size in self.sizes[start:stop]]
        of_epochs = set(self.ends)
        ends = [start]
        runs = []
        for i, place in enumerate(places, start):
            if place < len(ends) - 1 or (i > start and i in of_epochs):  # begin another
                runs.append((*ends, *[i] * (len(sizes) + 1 - len(ends))))
                ends = [i]
            ends += [i] * (place + 1 - len(ends))
        runs.append((*ends, *[stop] * (len(sizes) + 1 - len(ends))))
        return runs

    def reduced(self, losses: NDArray[Any], loss: Loss) -> NDArray[Any]:
        """Return the loss of each step, of those of its samples."""
        starts = np.cumsum((0, *self.sizes[:-1]))
        sums: NDArray[Any] = np.add.reduceat(losses, starts)
        mean = loss.reduction == "mean"
        return sums / np.array(self.sizes, sums.dtype) if mean else sums


class Shapes:
    """Data and steps in the fixed shapes of a program.

    The sizes of batches are the usual one and that of an epoch's last; a
    stretch has at most `most` samples, or one batch. Of stored data, what the
    program is given are the rows of a stretch, in its order.
    """

    def __init__(self, x: Any, y: Any, batch: int, most: int) -> None:
        self.x, self.y = x, y
        n = len(x)
        size = min(n, batch)
        last = n % size
        self.sizes: tuple[int, ...] = (size, last) if last else (size,)
        self.stored = isinstance(x, Stored)
        self.most = min(most, NUMBERS // x.shape[1]) if self.stored else most
        self.steps = max(1, self.most // size)

    def padded(
        self, stretch: Stretch, start: int, stop: int
    ) -> tuple[tuple[int, ...], dict[str, NDArray[Any]], Any, Any]:
        """Return the sizes of batches, the steps, x and y."""
        sizes = self.sizes
        if not set(stretch.sizes) <= set(sizes):  # a run was resumed inside a batch
            sizes = tuple(sorted(set(stretch.sizes)))
        steps = stretch.padded(self.steps, sizes, start, stop)
        rates = steps["rates"].astype(weights_dtype(self.x.dtype.name))
        steps["rates"] = rates
        if not self.stored:
            return sizes, steps, self.x, self.y
        room = len(steps["rows"])
        steps["rows"] = np.arange(room, dtype=np.int32)
        x, y = (data.padded(stretch.rows, room) for data in (self.x, self.y))
        return sizes, steps, x, y


class Snapshots(Protocol):
    """What a model and an optimizer were at each end of an epoch in a stretch."""

    def measure(self, x: Any, y: Any) -> list[tuple[Any, Any]]:
        """Return the outputs for x and their mean loss, at each end."""

    def shown(self, end: int) -> AbstractContextManager[None]:
        """Let who reads weights and state read those of that end."""


class Together(Protocol):
    """What does a stretch's steps together: a model, an optimizer and data.

    It may go over `room` ends of epochs although they will be looked at: then
    `snapshots` are those of the last `run`.
    """

    room: int = 1
    snapshots: Snapshots | None = None

    def run(self, stretch: Stretch, start: int, stop: int) -> Any:
        """Do the steps start ... stop - 1, and return the losses, an array."""

    def keep(self) -> Any:
        """Return the weights and the optimizer's state as they are now."""

    def restore(self, kept: Any) -> None:
        """Set the weights and the optimizer's state to what was kept."""


@dataclass
class Position:
    """Where a model is within a stretch that was done together.

    The same steps from the same weights have the same bits, so that every
    place in between can be had again.
    """

    machine: Together
    stretch: Stretch
    start: Any  # what was kept there
    step: int  # how many of the steps are done

    def move(self, step: int) -> None:
        """Take the model to where `step` of the steps are done."""
        if step < self.step:
            self.machine.restore(self.start)
            self.step = 0
        if step > self.step:
            self.machine.run(self.stretch, self.step, step)
            self.step = step


@dataclass
class Pace:
    """How many steps to do together: about a tenth of a second's.

    Longer, and progress and Ctrl-C would come late; shorter, and what a call
    costs would show.
    """

    seconds: float = 0.1
    steps: int = 64
    began: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        self.began = time.perf_counter()

    def end(self, steps: int) -> None:
        """Learn from the time that `steps` took since `start`."""
        took = max(time.perf_counter() - self.began, 1e-6)
        factor = min(self.seconds / took, 64.0)
        # no slower growth for having been short: the last of an epoch is
        if steps == self.steps or factor < 1:
            self.steps = max(1, int(steps * factor))
