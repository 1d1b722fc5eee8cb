"""`tetrapla parity`: run the cases on the backends and print the verdicts.

Exit code 0: all agree; 1: a backend differs or raised; 2: misuse.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tetrapla.backends import (
    BUILT_IN,
    DTYPES,
    available,
    label_of,
    labelled,
    of_label,
    require,
)
from tetrapla.commands import (
    FILE,
    HELP,
    Refusal,
    check_folders,
    json_file,
    words,
    written,
)
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.precisions import PRECISIONS

if TYPE_CHECKING:
    from tetrapla.parity.cases import Case
    from tetrapla.parity.engine import Verdict
    from tetrapla.parity.processes import Outcome
    from tetrapla.parity.report import Report


QUIET = 15.0  # seconds without a word, where there is no terminal


@click.command(context_settings=HELP)
@click.option(
    "--backends",
    multiple=True,
    callback=words,
    metavar="NAME,...",
    help="Which backends; by default all that are installed.",
)
@click.option(
    "--dtype",
    multiple=True,
    callback=words,
    metavar="DTYPE,...",
    help="float32, float64 (by default both), tf32, bfloat16, float16.",
)
@click.option(
    "--device",
    multiple=True,
    callback=words,
    metavar="DEVICE,...",
    help="cpu (by default), gpu, gpu:0: every backend on each that it has.",
)
@click.option(
    "--filter", "text", default="", metavar="TEXT", help="Cases with TEXT in their name."
)
@click.option("--list", "listing", is_flag=True, help="Print the cases' names only.")
@json_file
@click.option(
    "--html",
    "page",
    type=FILE,
    metavar="FILE",
    help="Write a report with heat maps to FILE; it opens without a network.",
)
@click.option("--pairs", is_flag=True, help="Compare the backends with each other too.")
@click.option("--trace", is_flag=True, help="Show training runs step by step.")
@click.pass_context
def parity(
    ctx: click.Context,
    backends: tuple[str, ...],
    dtype: tuple[str, ...],
    device: tuple[str, ...],
    text: str,
    listing: bool,
    path: Path | None,
    page: Path | None,
    pairs: bool,
    trace: bool,
) -> None:
    """Check that the implementations agree.

    Every component, networks and short training runs, on every installed
    backend, against the specification evaluated in higher precision, each
    number within its proven bound. float64 always runs beside float32: it
    tells another formula from an unstable one. Exits with 1 if anything
    differs.
    """
    cases = _cases(text, trace)
    if listing:
        click.echo("\n".join(case.id for case in cases))
        return
    for name in dtype:
        if name not in PRECISIONS:
            raise Refusal(f"unknown dtype {name!r}; there are {', '.join(PRECISIONS)}")
    check_folders(path, page)
    wanted = tuple(d for d in dtype or DTYPES if any(d in c.dtypes for c in cases))
    if not wanted:
        raise Refusal(f"no case with {text!r} in its name runs in {', '.join(dtype)}")
    names, missing = _installed(backends)
    names = [label_of(name, place) for place in device or ("cpu",) for name in names]

    from rich.console import Console

    from tetrapla.parity import report as reports
    from tetrapla.parity import report_pairs

    cases = [case for case in cases if set(case.dtypes) & set(wanted)]
    outcome, asked = _run(cases, names, _beside(wanted)), list(names)
    for name, why in outcome.absent.items():  # its own word, said only when it is loaded
        names.remove(name)
        if backends and not device:
            raise Refusal(why)
        if not names:
            raise Refusal(_nowhere(outcome.absent, asked))
        missing[name] = why
    # What has no GPU runs beside the others on the CPU.
    plain = {of_label(name)[0]: name for name in outcome.absent}
    if left := [name for name in plain if name not in names]:
        outcome.add(_run(cases, left, _beside(wanted)))
        names += left
        outcome.sort(cases, names)
        for name in left:
            missing[plain[name]] += "; it ran on the CPU"
    verdicts, pairwise, _ = outcome
    installed = available()
    versions = {name: installed.get(of_label(name)[0], "unknown") for name in names}
    compared = tuple(p for p in pairwise.pairs() if p.dtype in wanted)
    report = reports.Report(verdicts, versions, missing, compared, wanted)
    console = Console()
    # Rich takes 80 columns for a pipe or a file: too few for four backends.
    console = console if console.is_terminal else Console(width=120)
    if trace:
        reports.show_trace(report, console)
    reports.show(report, console)
    if pairs:
        report_pairs.show_pairs(report, console)
    _write(report, path, page)
    ctx.exit(1 if report.failures else 0)


def _nowhere(absent: dict[str, str], asked: list[str]) -> str:
    """Return why no backend can be run, and the devices that each has."""
    if len(asked) == 1:
        return absent[asked[0]]
    devices = dict.fromkeys(of_label(label)[1] for label in asked)
    alike: dict[str, dict[str, None]] = {}  # what is said, and of whom
    for label in asked:
        _, known, there = absent[label].partition("; it has ")
        said = f"only {there}" if known else absent[label]
        alike.setdefault(said, {})[of_label(label)[0]] = None
    each = (f"{', '.join(names)}: {said}" for said, names in alike.items())
    wanted = " or ".join(map(repr, devices))
    return f"none of the backends has the device {wanted}. {'. '.join(each)}"


def _beside(dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the dtypes to run: float64 judges what float32 may not."""
    return tuple(dict.fromkeys(("float64", *dtypes)))


