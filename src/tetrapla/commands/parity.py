"""`tetrapla parity`: run the cases on the backends and print the verdicts.

Exit code 0: all agree; 1: a backend differs or raised; 2: misuse.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tetrapla.backends import BUILT_IN, DTYPES, Backend, available, load
from tetrapla.commands import HELP, Refusal
from tetrapla.spec import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from tetrapla.parity.cases import Case
    from tetrapla.parity.engine import Verdict


QUIET = 15.0  # seconds without a word, where there is no terminal


def _words(
    ctx: click.Context, param: click.Parameter, value: Sequence[str]
) -> tuple[str, ...]:
    """Return the words of a repeatable option, each of which may be a list."""
    words = [word.strip() for text in value for word in text.split(",")]
    if value and not all(words):
        raise Refusal(f"--{param.name} has an empty name in {','.join(value)!r}")
    return tuple(dict.fromkeys(words))


@click.command(context_settings=HELP)
@click.option(
    "--backends",
    multiple=True,
    callback=_words,
    metavar="NAME,...",
    help="Which backends; by default all that are installed.",
)
@click.option(
    "--dtype",
    multiple=True,
    callback=_words,
    metavar="DTYPE,...",
    help="float32, float64; by default both.",
)
@click.option(
    "--filter", "text", default="", metavar="TEXT", help="Cases with TEXT in their name."
)
@click.option("--list", "listing", is_flag=True, help="Print the cases' names only.")
@click.option(
    "--json",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every verdict to FILE too.",
)
@click.pass_context
def parity(
    ctx: click.Context,
    backends: tuple[str, ...],
    dtype: tuple[str, ...],
    text: str,
    listing: bool,
    path: Path | None,
) -> None:
    """Check that the implementations agree.

    Every component, networks and short training runs, on every installed
    backend, against the specification evaluated in higher precision. Exits
    with 1 if anything differs.
    """
    cases = _cases(text)
    if listing:
        click.echo("\n".join(case.id for case in cases))
        return
    for name in dtype:
        if name not in DTYPES:
            raise Refusal(f"unknown dtype {name!r}; there are {', '.join(DTYPES)}")
    if path is not None and not path.parent.is_dir():  # said before the run
        raise Refusal(f"there is no folder {str(path.parent)!r} for {path.name}")
    wanted = tuple(d for d in dtype or DTYPES if any(d in c.dtypes for c in cases))
    if not wanted:
        raise Refusal(f"no case with {text!r} in its name runs in {', '.join(dtype)}")
    loaded, missing = _load(backends, wanted)

    from rich.console import Console

    from tetrapla.parity.report import Report, show, write

    verdicts = _run(cases, loaded)
    names = dict.fromkeys(backend.name for backend in loaded)
    versions = {name: version for name, version in available().items() if name in names}
    report = Report(verdicts, versions, missing)
    console = Console()
    # Rich takes 80 columns for a pipe or a file: too few for four backends.
    show(report, console if console.is_terminal else Console(width=100))
    if path is not None:
        try:
            write(report, path)
        except OSError as error:
            raise Refusal(f"cannot write {path}: {error.strerror}") from error
    ctx.exit(1 if report.failures else 0)


def _cases(text: str) -> "list[Case]":
    from tetrapla.parity.suite import cases

    chosen = [case for case in cases() if text in case.id]
    if not chosen:
        raise Refusal(f"no case has {text!r} in its name; --list prints them all")
    return chosen


def _load(
    names: tuple[str, ...], dtypes: tuple[str, ...]
) -> tuple[list[Backend], dict[str, str]]:
    """Return the backends, one per dtype, and those that are not here."""
    loaded: list[Backend] = []
    missing: dict[str, str] = {}
    for name in names or dict.fromkeys([*BUILT_IN, *available()]):
        try:
            loaded += [load(name, dtype=dtype) for dtype in dtypes]
        except InvalidInputError as error:
            raise Refusal(str(error)) from error
        except BackendUnavailableError as error:
            if names:
                raise Refusal(str(error)) from error
            missing[name] = str(error)
    return loaded, missing


def _run(cases: "list[Case]", backends: list[Backend]) -> "list[Verdict]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tetrapla.parity.engine import run

    total = sum(b.dtype in case.dtypes for case in cases for b in backends)
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    verdicts: list[Verdict] = []
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=total)
        said = time.monotonic()

        def on_case(case: "Case", dtype: str) -> None:
            nonlocal said
            progress.update(task, description=f"{case.id} {dtype}")
            # In a log there is no bar: a line now and then instead.
            if not console.is_terminal and time.monotonic() - said > QUIET:
                said = time.monotonic()
                click.echo(f"{len(verdicts)}/{total} {case.id} {dtype}", err=True)

        for verdict in run(cases, backends, on_case):
            verdicts.append(verdict)
            progress.advance(task)
    return verdicts
