"""One process per framework, one after the other; medians, ratios and figures."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from tetrapla.benchmarks.contest import Result

FRAMEWORKS = {  # -> what has to be installed
    "numpy": ("numpy", "scikit-learn"),
    "torch": ("torch", "keras", "scikit-learn"),
    "tf": ("tensorflow", "keras", "scikit-learn"),
    "jax": ("jax", "flax", "optax", "keras", "scikit-learn"),
}
KERAS = {"torch": "torch", "tf": "tensorflow", "jax": "jax"}


@dataclass(frozen=True)
class Contest:
    """The results of one framework on one problem."""

    framework: str
    problem: str
    results: tuple[Result, ...]

    def of(self, kind: str) -> list[Result]:
        return [result for result in self.results if result.kind == kind]

    @property
    def floor(self) -> Result:
        return self.of("floor")[0]

    def data(self) -> dict[str, Any]:
        rows = []
        for result in self.results:
            rivals = [r for r in self.results if r.kind in ("peer", "loop")]
            times = {r.name: result.times(r) for r in rivals if result.kind == "ours"}
            fraction = {"of_floor": result.times(self.floor)}
            rows.append(result.data() | {"times": times} | fraction)
        return {"framework": self.framework, "problem": self.problem, "results": rows}


def missing(framework: str) -> list[str]:
    """Return what the contest of a framework needs and is not installed."""
    there = _installed()
    return [name for name in FRAMEWORKS[framework] if name not in there]


def _installed() -> dict[str, str]:
    return {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}


def measure(
    frameworks: Sequence[str], problems: Sequence[str], repeats: int, quick: bool
) -> Iterator[Contest]:
    """Yield each contest as it ends.

    Raises
    ------
    RuntimeError
        If a process failed; with what it wrote.
    """
    for framework in frameworks:
        for problem in problems:
            yield _contest(framework, problem, repeats, quick)


def _contest(framework: str, problem: str, repeats: int, quick: bool) -> Contest:
    how = [problem, str(repeats), "quick" if quick else "whole"]
    rows = in_process("worker", framework, *how)
    keys = ("name", "kind", "why", "steps", "first", "seconds", "loss")
    given = ({key: row[key] for key in keys} for row in rows)
    results = (Result(**row | {"seconds": tuple(row["seconds"])}) for row in given)
    return Contest(framework, problem, tuple(results))


def in_process(module: str, framework: str, *how: str) -> Any:
    """Return what a module of ours prints, as JSON, in a process of its own."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if framework in KERAS:
        environment["KERAS_BACKEND"] = KERAS[framework]
    module = f"tetrapla.benchmarks.{module}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, framework, *how],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the benchmark of {framework} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    names = {name for needed in FRAMEWORKS.values() for name in needed} | {"tetrapla"}
    there = _installed()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: there[name] for name in sorted(names) if name in there},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("model name")]
    except OSError:
        lines = []
    return lines[0].partition(":")[2].strip() if lines else platform.processor()
