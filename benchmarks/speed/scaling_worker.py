"""The process of one framework: its costs and streams, as JSON on standard output."""

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import tetrapla as tp
from tetrapla.benchmarks import resident
from tetrapla.benchmarks.of_numpy import parameters
from tetrapla.benchmarks.ours import training_of
from tetrapla.benchmarks.problems import Array, Noise, Problem
from tetrapla.benchmarks.scaling import (
    BATCH,
    Cost,
    Difference,
    Plan,
    Point,
    Stream,
    plan,
)

BACKENDS = {
    "numpy": ("numpy",),
    "torch": ("torch", "torch.nn"),
    "tf": ("tf", "tf.keras"),
    "jax": ("jax", "jax.flax"),
}
PATIENCE = 4.0  # seconds for all rounds of a run: one is done in any case
Data = tuple[Array, Array]


def fit(
    name: str, problem: Problem, weights: dict[str, Array], data: Data
) -> Callable[..., float]:
    """Return what trains for some epochs and returns the seconds."""
    backend, net = tp.load(name), problem.net()

    def run(epochs: int, **how: Any) -> float:
        training = training_of(replace(problem, epochs=epochs), name)
        gc.collect()
        began = time.perf_counter()
        backend.fit(net, weights, data, training, **how)
        return time.perf_counter() - began

    return run


def floor(framework: str, problem: Problem) -> Callable[[int], float]:
    """Return what does some passes of a framework's floor and returns the seconds."""
    passes = import_module(f"tetrapla.benchmarks.of_{framework}").floor(problem)

    def run(count: int) -> float:
        gc.collect()
        began = time.perf_counter()
        passes(count)
        return time.perf_counter() - began

    return run


@dataclass
class Runs:
    """Runs of one unit (an epoch, a pass), and of more; a unit is some steps."""

    run: Callable[[int], float]
    steps: int = 1
    more: int = 1
    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)

    def search(self, span: float) -> None:
        """Find how many more units take `span` seconds more; the runs warm up.

        Or half of what one unit takes, where that is more. Where they take
        long, they are the first round.
        """
        took = least = 0.0
        while took <= least:
            few, many = self.run(1), self.run(1 + self.more)
            took, least = many - few, max(span, few / 2)
            if took <= least:
                # by its estimate, and no leap: a short one is mostly noise
                guess = self.more * 1.2 * least / max(took, 1e-9)
                self.more = int(min(max(guess, 2 * self.more), 16 * self.more))
        if few + many > PATIENCE / 4:
            self.few, self.many = [few], [many]

    @property
    def tired(self) -> bool:
        spent = sum(self.few) + sum(self.many)
        return bool(self.few) and spent * (1 + 1 / len(self.few)) > PATIENCE

    def round(self) -> None:
        self.few.append(self.run(1))
        self.many.append(self.run(1 + self.more))

    def found(self) -> Difference:
        few, many = self.steps, self.steps * (1 + self.more)
        return Difference(few, many, tuple(self.few), tuple(self.many))


def cost(
    framework: str, point: Point, weights: dict[str, Array], span: float, repeats: int
) -> Iterator[Cost]:
    """Yield what each backend of a framework needs at a point."""
    problem = point.problem()
    data = problem.data()
    memory: list[int | None] = []
    every: list[Runs] = []
    for name in BACKENDS[framework]:
        # what stays after the first fit counts, what compiling needs does not
        before, run = resident.resident(), fit(name, problem, weights, data)
        run(1)
        most = resident.peak(lambda run=run: run(1))  # type: ignore[misc]
        memory.append(None if most is None or before is None else most - before)
        every.append(Runs(run, point.steps))
    every.append(Runs(floor(framework, problem)))
    every[-1].run(1)  # it compiles
    for runs in every:
        runs.search(span)
    for _ in range(repeats):  # in turn: what the machine does meanwhile falls on all
        for runs in every:
            if len(runs.few) < repeats and not runs.tired:
                runs.round()
    *ours, products = (runs.found() for runs in every)
    for name, found, bytes_ in zip(BACKENDS[framework], ours, memory, strict=True):
        yield Cost(name, point.parameters, point.batch, found, products, bytes_)


def costs(framework: str, asked: Plan, repeats: int) -> Iterator[Cost]:
    first = Point(width=4, batch=2).problem()
    for name in BACKENDS[framework]:  # imports its framework: no point's memory
        fit(name, first, first_weights(first), first.data())(1)
    for _, points in groupby(asked.points(), key=lambda point: point.width):
        batches = list(points)
        weights = first_weights(batches[0].problem())
        for point in batches:
            yield from cost(framework, point, weights, asked.span, repeats)


def first_weights(problem: Problem) -> dict[str, Array]:
    """Return He-initialised weights by name; of Network.init 10^8 would take long."""
    _, matrices, biases = parameters(problem)
    both = {"weight": matrices, "bias": biases}
    return {f"{i}.{name}": a[i] for i in range(3) for name, a in both.items()}


def streams(
    backends: Sequence[str], samples: Sequence[int], repeats: int
) -> Iterator[Stream]:
    """Yield how long about as many steps take on data of each size."""
    steps = max(samples) // BATCH
    for n in samples:
        epochs = steps * BATCH // n
        problem = Noise("small", (128, 64), BATCH, epochs, passes=1, n=n)
        weights, data = problem.net().init(seed=0), problem.data()
        with tempfile.TemporaryDirectory() as folder:
            stored = in_files(data, Path(folder))
            for name in backends:
                run = {
                    where: fit(name, problem, weights, given)
                    for where, given in (("memory", data), ("file", stored))
                }
                for each in run.values():  # compiles, and needs no whole epoch
                    each(1, on_step=lambda report: report.stop())
                seconds: dict[str, list[float]] = {where: [] for where in run}
                for turn in range(repeats):
                    for where in sorted(run, reverse=turn % 2 == 0):
                        seconds[where].append(run[where](epochs))
                both = tuple(seconds["memory"]), tuple(seconds["file"])
                yield Stream(name, n, epochs * n // BATCH, *both)
            del stored, run, each  # a file that is open could not be removed everywhere


def in_files(data: Data, folder: Path) -> Data:
    """Return the same data in memory-mapped files."""
    paths = folder / "x.npy", folder / "y.npy"
    for path, array in zip(paths, data, strict=True):
        np.save(path, array)
    x, y = (np.load(path, mmap_mode="r") for path in paths)
    return x, y


def main(framework: str, repeats: str, quick: str) -> None:
    asked = plan(quick == "quick")
    found = {
        "costs": costs(framework, asked, int(repeats)),
        "streams": streams(BACKENDS[framework], asked.samples, int(repeats)),
    }
    # the floor too, where there is a GPU
    with import_module(f"tetrapla.benchmarks.of_{framework}").scope("cpu"):
        rows = {name: [asdict(row) for row in each] for name, each in found.items()}
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
