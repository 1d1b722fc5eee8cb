"""Run all that needs a GPU, with what is installed here, and write a summary.

    python benchmarks/gpu.py build/gpu            # or: make gpu
    python benchmarks/gpu.py build/gpu --filter layer
    python benchmarks/gpu.py build/gpu --limit 540    # or: make gpu LIMIT=540

Installs nothing: the frameworks are those of the Python that runs this, and
tetrapla is this checkout, laid out in the folder as it would be installed.
What a framework lacks (a GPU, or the whole framework) is in the summary. Exits
with 0 if all tests and the whole parity suite were run, and nothing is wrong.

The tests marked gpu run first or, where there are cores for both, beside the
parity suite; then the speed is measured, alone. The summary, summary.md, is
written again every few seconds from what there is, so that a run that is cut
off leaves what it has. Beside it in the folder: parity.json and parity.txt
(what `tetrapla parity` gives), speed.json, and for each process a line of JSON
for each result, what it printed (.txt) and its errors (.err).
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gpu_jobs import ROOT, Job, work
from gpu_summary import lines, seen, summary

BENCHMARKS = Path(__file__).parent
NEEDED = ("numpy", "rich", "safetensors")  # without click there is no benchmark
PACKAGES = ("torch", "tensorflow", "keras", "flax", "optax", "ml_dtypes", "scikit-learn")
BEGINNINGS = ("click", "jax", "nvidia-cublas", "nvidia-cudnn", "pytest", "triton")
VARIABLES = (
    "XLA_FLAGS",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "CUDA_VISIBLE_DEVICES",
    "TF_DETERMINISTIC_OPS",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
)
BENCH = ("-m", "tetrapla", "bench", "--problems", "small,large")
# Of processes side by side each has one core; the benchmark has all.
ONE_EACH = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
DTYPES = "float32,float64,tf32,bfloat16,float16"
BESIDE = 8  # cores with which tests and parity run side by side
EVERY = 3.0  # seconds


def cores() -> int:
    """Return how many cores this process may use."""
    mine = getattr(os, "sched_getaffinity", None)  # of Linux
    return len(mine(0)) if mine else os.cpu_count() or 1


def laid_out(folder: Path) -> Path:
    """Copy the checkout's packages to a folder that Python can import from."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "tetrapla", site / "tetrapla", ignore=skip)
    for name, place in (("impls", "impls"), ("benchmarks", "benchmarks/speed")):
        shutil.copytree(ROOT / place, site / "tetrapla" / name, ignore=skip)
    return site


def said(command: Sequence[str]) -> str:
    """Return what a command prints, or why it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"unknown: {error}"
    return "; ".join(done.stdout.strip().splitlines())


def machine() -> dict[str, str]:
    """Return the device, its driver, the versions, and what is set."""
    query = "--query-gpu=name,memory.total,driver_version,compute_mode"
    found = {
        "GPU, memory, driver, mode": said(["nvidia-smi", query, "--format=csv,noheader"]),
        "system": f"{platform.platform()}, {cores()} cores",
        "commit": said(["git", "describe", "--always", "--dirty"]),
        "Python": platform.python_version(),
    }
    every = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    there = {name.lower(): version for name, version in every if name}
    for name in (*NEEDED, *PACKAGES):
        found[name] = there.get(name, "not installed")
    begin = sorted(name for name in there if name.startswith(BEGINNINGS))
    found |= {name: there[name] for name in begin}
    return found | {name: os.environ[name] for name in VARIABLES if name in os.environ}


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of all processes."""
    paths = [str(laid_out(folder)), os.environ.get("PYTHONPATH", "")]
    # What XLA compiled in one process, the next need not compile again.
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "COLUMNS": "120",  # of the tables
    }
    return kept | os.environ | own


class CutOffError(Exception):
    """The limit has come, or somebody ended this."""


