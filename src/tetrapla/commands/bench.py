"""`tetrapla bench`: how fast `fit` is, beside what a user would pick instead.

With `--settings`: what dropout, early stopping ... cost. With `--scaling`:
how its cost grows.

No verdict: it exits with 0 whatever the figures are; 1: a framework's
process failed, or a peer or a loop by hand in it; 2: misuse.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetrapla.commands import FILE, HELP, Refusal, check_folders, json_file, words, written
from tetrapla.commands.tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console

    from tetrapla.benchmarks.measure import Contest
    from tetrapla.benchmarks.settings import Shares
    from tetrapla.parity.markup import Markup


@click.command(context_settings=HELP)
@click.option(
    "--frameworks",
    multiple=True,
    callback=words,
    metavar="NAME,...",
    help="numpy, torch, tf, jax; by default those that are installed.",
)
@click.option(
    "--problems",
    multiple=True,
    callback=words,
    metavar="NAME,...",
    help="small (64-128-64-10, batch 32), large (64-1024-1024-10, batch 128); "
    "by default both, or with --quick the small one.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    help="Of each run; 9, with --quick or --scaling 3.",
)
@click.option(
    "--device",
    default="cpu",
    metavar="cpu|gpu|gpu:N",
    help="Where all train; on a GPU without numpy, which has none.",
)
@click.option("--quick", is_flag=True, help="Shorter runs: a few minutes in all.")
@click.option("--svg", "figure", type=FILE, metavar="FILE", help="Draw the figure to FILE.")
@click.option(
    "--settings",
    is_flag=True,
    help="Measure instead what dropout, early stopping, checkpoints ... cost.",
)
@click.option(
    "--scaling",
    is_flag=True,
    help="Measure instead how time and memory grow with parameters, batches and data.",
)
@json_file
def bench(
    frameworks: tuple[str, ...],
    problems: tuple[str, ...],
    repeats: int | None,
    device: str,
    quick: bool,
    figure: Path | None,
    settings: bool,
    scaling: bool,
    path: Path | None,
) -> None:
    """Measure how fast fit is, beside its peers.

    In each framework's process everybody trains in turn: fit, what a user
    would pick instead, loops written by hand, and the floor, which is the
    time of the network's matrix products and of one pass of Adam over its
    weights. Figures move with the machine: what counts is the ratios. All
    compute in float32, which is never TF32. A peer whose package is not
    installed is left out.

    With --settings fit trains the small network with dropout, early stopping,
    a schedule, checkpoints, reports and metrics, each in turn with a run
    without any; a few minutes.

    With --scaling fit trains networks of 10^3 to 10^8 parameters on batches
    of 1 to 8192, beside the floor, and on 10^3 to 10^6 samples in memory and
    in a memory-mapped file; about half an hour.
    """
    from rich.console import Console

    from tetrapla.benchmarks import chart, measure, scaling_chart
    from tetrapla.benchmarks import scaling as growth
    from tetrapla.benchmarks.settings import shares
    from tetrapla.commands import scaling_tables
    from tetrapla.files import write_atomically

    check_folders(figure, path)
    if settings and (scaling or figure is not None):
        raise Refusal("--settings has no figure, and is a form of its own")
    named = bool(frameworks)
    frameworks = frameworks or tuple(
        name for name in measure.FRAMEWORKS if not measure.missing(name)
    )
    _check("framework", frameworks, tuple(measure.FRAMEWORKS))
    if (scaling or settings) and problems:
        form = "--scaling" if scaling else "--settings"
        raise Refusal(f"{form} has networks of its own: leave --problems out")
    problems = problems or (("small",) if quick else ("small", "large"))
    _check("problem", problems, ("small", "large"))
    for name in frameworks:
        if lacking := measure.missing(name):
            raise Refusal(f"the benchmark of {name} needs {', '.join(lacking)}")
    if scaling and device != "cpu":
        raise Refusal("--scaling measures the process's memory, and a GPU has its own")
    names, absent = _having(device, frameworks, named)
    frameworks = tuple(names)
    gpu = None if device == "cpu" else ", ".join(dict.fromkeys(names.values()))
    console = Console()
    about = measure.machine(device, gpu)
    versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    where = "" if gpu is None else f"{gpu} ({device}), "
    console.print(
        f"{where}{about['processor']}, {about['cores']} cores, {about['system']}, Python "
        f"{about['python']}, {about['date']}\n{versions}",
        highlight=False,
    )
    for name, why in absent.items():
        console.print(f"{name} is left out: {why}", highlight=False)
    failed: list[str] = []
    draw: Callable[[], Markup]
    try:
        if settings:
            every = []
            for share in shares(frameworks, repeats or (3 if quick else 9), quick, device):
                every.append(share)
                show_shares(console, share)
            report = {"settings": [each.data() for each in every]}
        elif scaling:
            costs = []
            for each in growth.scale(frameworks, repeats or 3, quick):
                costs.append(each)
                scaling_tables.show(console, each, growth.plan(quick))
            report = {"scaling": [each.data() for each in costs]}
            draw = partial(scaling_chart.svg, costs, about)
        else:
            found = []
            how = frameworks, problems, repeats or (3 if quick else 9), quick, device
            for contest in measure.measure(*how):
                found.append(contest)
                who = f"{contest.framework}, {contest.problem} network"
                failed += [f"{name} ({who})" for name in contest.failed]
                show(console, contest)
            report = {"contests": [contest.data() for contest in found]}
            draw = partial(chart.svg, found, about)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    if path is not None:
        whole: dict[str, Any] = {"machine": about, "quick": quick} | report
        whole["left_out"] = absent
        with written(path):
            write_atomically(path, (json.dumps(whole, indent=1) + "\n").encode())
    if figure is not None:
        with written(figure):
            write_atomically(figure, f"{draw()}\n".encode())
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def _having(
    device: str, frameworks: tuple[str, ...], named: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what frameworks call the device, and why others have none such.

    A framework that was named is not left out: it is refused.
    """
    from tetrapla.backends import load
    from tetrapla.benchmarks import measure
    from tetrapla.spec import BackendUnavailableError, InvalidInputError

    try:
        load("numpy", device)
    except InvalidInputError as error:
        raise Refusal(str(error)) from error
    except BackendUnavailableError as error:
        absent = {"numpy": str(error)}
    else:
        return dict.fromkeys(frameworks, device), {}
    if named and "numpy" in frameworks:
        raise Refusal(absent["numpy"])
    try:
        others = [name for name in frameworks if name != "numpy"]
        names, lacking = measure.named(others, device)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    if not names or (named and lacking):
        raise Refusal(next(iter([*lacking.values(), *absent.values()])))
    return names, {} if named else absent | lacking


