"""Run all that needs a GPU, with what is installed here, and write a summary.

    python benchmarks/gpu.py build/gpu            # or: make gpu
    python benchmarks/gpu.py build/gpu --filter layer

Installs nothing: the frameworks are those of the Python that runs this, and
tetrapla is this checkout, laid out in the folder as it would be installed.
What a framework lacks (a GPU, or the whole framework) is in the summary. Exits
with 1 if a test failed or a backend differs.

The folder has summary.md, parity.json (`tetrapla parity --json`), parity.txt
and tests.xml (pytest's JUnit file).
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "torch", "tensorflow", "keras", "jax", "flax", "optax", "ml_dtypes")
DTYPES = "float32,tf32,bfloat16,float16"  # float64 runs beside them


def laid_out(folder: Path) -> Path:
    """Copy the checkout's packages to a folder that Python can import from."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "tetrapla", site / "tetrapla", ignore=skip)
    for name, place in (("impls", "impls"), ("benchmarks", "benchmarks/speed")):
        shutil.copytree(ROOT / place, site / "tetrapla" / name, ignore=skip)
    return site


def machine() -> dict[str, str]:
    """Return the device, its driver, and the versions of what computes."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True)
        gpu = done.stdout.strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        gpu = "none that nvidia-smi shows"
    found = {"GPU, driver": gpu, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def run(command: list[str], site: Path, log: Path) -> tuple[int, float]:
    """Run a command of this Python; return its exit code and seconds."""
    env = os.environ | {"PYTHONPATH": str(site), "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode, time.perf_counter() - started


def tested(path: Path) -> tuple[dict[str, int], list[str], list[str]]:
    """Return the counts of tests, the names of failed ones, and why others were not run."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failed, reasons = [], set()
    for case in ElementTree.parse(path).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None:
            counts["skipped"] += 1
            reasons.add(skipped.get("message", "").strip())
        elif case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
            failed.append(case.get("name", ""))
        else:
            counts["passed"] += 1
    return counts, failed, sorted(reasons)


def table(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parity table: a row per component, a column per backend and device."""
    names = list(report["backends"])
    for dtype in report["dtypes"]:
        cells = {
            (c["component"], c["backend"]): c
            for c in report["components"]
            if c["dtype"] == dtype
        }
        yield f"### {dtype}"
        yield ""
        yield f"| share of the bound | {' | '.join(names)} |"
        yield "|---|" + "---|" * len(names)
        for component in dict.fromkeys(component for component, _ in cells):
            row = [_cell(cells.get((component, name))) for name in names]
            yield f"| {component} | {' | '.join(row)} |"
        yield ""


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    if cell["status"] in ("no", "not run"):
        return str(cell["status"])
    sign = {"agrees": "", "known deviation": "≈ "}.get(cell["status"], "✗ ")
    worst = float(cell["worst"])
    return sign + ("<1" if 0.995 <= worst < 1 else f"{worst:.2g}")


def main() -> None:
    """Run the tests and the parity engine; write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--filter", default="", help="parity cases with this in their name")
    parser.add_argument("--device", default="cpu,gpu", help="the parity table's devices")
    parser.add_argument("--dtype", default=DTYPES)
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    site = laid_out(folder)

    tests = ["-m", "pytest", "-q", "-m", "gpu", "tests/test_gpu.py"]
    tests += ["-p", "no:cacheprovider", "-o", "filterwarnings=default"]
    tests += [f"--junitxml={folder / 'tests.xml'}"]
    print("tests ...", flush=True)
    code, seconds = run(tests, site, folder / "tests.txt")
    counts, failed, reasons = tested(folder / "tests.xml")

    parity = ["-m", "tetrapla", "parity", "--device", asked.device]
    parity += ["--dtype", asked.dtype, "--filter", asked.filter]
    parity += ["--json", str(folder / "parity.json")]
    print("parity ...", flush=True)
    (folder / "parity.json").unlink(missing_ok=True)
    differs, took = run(parity, site, folder / "parity.txt")

    lines = [f"# tetrapla on a GPU, {datetime.now(UTC):%Y-%m-%d}", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine().items()]
    said = ", ".join(f"{n} {what}" for what, n in counts.items())
    lines += ["", f"## Tests: {said}, in {seconds:.0f} s", ""]
    lines += [f"- failed: {name}" for name in failed]
    lines += [f"- not run: {reason}" for reason in reasons]
    lines += ["", f"## Parity, in {took:.0f} s", ""]
    reported = (folder / "parity.json").is_file()
    if reported:
        report = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
        counted = report["count"]
        lines += [", ".join(f"{counted[status]} {status}" for status in counted) + ".", ""]
        lines += [f"- {name}: {why}" for name, why in report["missing"].items()]
        lines += ["", *table(report)]
    else:
        last = (folder / "parity.txt").read_text(encoding="utf-8").splitlines()[-1:]
        lines += [f"No report: {' '.join(last)}"]
    summary = folder / "summary.md"
    summary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    agrees = reported and differs == 0
    print(f"{said}; parity {'agrees' if agrees else 'does not agree'}; {summary}")
    sys.exit(0 if agrees and not failed and code == 0 else 1)


if __name__ == "__main__":
    main()
