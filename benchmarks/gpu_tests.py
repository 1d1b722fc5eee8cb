"""Run the tests marked gpu that are of one backend; a line of JSON for each.

    python benchmarks/gpu_tests.py LINES torch.nn 0 1      # part 0 of 1

`make gpu` runs several of these side by side. Each line is written when it is
known, so that a process that crashes or is stopped leaves what it had, and
says in which test it was. A test is of the backend that is one of its
parameters; without one it is of "none".
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tetrapla.backends import BUILT_IN

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 1500  # characters of a message


def backend_of(item: pytest.Item) -> str:
    """Return the backend among a test's parameters."""
    params = getattr(item, "callspec", None)
    values = params.params.values() if params else ()
    named = [v for v in values if isinstance(v, str) and v in BUILT_IN]
    return named[0] if named else "none"


class Share:
    """A pytest plugin: takes a share of the tests, and writes what becomes of each."""

    def __init__(self, path: Path, backend: str, part: int, parts: int) -> None:
        self.file = path.open("w", encoding="utf-8")
        self.backend, self.part, self.parts = backend, part, parts

    def say(self, **line: Any) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        marked = [item for item in items if item.get_closest_marker("gpu")]
        mine = [item for item in marked if backend_of(item) == self.backend]
        items[:] = mine[self.part :: self.parts]
        self.say(there=Counter(map(backend_of, marked)), selected=len(items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.backend == "none":  # and not once more for each
            self.say(test=report.nodeid, outcome="failed", message=said(report), seconds=0)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.say(test=nodeid, outcome="not finished")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            message = "" if report.passed else said(report)
            outcome, seconds = report.outcome, round(report.duration, 2)
            self.say(test=report.nodeid, outcome=outcome, message=message, seconds=seconds)


def said(report: Any) -> str:
    """Return why a test was skipped; or its error, and the lines that led there."""
    why = report.longrepr
    if isinstance(why, tuple):
        return str(why[2]).removeprefix("Skipped: ")
    crash = getattr(why, "reprcrash", None)
    if crash is None:
        return str(why)[-SHOWN:]
    entries = getattr(why.reprtraceback, "reprentries", [])
    places = [entry.reprfileloc for entry in entries if entry.reprfileloc]
    led = " > ".join(f"{short(place.path)}:{place.lineno}" for place in places)
    message = str(crash.message)
    cut = message if len(message) <= SHOWN else message[:SHOWN] + " ..."
    return f"{cut}\n{led}"


def short(path: str) -> str:
    """Return a path from the packages' folder on."""
    return path.replace(str(ROOT) + "/", "").split("site-packages/")[-1].split("site/")[-1]


def main() -> None:
    path, backend, part, parts = sys.argv[1:]
    # The tests' conftest.py needs hypothesis, which these tests do not.
    options = ["-q", "--noconftest", "-p", "no:cacheprovider"]
    options += ["-o", "filterwarnings=default", "--continue-on-collection-errors"]
    files = sorted(str(file) for file in (ROOT / "tests").glob("test_gpu*.py"))
    share = Share(Path(path), backend, int(part), int(parts))
    sys.exit(pytest.main([*options, *files], plugins=[share]))


if __name__ == "__main__":
    main()
