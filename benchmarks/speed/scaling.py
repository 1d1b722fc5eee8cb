"""How cost grows: the points that are measured, and what is found at each.

A step of a network of P parameters on a batch of B needs about 6 P B
operations, and memory for P weights, gradients and two moments. What `fit`
needs beside is what this shows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tetrapla.benchmarks.measure import in_process
from tetrapla.benchmarks.problems import Noise

NUMBERS = 2**22  # of the data, at most
OPERATIONS = 2e8  # of an epoch, at least: some milliseconds
BATCH = 128  # of the data sets of different sizes


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    parameters: tuple[int, ...]  # about
    batches: tuple[int, ...]
    limit: float  # operations of a step
    span: float  # seconds: what a difference takes at least
    samples: tuple[int, ...]  # multiples of BATCH

    def points(self) -> Iterator["Point"]:
        """Yield the points within the limit, batches of a network one after the other."""
        for wanted in self.parameters:
            for batch in self.batches:
                point = Point(hidden(wanted), batch)
                if point.operations <= self.limit:
                    yield point


WHOLE = Plan(
    tuple(10**i for i in range(3, 9)),
    (1, 32, 512, 8192),
    limit=2e10,
    span=0.1,
    samples=(1_024, 9_984, 99_968, 999_936),
)
QUICK = Plan((10**3, 10**5), (1, 64, 8192), 1e9, 0.02, (1_024, 9_984))


def plan(quick: bool) -> Plan:
    """Return what is measured, or the shorter form."""
    return QUICK if quick else WHOLE


@dataclass(frozen=True)
class Point:
    """A network 64-h-h-10 and a batch."""

    width: int
    batch: int

    @property
    def parameters(self) -> int:
        return count(self.width)

    @property
    def operations(self) -> float:
        """Return those of a step's products: forward, and twice backward."""
        return 6.0 * self.parameters * self.batch

    @property
    def steps(self) -> int:
        """Return the steps of an epoch: no more than worth measuring, or than fit."""
        adam = 30.0 * self.parameters
        worth = int(OPERATIONS / (self.operations + adam))
        return max(1, min(worth, 64, NUMBERS // 64 // self.batch))

    def problem(self) -> Noise:
        """Return an epoch of it."""
        n, name = self.steps * self.batch, f"{self.parameters} parameters"
        return Noise(name, (self.width, self.width), self.batch, 1, passes=1, n=n)


def count(width: int) -> int:
    """Return the parameters of 64-h-h-10.

    >>> count(128)
    26122
    """
    return 65 * width + (width + 1) * width + (width + 1) * 10


def hidden(parameters: int) -> int:
    """Return the width whose network has nearest to so many parameters.

    >>> [hidden(10**i) for i in range(3, 9)]
    [11, 69, 280, 963, 3125, 9962]
    """
    root = int((math.sqrt(76**2 + 4 * (parameters - 10)) - 76) / 2)
    return min((root, root + 1), key=lambda width: abs(count(width) - parameters))


@dataclass(frozen=True)
class Difference:
    """Runs of few and of many steps: what a step takes, and what the start does."""

    few: int
    many: int
    seconds_few: tuple[float, ...]  # of each round
    seconds_many: tuple[float, ...]

    @property
    def step(self) -> float:
        """Return the seconds of a step, without the start, of the fastest rounds."""
        more = min(self.seconds_many) - min(self.seconds_few)
        return more / (self.many - self.few)

    @property
    def start(self) -> float:
        """Return the seconds of a run that are no step's."""
        return min(self.seconds_few) - self.few * self.step


@dataclass(frozen=True)
class Cost:
    """What a backend needs at a point."""

    backend: str
    parameters: int
    batch: int
    fit: Difference
    floor: Difference
    memory: int | None  # bytes; None where the system does not tell

    @property
    def times(self) -> float:
        """Return how many times the floor's a step's time is."""
        return self.fit.step / self.floor.step

    @property
    def needed(self) -> int:
        """Return the bytes of weights, gradient and two moments."""
        return needed(self.parameters)

    def data(self) -> dict[str, Any]:
        return asdict(self) | {
            "seconds_per_step": self.fit.step,
            "seconds_to_start": self.fit.start,
            "floor_seconds_per_step": self.floor.step,
            "times_the_floor": self.times,
            "memory_needed": self.needed,
        }


def needed(parameters: int) -> int:
    """Return the bytes of four float32 numbers for each parameter."""
    return 4 * 4 * parameters


@dataclass(frozen=True)
class Stream:
    """Runs of about as many steps on data of some size, in memory and in a file."""

    backend: str
    samples: int
    steps: int
    in_memory: tuple[float, ...]  # seconds of each round
    in_file: tuple[float, ...]

    @property
    def step(self) -> float:
        """Return the seconds of a step on data in memory, the start included."""
        return float(np.median(self.in_memory)) / self.steps

    @property
    def file_step(self) -> float:
        return float(np.median(self.in_file)) / self.steps

    @property
    def ratio(self) -> float:
        """Return how fast it is from the file: 1 is as fast as from memory."""
        return float(np.median(np.divide(self.in_memory, self.in_file)))

    def data(self) -> dict[str, Any]:
        return asdict(self) | {
            "seconds_per_step": self.step,
            "seconds_per_step_in_file": self.file_step,
            "of_memory_speed": self.ratio,
        }


@dataclass(frozen=True)
class Scaling:
    """What was found of one framework."""

    framework: str
    costs: tuple[Cost, ...]
    streams: tuple[Stream, ...]

    @property
    def backends(self) -> list[str]:
        return list(dict.fromkeys(cost.backend for cost in self.costs))

    def data(self) -> dict[str, Any]:
        rows = {"costs": self.costs, "streams": self.streams}
        every = {name: [row.data() for row in found] for name, found in rows.items()}
        return {"framework": self.framework} | every


def scale(frameworks: Sequence[str], repeats: int, quick: bool) -> Iterator[Scaling]:
    """Yield what was found of each framework, as its process ends.

    Raises
    ------
    RuntimeError
        If a process failed; with what it wrote.
    """
    for framework in frameworks:
        how = str(repeats), "quick" if quick else "whole"
        found = in_process("scaling_worker", framework, *how)
        costs = tuple(_cost(row) for row in found["costs"])
        yield Scaling(framework, costs, tuple(_stream(row) for row in found["streams"]))


def _cost(row: dict[str, Any]) -> Cost:
    both = {name: Difference(**_tuples(row[name])) for name in ("fit", "floor")}
    return Cost(**row | both)


def _stream(row: dict[str, Any]) -> Stream:
    return Stream(**_tuples(row))


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
