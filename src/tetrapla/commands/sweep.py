"""`tetrapla sweep`: an activation over the numbers of float32.

Exit code 0: all within their bounds; 1: some are not; 2: misuse.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tetrapla.backends import Backend, available, load
from tetrapla.commands import HELP, check_folders

if TYPE_CHECKING:
    from tetrapla.parity.sweep import Sweep
    from tetrapla.spec.activations import Activation

SAVED = 10.0  # seconds between two writes of the state


@click.command(context_settings=HELP)
@click.argument("activation")
@click.option("--backend", "name", default="numpy", metavar="NAME", help="Which backend.")
@click.option(
    "--every",
    is_flag=True,
    help="All 2^32 numbers (up to an hour) instead of half a million of every size.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the progress in FILE, and go on from it.",
)
@click.pass_context
def sweep(
    ctx: click.Context, activation: str, name: str, every: bool, state: Path | None
) -> None:
    """Measure an activation and its derivative, number by number.

    Prints the worst share of the oracle's bound and the worst distance in
    ULPs, each with the number where it is.
    """
    from tetrapla.parity import sweep as sweeps
    from tetrapla.spec.activations import activation as named

    g = named(activation)
    backend = load(name)
    so_far = sweeps.begin(g, backend, available()[name], every=every)
    check_folders(state)
    if state is not None and state.exists():
        so_far = sweeps.load(state, so_far)
    so_far = _run(so_far, g, backend, state)
    _show(so_far)
    ctx.exit(1 if so_far.a.outside or so_far.dz.outside else 0)


def _run(so_far: "Sweep", g: "Activation", backend: Backend, state: Path | None) -> "Sweep":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    from tetrapla.parity import sweep as sweeps

    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=so_far.chunks, completed=so_far.next)
        saved = said = time.monotonic()
        try:
            for further in sweeps.steps(so_far, g, backend):
                so_far = further
                progress.update(task, completed=so_far.next)
                now = time.monotonic()
                if state is not None and now - saved > SAVED:
                    sweeps.save(so_far, state)
                    saved = now
                if not console.is_terminal and now - said > 60:
                    click.echo(f"{so_far.next}/{so_far.chunks}", err=True)
                    said = now
        finally:  # an interrupted sweep is kept too
            if state is not None:
                sweeps.save(so_far, state)
    return so_far


def _show(s: "Sweep") -> None:
    which = "every finite float32" if s.every else "a sample of float32"
    click.echo(f"{s.activation} in {s.backend} {s.version}, {which}: {s.numbers:,} numbers")
    for label, found in (("g(z)", s.a), ("g'(z)", s.dz)):
        for what, worst in (("of the bound", found.fraction), ("ULP", found.ulps)):
            click.echo(
                f"  {label:6} worst {worst.size:.3g} {what} at z = {worst.z!r}: "
                f"got {worst.got:.9g}, exact {worst.expected:.12g}"
            )
        if found.outside:
            click.echo(f"  {label:6} {found.outside:,} numbers outside their bound")
        if found.unclaimed:
            click.echo(
                f"  {label:6} {found.unclaimed:,} numbers of which nothing is claimed"
            )
