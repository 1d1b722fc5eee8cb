"""Verdicts as tables for people, in the terminal."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tetrapla.backends import of_label
from tetrapla.parity import deviations
from tetrapla.parity.comparison import Comparison, median, str_of
from tetrapla.parity.engine import ERROR, KNOWN, NO, NOT_RUN, Verdict
from tetrapla.parity.pairwise import Pair

SHOWN = 4  # tensors of one failed case; a wrong one makes others wrong
FIRST_COLUMN, COLUMN = 31, 26  # characters of a table


@dataclass(frozen=True)
class Report:
    """What was run, what came out, and what could not be run."""

    verdicts: Sequence[Verdict]
    versions: Mapping[str, str]  # of the backends that were run
    missing: Mapping[str, str]  # backends that are not here, and why
    pairs: Sequence[Pair] = field(default_factory=tuple)
    shown: Sequence[str] = ("float32", "float64")  # the dtypes that were asked for

    @property
    def failures(self) -> list[Verdict]:
        """The verdicts that say a backend is wrong."""
        return [v for v in self.verdicts if v.failed]

    @property
    def dtypes(self) -> list[str]:
        """The dtypes of the tables, in order."""
        return sorted({v.dtype for v in self.verdicts} & set(self.shown))

    @property
    def backends(self) -> list[str]:
        """The backends that were run, in order."""
        return list(dict.fromkeys(v.backend for v in self.verdicts))

    @property
    def components(self) -> list[str]:
        """The rows of the tables, in order."""
        return list(dict.fromkeys(v.component for v in self.verdicts))

    def of(self, component: str, backend: str, dtype: str) -> list[Verdict]:
        """Return the verdicts of one cell."""
        wanted = (component, backend, dtype)
        return [v for v in self.verdicts if (v.component, v.backend, v.dtype) == wanted]

    def firsts(self) -> Iterator[tuple[Verdict, Comparison | None]]:
        """Yield the first failure of each backend, in the order of the suite.

        Cases go from primitives to whole runs, so a fault shows first where
        it is. Of both dtypes the one that decides is float64.
        """
        for name in self.backends:
            mine = [v for v in self.failures if v.backend == name]
            order = {case: i for i, case in enumerate(dict.fromkeys(v.case for v in mine))}
            if mine:
                first = min(mine, key=lambda v: (order[v.case], v.dtype != "float64"))
                yield first, first.first


def octaves(verdicts: Iterable[Verdict]) -> tuple[int, ...]:
    """Return the histogram of all fractions of the verdicts."""
    counted = [c.octaves for v in verdicts for c in v.comparisons if c.octaves]
    return tuple(int(n) for n in np.sum(counted, axis=0)) if counted else ()


def show(report: Report, console: Console) -> None:
    """Print the tables, every failure, and the closing lines."""
    for dtype in report.dtypes:
        title = f"{dtype}: worst and median share of the bound, and the worst's ULPs"
        console.print(Text(title, "bold"), soft_wrap=True)
        for names in _that_fit(report.backends, console.width):
            console.print(_table(report, dtype, names))
    for failure in report.failures:
        for line in _lines(failure):
            console.print(line, soft_wrap=True)
    for first, comparison in report.firsts():
        for line in _first(first, comparison):
            console.print(line, soft_wrap=True)
    for last in closing(report):
        console.print(last, soft_wrap=True, markup=False, highlight=False)


def _that_fit(names: Sequence[str], width: int) -> Iterator[Sequence[str]]:
    """Yield the names in groups whose columns fit side by side."""
    most = max(1, (width - FIRST_COLUMN) // COLUMN)
    for i in range(0, len(names), most):
        yield names[i : i + most]


def _table(report: Report, dtype: str, names: Sequence[str]) -> Table:
    table = Table()
    table.add_column("component")
    for name in names:
        table.add_column(name)
    for component in report.components:
        row = [report.of(component, name, dtype) for name in names]
        if any(row):
            table.add_row(Text(component), *(_cell(verdicts) for verdicts in row))
    return table


def _cell(verdicts: Sequence[Verdict]) -> Text:
    run = [v for v in verdicts if v.ran]
    if not run:
        return Text(verdicts[0].status if verdicts else "", "dim")
    if any(v.status == ERROR for v in run):
        return Text("✗ error", "bold red")
    worst = max(run, key=lambda v: v.fraction).worst
    fraction, ulps = (worst.fraction, worst.ulps) if worst else (0.0, 0.0)
    failed = any(v.failed for v in run)
    middle = short(median(octaves(run)))
    known = any(v.status == KNOWN for v in run)
    sign, style = (
        ("✗", "bold red") if failed else ("≈", "yellow") if known else ("✓", "green")
    )
    return Text(f"{sign} {short(fraction)} {middle} {short(ulps):>5}", style)


def show_trace(report: Report, console: Console) -> None:
    """Print runs step by step: every stage's share of its bound."""
    for case in dict.fromkeys(v.case for v in report.verdicts):
        for dtype in report.dtypes:
            verdicts = [v for v in report.verdicts if (v.case, v.dtype) == (case, dtype)]
            title = f"{case}, {dtype}: each stage's share of its bound, and its ULPs"
            console.print(Text(title, "bold"), soft_wrap=True)
            table = Table()
            table.add_column("step", justify="right")
            table.add_column("stage")
            table.add_column("from")
            for v in verdicts:
                table.add_column(v.backend)
            for place in dict.fromkeys(
                (c.step, c.tensor, c.formula) for v in verdicts for c in v.comparisons
            ):
                step, tensor, formula = place
                cells = [_stage_cell(v, step, tensor) for v in verdicts]
                table.add_row(
                    "" if step is None else str(step), Text(tensor), Text(formula), *cells
                )
            console.print(table)