def _check(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise Refusal(f"unknown {what} {name!r}; there are {', '.join(known)}")


def show(console: "Console", contest: "Contest") -> None:
    """Print a contest: rates, spread, and how many times as fast ours are."""
    ours = contest.of("ours")
    short = [each.name.removeprefix("tetrapla ") for each in ours]
    columns = ("", "steps/s", "spread", "first", "floor", *short)
    caption = (
        "first: the first run, compiling included. floor: the share of its speed. The last "
        "columns: how many times as fast our fit is."
    )
    table = plain_table(f"{contest.framework}, {contest.problem} network", caption, columns)
    for result in contest.results:
        rival = result.kind in ("peer", "loop")
        times = [f"{each.times(result):.2f} x" if rival else "" for each in ours]
        table.add_row(
            result.name,
            f"{result.rate:,.0f}",
            f"{result.spread:.0%}",
            f"{result.first:.1f} s",
            f"{result.times(contest.floor):.2f}",
            *times,
            style="bold" if result.kind == "ours" else None,
        )
    console.print(table)
    for what, others in (("left out", contest.left_out), ("failed", contest.failed)):
        for name, why in others.items():
            console.print(f"{what}: {name} ({why})", highlight=False, markup=False)


def show_shares(console: "Console", found: "Shares") -> None:
    """Print what each setting leaves of a backend's speed."""
    table = plain_table(
        f"{found.backend}, small network",
        "share: of the speed without the setting, in turn with it.",
        ("", "steps/s", "spread", "share"),
    )
    for result in found.results:
        rate, spread = f"{result.rate:,.0f}", f"{result.spread:.0%}"
        table.add_row(result.name, rate, spread, f"{found.share(result):.2f}")
    console.print(table)
