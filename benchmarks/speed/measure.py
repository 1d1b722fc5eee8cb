"""One process per framework, one after the other; medians, ratios and figures."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from tetrapla.benchmarks.contest import RIVALS, Result

FRAMEWORKS = {  # -> what has to be installed; scikit-learn has the data
    "numpy": ("numpy", "scikit-learn"),
    "torch": ("torch", "scikit-learn"),
    "tf": ("tensorflow", "keras", "scikit-learn"),
    "jax": ("jax", "flax", "optax", "scikit-learn"),
}
KERAS = {"torch": "torch", "tf": "tensorflow", "jax": "jax"}


@dataclass(frozen=True)
class Contest:
    """The results of one framework on one problem; who is not in it, and why."""

    framework: str
    problem: str
    results: tuple[Result, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # for want of a package
    failed: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> list[Result]:
        return [result for result in self.results if result.kind == kind]

    @property
    def floor(self) -> Result:
        return self.of("floor")[0]

    def data(self) -> dict[str, Any]:
        rows = []
        for result in self.results:
            rivals = [r for r in self.results if r.kind in RIVALS]
            times = {r.name: result.times(r) for r in rivals if result.kind == "ours"}
            fraction = {"of_floor": result.times(self.floor)}
            rows.append(result.data() | {"times": times} | fraction)
        found = {"framework": self.framework, "problem": self.problem, "results": rows}
        return found | {"left_out": self.left_out, "failed": self.failed}


def missing(framework: str) -> list[str]:
    """Return what the contest of a framework needs and is not installed."""
    there = _installed()
    return [name for name in FRAMEWORKS[framework] if name not in there]


def _installed() -> dict[str, str]:
    every = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    return {name.lower(): version for name, version in every if name}


def measure(
    frameworks: Sequence[str],
    problems: Sequence[str],
    repeats: int,
    quick: bool,
    device: str = "cpu",
) -> Iterator[Contest]:
    """Yield each contest as it ends.

    Raises
    ------
    RuntimeError
        If a process failed; with what it wrote.
    """
    for framework in frameworks:
        for problem in problems:
            how = problem, str(repeats), "quick" if quick else "whole", device
            found = in_process("worker", framework, *how)
            results = tuple(map(_result, found["results"]))
            yield Contest(framework, problem, results, found["left_out"], found["failed"])


def _result(row: dict[str, Any]) -> Result:
    keys = ("name", "kind", "why", "steps", "first", "seconds", "loss")
    given = {key: row[key] for key in keys}
    return Result(**given | {"seconds": tuple(row["seconds"])})


def named(frameworks: Sequence[str], device: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what frameworks call a device, and why others have none such.

    Raises
    ------
    RuntimeError
        If a process failed; with what it wrote.
    """
    found = {name: in_process("device_worker", name, device) for name in frameworks}
    names, absent = (
        {name: said[key] for name, said in found.items() if key in said}
        for key in ("name", "absent")
    )
    return names, absent


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


def machine(device: str = "cpu", gpu: str | None = None) -> dict[str, Any]:
    """Return what the figures depend on; `gpu` is a GPU's name."""
    names = {name for needed in FRAMEWORKS.values() for name in needed} | {"tetrapla"}
    there = _installed()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device,
        **({} if gpu is None else {"gpu": gpu}),
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