def _write(report: "Report", path: Path | None, page: Path | None) -> None:
    from tetrapla.parity import document, drift, html

    def write_page(report: "Report", page: Path) -> None:
        loaded = [labelled(n, d) for d in report.shown for n in report.versions]
        shown = drift.shown(loaded)
        html.write(report, page, datetime.now(UTC), shown)

    for file, write in ((path, document.write), (page, write_page)):
        if file is not None:
            with written(file):
                write(report, file)


def _cases(text: str, trace: bool) -> "list[Case]":
    from tetrapla.parity.cases import TrainingCase
    from tetrapla.parity.suite import cases

    chosen = [case for case in cases() if text in case.id]
    if trace:
        chosen = [case for case in chosen if isinstance(case, TrainingCase)]
        if not chosen:
            raise Refusal(f"--trace shows training runs, and none has {text!r} in its name")
    if not chosen:
        raise Refusal(f"no case has {text!r} in its name; --list prints them all")
    return chosen


def _installed(names: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Return the backends that are installed, and why the others are not."""
    there: list[str] = []
    missing: dict[str, str] = {}
    for name in names or dict.fromkeys([*BUILT_IN, *available()]):
        try:
            require(name)
            there.append(name)
        except InvalidInputError as error:
            raise Refusal(str(error)) from error
        except BackendUnavailableError as error:
            if names:
                raise Refusal(str(error)) from error
            missing[name] = str(error)
    return there, missing


def _run(cases: "list[Case]", names: list[str], dtypes: tuple[str, ...]) -> "Outcome":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tetrapla.parity import processes

    total = sum(dtype in case.dtypes for case in cases for dtype in dtypes) * len(names)
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=total)
        said, done = time.monotonic(), 0

        def on_verdict(verdict: "Verdict") -> None:
            nonlocal said, done
            done += 1
            name = f"{verdict.case} {verdict.backend} {verdict.dtype}"
            progress.update(task, advance=1, description=name)
            # In a log there is no bar: a line now and then instead.
            if not console.is_terminal and time.monotonic() - said > QUIET:
                said = time.monotonic()
                click.echo(f"{done}/{total} {name}", err=True)

        try:
            return processes.run(names, dtypes, cases, on_verdict)
        except InvalidInputError as error:
            raise Refusal(str(error)) from error