def _stage_cell(verdict: Verdict, step: int | None, tensor: str) -> Text:
    found = [c for c in verdict.comparisons if (c.step, c.tensor) == (step, tensor)]
    if not found:
        return Text("-", "dim")
    worst = max(found, key=lambda c: c.fraction)
    style = "green" if worst.agrees else "bold red"
    mark = "✓" if worst.agrees else "✗"
    return Text(f"{mark} {short(worst.fraction)} {short(worst.ulps):>5}", style)


def short(x: float) -> str:
    """Return a number in at most five characters, for a table.

    >>> short(0.1234), short(0.00123), short(9.08e6), short(math.inf)
    ('0.12', '.001', '9.1e6', 'inf')
    """
    if not math.isfinite(x):
        return str(x)
    if 0 < x < 0.01:
        return f"{x:.3f}"[1:] if x >= 0.0005 else "~0"
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


def _first(verdict: Verdict, c: Comparison | None) -> Iterator[Text]:
    """Yield where a backend first goes wrong, and the numbers around it."""
    place = "" if c is None else f", {c.place}"
    cause = f": {verdict.cause}" if verdict.cause else ""
    name = f"{verdict.backend} goes wrong first in {verdict.case} ({verdict.dtype}){place}"
    yield Text(name + cause, "bold")
    if c is None:
        return
    if c.formula:
        yield Text(f"  {c.tensor} = {c.formula}")
    for tensor, values in c.around.items():
        printed = np.array2string(
            np.asarray(values), precision=9, threshold=30, separator=", ", prefix="  " * 10
        )
        yield Text(f"  {tensor} near there: {printed}", "dim")


def closing(report: Report) -> Iterator[str]:
    """Yield the last lines: the count, what is known, not there, or not run."""
    ran = [v for v in report.verdicts if v.ran]
    ran = [v for v in ran if v.dtype in report.shown or v.failed]
    cases = len({v.case for v in ran})
    what = _count(cases, "case") + f" x {_count(len(report.versions), 'backend')}"
    wrong = report.failures
    if wrong:
        names = ", ".join(dict.fromkeys(f"{v.backend} ({v.component})" for v in wrong))
        yield f"{what}: {len(wrong)} of {len(ran)} runs disagree: {names}"
    elif ran:
        known = any(v.status == KNOWN for v in ran)
        yield f"{what}, {' and '.join(report.dtypes)}: all agree" + (
            ", but for what is known:" if known else ""
        )
    yield from _known(report)
    for status, words in ((NO, ""), (NOT_RUN, " not run")):
        skipped = [v for v in report.verdicts if v.status == status]
        for reason in dict.fromkeys(v.message for v in skipped):
            count = len({v.case for v in skipped if v.message == reason})
            yield f"{_count(count, 'case')}{words}: {reason}"
    for name, reason in report.missing.items():
        yield f"{name} not run: {reason}"


def _known(report: Report) -> Iterator[str]:
    """Yield the known deviations that were met, each with its cause."""
    for name in report.backends:
        mine = [v for v in report.verdicts if v.backend == name and v.status == KNOWN]
        plain, device = of_label(name)
        rows = (row for v in mine for row in deviations.of(plain, v.dtype, device))
        for row in dict.fromkeys(rows):
            met = [v for v in mine if row.habit in v.known]
            dtypes = " and ".join(sorted({v.dtype for v in met}))
            count = _count(len({v.case for v in met}), "case")
            if met:
                yield f"≈ {name} {row.cause} ({count}, {dtypes})"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
