"""`tetrapla drift`: how far runs of 1,000 steps drift apart, and how fast.

No verdict: it exits with 0 whatever the distances are; 2: misuse.
"""

import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

import tetrapla
from tetrapla.backends import BUILT_IN, DTYPES, Backend, available, load
from tetrapla.commands import FILE, HELP, check_folders, json_file, words, written

if TYPE_CHECKING:
    from rich.console import Console

    from tetrapla.parity.trajectories import Paths, Trajectories

SHOWN = (1, 10, 100, 1000)  # the steps of the table


@click.command(context_settings=HELP)
@click.option(
    "--backends",
    multiple=True,
    callback=words,
    metavar="NAME,...",
    help="Which backends; by default those from scratch that are installed. "
    "The others are compared with the first.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=10),
    default=1000,
    show_default=True,
    help="Of each run.",
)
@click.option(
    "--svg", "figure", type=FILE, metavar="FILE", help="Write the figure to FILE."
)
@json_file
def drift(
    backends: tuple[str, ...], steps: int, figure: Path | None, path: Path | None
) -> None:
    """Measure how far whole runs drift apart.

    Two settings on the digits that differ in the learning rate alone, a
    stable and a chaotic one, in both dtypes; and the first backend beside
    itself, with one weight moved by one ULP. A few minutes.
    """
    check_folders(figure, path)
    names = backends or tuple(
        name for name in available() if name in BUILT_IN and BUILT_IN[name].dialect is None
    )
    loaded = [load(name, dtype=dtype) for name in names for dtype in DTYPES]
    found = _run(loaded, steps)
    _show(found)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    versions = _versions(names)

    from tetrapla.parity.trajectories_document import document
    from tetrapla.parity.trajectories_figure import svg

    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    made = f"Measured on {date} with {made}."
    text = json.dumps(document(found, date, versions), indent=1)
    _write(figure, lambda: svg(found, made))
    _write(path, lambda: text + "\n")


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    there = available()
    ours = {"tetrapla": tetrapla.__version__, "python": platform.python_version()}
    machine = {"machine": f"{platform.system()} {platform.machine()}"}
    return {**ours, **{name: there[name] for name in names}, **machine}


def _write(file: Path | None, made: Callable[[], str]) -> None:
    from tetrapla.files import write_atomically

    if file is not None:
        with written(file):
            write_atomically(file, made().encode())


def _run(loaded: list[Backend], steps: int) -> "Trajectories":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tetrapla.parity import trajectories

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=trajectories.runs(loaded))
        begun = 0

        def on_run(name: str) -> None:
            nonlocal begun
            progress.update(task, completed=begun, description=name)
            begun += 1

        return trajectories.trajectories(loaded, steps, on_run=on_run)


def _show(found: "Trajectories") -> None:
    from rich.console import Console

    from tetrapla.parity.trajectories import SETTLED, SMALL

    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=100, highlight=False)
    for paths in found.paths:
        _table(console, paths, found.at)
    click.echo(
        "Relative distances of all weights. growth: the slope of their logarithm per\n"
        f"step, from step {SETTLED} until it is above {SMALL:g}, or until the first is.\n"
        "1 ULP: the first backend again, one weight moved to the next number."
    )


def _table(console: "Console", paths: "Paths", at: tuple[int, ...]) -> None:
    from rich.table import Table

    from tetrapla.parity.trajectories import growth, together

    until = together(paths, at)
    steps = [step for step in SHOWN if step in at]
    title = (
        f"{paths.setting.name}: learning rate {paths.setting.lr:g}, "
        f"learning rate times sharpness {paths.reach:.2g}"
    )
    table = Table(title=title, title_justify="left", title_style="bold")
    left = paths.curves[0].left if paths.curves else ""
    table.add_column(f"from {left}")
    for step in steps:
        table.add_column(f"step {step:,}", justify="right")
    for column in (f"growth to {until:,}", "growth", "accuracy"):
        table.add_column(column, justify="right")
    for c in paths.curves:
        table.add_row(
            f"{c.right} {c.dtype}",
            *(f"{c.distances[at.index(step)]:.1e}" for step in steps),
            f"{growth(c, at, until):.4f}",
            f"{growth(c, at):.4f}",
            f"{paths.accuracies[c.right, c.dtype]:.1%}",
        )
    console.print(table)
