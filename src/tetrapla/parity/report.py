"""Verdicts as a table for people and as JSON for programs."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tetrapla.files import write_atomically
from tetrapla.parity.comparison import Comparison, str_of
from tetrapla.parity.engine import AGREES, DIFFERS, ERROR, NOT_RUN, Verdict

SHOWN = 4  # tensors of one failed case; a wrong one makes all after it wrong


@dataclass(frozen=True)
class Report:
    """What was run, what came out, and what could not be run."""

    verdicts: Sequence[Verdict]
    versions: Mapping[str, str]  # of the backends that were run
    missing: Mapping[str, str]  # backends that are not here, and why

    @property
    def failures(self) -> list[Verdict]:
        """The verdicts that say a backend is wrong."""
        return [v for v in self.verdicts if v.failed]

    @property
    def dtypes(self) -> list[str]:
        """The dtypes that were run, in order."""
        return sorted({v.dtype for v in self.verdicts})


def show(report: Report, console: Console) -> None:
    """Print the tables, every failure, and the closing lines."""
    for dtype in report.dtypes:
        title = f"{dtype}: worst share of the tolerance, and that element's ULPs"
        console.print(Text(title, "bold"), soft_wrap=True)
        console.print(_table(report, dtype))
    for failure in report.failures:
        for line in _lines(failure):
            console.print(line, soft_wrap=True)
    for last in closing(report):
        console.print(last, soft_wrap=True, markup=False, highlight=False)


def _table(report: Report, dtype: str) -> Table:
    table = Table()
    table.add_column("component")
    verdicts = [v for v in report.verdicts if v.dtype == dtype]
    backends = list(dict.fromkeys(v.backend for v in verdicts))
    for name in backends:
        table.add_column(name)
    for component in dict.fromkeys(v.component for v in verdicts):
        row = [v for v in verdicts if v.component == component]
        cells = [_cell([v for v in row if v.backend == name]) for name in backends]
        table.add_row(Text(component), *cells)
    return table


def _cell(verdicts: Sequence[Verdict]) -> Text:
    run = [v for v in verdicts if v.status != NOT_RUN]
    if not run:
        return Text("not run", "dim")
    if any(v.status == ERROR for v in run):
        return Text("✗ error", "bold red")
    worst = max(run, key=lambda v: v.fraction)
    failed = any(v.failed for v in run)
    text = f"{'✗' if failed else '✓'} {short(worst.fraction)} {short(worst.ulps):>6}"
    return Text(text, "bold red" if failed else "green")


def short(x: float) -> str:
    """Return a number in at most six characters, for a table.

    >>> short(0.1234), short(9.08e6), short(math.inf)
    ('0.12', '9.1e6', 'inf')
    """
    if not math.isfinite(x):
        return str(x)
    if x < 100:
        return f"{x:.2f}"
    return f"{x:.1e}".replace("e+0", "e").replace("e+", "e") if x >= 1e4 else f"{x:.0f}"


def _lines(failure: Verdict) -> Iterator[Text]:
    where = f"{failure.backend} {failure.dtype} {failure.case}"
    if failure.status == ERROR:
        yield Text.assemble((f"✗ {where}: ", "bold red"), failure.message)
        return
    wrong = [c for c in failure.comparisons if not c.agrees]
    for comparison in wrong[:SHOWN]:
        yield Text.assemble((f"✗ {where}: ", "bold red"), str_of(comparison))
    if len(wrong) > SHOWN:
        yield Text(f"  ... and {len(wrong) - SHOWN} more tensors of this case", "dim")


def closing(report: Report) -> Iterator[str]:
    """Yield the last lines: the count, what was not run, what is missing."""
    ran = [v for v in report.verdicts if v.status != NOT_RUN]
    cases = len({v.case for v in ran})
    what = _count(cases, "case") + f" x {_count(len(report.versions), 'backend')}"
    wrong = report.failures
    if wrong:
        names = ", ".join(dict.fromkeys(f"{v.backend} ({v.component})" for v in wrong))
        yield f"{what}: {len(wrong)} of {len(ran)} runs disagree: {names}"
    elif ran:
        yield f"{what}, {' and '.join(report.dtypes)}: all agree"
    skipped = [v for v in report.verdicts if v.status == NOT_RUN]
    for reason in dict.fromkeys(v.message for v in skipped):
        count = len({v.case for v in skipped if v.message == reason})
        yield f"{_count(count, 'case')} not run: {reason}"
    for name, reason in report.missing.items():
        yield f"{name} not run: {reason}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def document(report: Report) -> dict[str, Any]:
    """Return the report as plain values for JSON; inf and NaN are words."""
    from tetrapla import __version__

    count = {
        status: sum(v.status == status for v in report.verdicts)
        for status in (AGREES, DIFFERS, ERROR, NOT_RUN)
    }
    return {
        "tetrapla": __version__,
        "backends": dict(report.versions),
        "missing": dict(report.missing),
        "dtypes": report.dtypes,
        "count": count,
        "verdicts": [_verdict(v) for v in report.verdicts],
    }


def _verdict(v: Verdict) -> dict[str, Any]:
    worst = max(v.comparisons, key=lambda c: c.fraction, default=None)
    values = asdict(v)
    del values["comparisons"]
    return values | {
        "worst": None if worst is None else _plain(worst),
        "differing": [_plain(c) for c in v.comparisons if not c.agrees],
    }


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        name: str(x) if isinstance(x, float) and not math.isfinite(x) else x
        for name, x in asdict(comparison).items()
    }


def write(report: Report, path: Path) -> None:
    """Write the JSON, whole or not at all."""
    text = json.dumps(document(report), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())
