"""The tables of `tetrapla bench --scaling`: a framework's costs and data sets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tetrapla.commands.tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tetrapla.benchmarks.scaling import Cost, Plan, Scaling, Stream


def show(console: "Console", found: "Scaling", plan: "Plan") -> None:
    """Print a framework's tables: one for each backend, and one of data sets."""
    for backend in found.backends:
        console.print(
            _costs(backend, [c for c in found.costs if c.backend == backend], plan)
        )
    console.print(_streams(found.framework, found.streams))


def _costs(backend: str, costs: Sequence["Cost"], plan: "Plan") -> "Table":
    caption = (
        f"Points of at most {plan.limit:.0e} operations a step. start: what a fit needs "
        "beside its steps; needed: weights, gradient and two moments in float32."
    )
    names = ("parameters", "batch", "step", "floor", "times", "start", "memory", "needed")
    table = plain_table(f"{backend}: a step of fit", caption, names)
    for cost in costs:
        table.add_row(
            f"{cost.parameters:,}",
            f"{cost.batch:,}",
            seconds(cost.fit.step),
            seconds(cost.floor.step),
            f"{cost.times:.2f}",
            f"{1000 * cost.fit.start:,.0f} ms",
            "" if cost.memory is None else size(cost.memory),
            size(cost.needed),
        )
    return table


def _streams(framework: str, streams: Sequence["Stream"]) -> "Table":
    caption = (
        "64-128-64-10, batch 128. ratio: the time in memory by that from a memory-mapped "
        "file, which the system's cache holds."
    )
    names = ("backend", "samples", "steps", "in memory", "from file", "ratio")
    table = plain_table(f"{framework}: a step on data of any size", caption, names)
    for each in streams:
        table.add_row(
            each.backend,
            f"{each.samples:,}",
            f"{each.steps:,}",
            seconds(each.step),
            seconds(each.file_step),
            f"{each.ratio:.2f}",
        )
    return table


def seconds(value: float) -> str:
    """Return a time as people read it.

    >>> seconds(0.0000123), seconds(0.0456), seconds(7.8)
    ('12.3 us', '45.6 ms', '7.8 s')
    """
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if abs(value) >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value / 1e-6:.1f} us"


def size(value: int) -> str:
    """Return bytes as people read them.

    >>> size(1_600_000_000), size(12_300_000), size(16_000)
    ('1.6 GB', '12.3 MB', '16.0 kB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if abs(value) >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value / 1e3:.1f} kB"
