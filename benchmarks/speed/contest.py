"""Runs of everybody in alternation, in one process.

A contestant is prepared once (its framework compiles, its first run warms
up), and then trained `repeats` times, all in turn, each time beginning with
another one and every other time backwards, so that what the machine does
meanwhile, and what one leaves to the next, falls on all.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RIVALS = ("peer", "loop")  # the kinds that ours are compared with


@dataclass(frozen=True)
class Contestant:
    """A way to train, or a floor.

    `run` trains for all epochs and returns the last loss, or None for a
    floor; it returns when the device has done it all. `steps` is how many
    steps that is; `why` says what it is.
    """

    name: str
    kind: str  # "ours", "peer", "loop" (hand-written) or "floor"
    why: str
    steps: int
    run: Callable[[], float | None]


@dataclass(frozen=True)
class LeftOut:
    """A way to train that cannot be measured here."""

    name: str
    why: str


@dataclass(frozen=True)
class Result:
    """What a contestant needed: the first run, then each of the others."""

    name: str
    kind: str
    why: str
    steps: int
    first: float  # seconds, compilation included
    seconds: tuple[float, ...]
    loss: float | None

    @property
    def rate(self) -> float:
        """Steps per second, the median."""
        return self.steps / float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Half the range between the quartiles, as a share of the median."""
        low, middle, high = np.percentile(self.seconds, (25, 50, 75))
        return float((high - low) / 2 / middle)

    def times(self, other: "Result") -> float:
        """How many times as fast as another, the median over the rounds."""
        ours = np.array(self.seconds) / self.steps
        theirs = np.array(other.seconds) / other.steps
        return float(np.median(theirs / ours))

    def data(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "seconds": list(self.seconds),
            "steps_per_second": self.rate,
            "spread": self.spread,
        }


def contest(
    contestants: Sequence[Contestant], repeats: int, failed: dict[str, str] | None = None
) -> Iterator[Result]:
    """Let all train in turn.

    Where there is `failed`, a rival that fails in its first run goes there
    with its error, and the others train on.
    """
    able, firsts, losses = [], [], []
    for each in contestants:
        began = time.perf_counter()
        try:
            loss = each.run()
        except Exception as error:
            if failed is None or each.kind not in RIVALS:
                raise
            said = str(error).strip().splitlines() or [""]
            failed[each.name] = f"{type(error).__name__}: {said[0]}"
            continue
        able.append(each)
        losses.append(loss)
        firsts.append(time.perf_counter() - began)
    contestants = able
    seconds: list[list[float]] = [[] for _ in contestants]
    for turn in range(repeats):
        for i in range(len(contestants)):
            place = (turn + (i if turn % 2 == 0 else -i)) % len(contestants)
            gc.collect()
            began = time.perf_counter()
            contestants[place].run()
            seconds[place].append(time.perf_counter() - began)
    for each, first, took, loss in zip(contestants, firsts, seconds, losses, strict=True):
        about = each.name, each.kind, each.why, each.steps
        yield Result(*about, first, tuple(took), loss)
