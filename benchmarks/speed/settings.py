"""What settings cost: the speed of `fit` with each, as a share of that without."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tetrapla.benchmarks.contest import Result
from tetrapla.benchmarks.measure import in_process


@dataclass(frozen=True)
class Shares:
    """The runs of one backend: the first without any setting, then one with each."""

    backend: str
    results: tuple[Result, ...]

    def share(self, result: Result) -> float:
        """Return how fast it is beside the run without, the median over the rounds."""
        return result.times(self.results[0])

    def data(self) -> dict[str, Any]:
        rows = [r.data() | {"of_plain_speed": self.share(r)} for r in self.results]
        return {"backend": self.backend, "results": rows}


def shares(
    frameworks: Sequence[str], repeats: int, quick: bool, device: str = "cpu"
) -> Iterator[Shares]:
    """Yield what was found of each backend, as its framework's process ends.

    Raises
    ------
    RuntimeError
        If a process failed; with what it wrote.
    """
    for framework in frameworks:
        how = str(repeats), "quick" if quick else "whole", device
        for backend, rows in in_process("settings_worker", framework, *how).items():
            given = ({**row, "seconds": tuple(row["seconds"])} for row in rows)
            yield Shares(backend, tuple(Result(**row) for row in given))