class Run:
    """The processes of one run, in the order in which the summary has them."""

    def __init__(self, folder: Path, asked: argparse.Namespace) -> None:
        self.folder, self.cores = folder, cores()
        self.until = time.monotonic() + (asked.limit or float("inf"))
        self.written = 0.0
        self.about, self.env = machine(), environment(folder)
        of_parity = folder, asked.device, asked.dtype, asked.filter
        how = "--device", "gpu", "--quick", "--json", folder / "speed.json"
        self.info = self.job("info", "gpu_info.py", folder / "info.jsonl", asked.device)
        self.tests = [self.tests_of("none")]
        self.parity = self.job("parity", "gpu_parity.py", *of_parity)
        self.speed = [] if asked.no_bench else [Job("speed", folder, *BENCH, *how)]

    def job(self, name: str, script: str, *arguments: str | Path) -> Job:
        return Job(name, self.folder, BENCHMARKS / script, *arguments)

    def tests_of(self, backend: str, part: int = 0, parts: int = 1) -> Job:
        name = f"tests-{backend}" + (f"-{part}" if parts > 1 else "")
        how = self.folder / f"{name}.jsonl", backend, str(part), str(parts)
        return self.job(name, "gpu_tests.py", *how)

    @property
    def jobs(self) -> list[Job]:
        return [self.info, *self.tests, self.parity, *self.speed]

    def go(self) -> None:
        """Run everything, and the benchmark alone."""
        self.work(self.info, *self.tests, until=lambda: bool(seen(self.folder)))
        self.tests += self.others()
        if self.cores >= BESIDE:
            self.work(self.parity, self.info, *self.tests)
        else:
            self.work(self.info, *self.tests)
            self.work(self.parity)
        found = lines(self.folder / "info.jsonl")
        if not any("info" in each and "@gpu" in each["backend"] for each in found):
            self.speed = []
        self.work(*self.speed)

    def others(self) -> list[Job]:
        """Return the tests of each backend that the first process saw."""
        jobs = []
        for name in sorted(seen(self.folder).keys() - {"none"}):
            # XLA compiles for each test of JAX's.
            parts = max(1, min(4, self.cores // 5)) if name.startswith("jax") else 1
            jobs += [self.tests_of(name, part, parts) for part in range(parts)]
        return jobs

    def work(self, *jobs: Job, until: Callable[[], bool] = lambda: False) -> None:
        alone = self.cores < BESIDE or set(jobs) == set(self.speed)
        env = self.env if alone else ONE_EACH | self.env
        for _ in work(jobs, self.cores, env):
            self.look()
            if until():
                break

    def look(self) -> None:
        """Write the summary now and then; raise when time is up."""
        now = time.monotonic()
        if now > self.until:
            raise CutOffError("the limit has come")
        if now > self.written + EVERY:
            self.write()
            self.written = now

    def write(self, note: str = "") -> None:
        text = summary(self.folder, self.about, self.jobs, note)
        new = self.folder / "summary.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / "summary.md")

    def passed(self) -> bool:
        """Whether all tests and the whole suite were run, and nothing is wrong."""
        tests = len(self.tests) > 1 and all(job.code in (0, 5) for job in self.tests)
        return tests and self.parity.code == 0


def ended(number: int, frame: object) -> None:
    """Let the summary be written, once."""
    signal.signal(number, signal.SIG_IGN)
    raise CutOffError(f"signal {number}")


def main() -> None:
    """Run the tests, the parity suite and the benchmark; write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--filter", default="", help="parity cases with this in their name")
    parser.add_argument("--device", default="cpu,gpu", help="the parity table's devices")
    parser.add_argument("--dtype", default=DTYPES, help="float64 runs beside them")
    parser.add_argument("--limit", type=float, help="seconds, after which all is stopped")
    parser.add_argument("--no-bench", action="store_true", help="do not measure the speed")
    asked = parser.parse_args()
    if lacking := [name for name in NEEDED if not find_spec(name)]:
        parser.error(f"{sys.executable} needs: pip install {' '.join(lacking)}")
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for own in ("info.*", "tests-*", "parity.*", "speed.*"):
        for old in folder.glob(own):
            old.unlink()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ended)
    run, note = Run(folder, asked), ""
    try:
        run.go()
    except CutOffError as error:
        note = f"cut off: {error}"
    finally:
        for job in run.jobs:
            job.stop()
        run.write(note)
    for job in run.jobs:
        print(f"{job.name}: {job}")
    print(f"{'passed' if run.passed() else 'not passed'}; {folder / 'summary.md'}")
    sys.exit(0 if run.passed() else 1)


if __name__ == "__main__":
    main()
