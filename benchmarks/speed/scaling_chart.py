"""The figure: time per step and memory against parameters, both logarithmic.

A panel for each backend, in it a line for each batch and under it, dashed, the
framework's floor; then a panel of memory, with the line of what is needed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tetrapla.benchmarks.scaling import Cost, Scaling, needed
from tetrapla.parity import chart
from tetrapla.parity.markup import Markup, element

WIDE, HIGH = 200, 250  # of a panel's axes
LEFT, TOP, BESIDE, UNDER = 52, 74, 84, 74
FOOT = 26
COLUMNS = 4
LIBRARY = "6 3"  # the dashes of a backend that calls a library
FRAMEWORKS = ("numpy", "torch", "tf", "jax")

STYLE = """
.chart{--page:#fff}.chart .page{fill:var(--page)}
.chart .panel{font-weight:700}.chart .head{font-size:18px;font-weight:700}
.chart .small{font-size:11px}
.chart .floor{fill:none;stroke:var(--soft);stroke-width:1.4;stroke-dasharray:4 3}
@media screen and (prefers-color-scheme:dark){.chart{--page:#0d1117}}
"""


@dataclass(frozen=True)
class Line:
    """A line of a panel: (parameters, value) in ascending order, and its name."""

    name: str
    kind: int  # the framework's colour
    places: tuple[tuple[int, float], ...]
    dashes: str | None = None
    floor: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines of one unit."""

    title: str
    lines: tuple[Line, ...]


def svg(found: Sequence[Scaling], about: Mapping[str, Any]) -> Markup:
    """Return the figure."""
    costs = [cost for each in found for cost in each.costs]
    kinds = {b: FRAMEWORKS.index(each.framework) for each in found for b in each.backends}
    names = sorted(kinds, key=lambda name: "." in name)  # those from scratch first
    times = [_times(name, kinds[name], costs) for name in names]
    memory = _memory(kinds, costs)
    columns = max(2, min(COLUMNS, len(times) + 1))
    rows = math.ceil((len(times) + (memory is not None)) / columns)
    width = columns * (LEFT + WIDE + BESIDE)
    height = TOP + rows * (HIGH + UNDER) + FOOT
    xs = _span(float(cost.parameters) for cost in costs)
    ys = _span(value for panel in times for value in _values(panel))
    parts: list[Markup] = []
    for i, panel in enumerate([*times, *([] if memory is None else [memory])]):
        own = _span(_values(panel)) if panel is memory else ys
        left = LEFT + i % columns * (LEFT + WIDE + BESIDE)
        top = TOP + i // columns * (HIGH + UNDER)
        edges = (left, left + WIDE, top, top + HIGH)
        parts += _panel(chart.Axes(*edges, *xs, *own), panel)
    where = f"{about['processor']}, {about['cores']} cores, {about['date']}"
    head = "A step of fit, by parameters and batch"
    return element(
        "svg",
        element("title", "Time per step and memory by parameters", id="scaling-title"),
        element("desc", "".join(_described(costs)) + where, id="scaling-desc"),
        element("style", Markup(chart.STYLE + STYLE)),
        element("rect", width=width, height=height, class_="page"),
        chart.text(LEFT, 28, head, class_="head"),
        *parts,
        chart.text(LEFT, height - 10, where, class_="soft"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby="scaling-title scaling-desc",
        class_="chart",
    )


def _described(costs: Sequence[Cost]) -> Iterator[str]:
    yield "Seconds per step, and how many times the floor's that is: "
    for c in costs:
        yield f"{c.backend}, {c.parameters:,} parameters, batch {c.batch:,}: "
        yield f"{c.fit.step:.2g} s, {c.times:.1f} times"
        yield "; " if c.memory is None else f", {c.memory / 1e6:,.1f} MB; "


def _times(backend: str, kind: int, costs: Sequence[Cost]) -> Panel:
    own = [cost for cost in costs if cost.backend == backend]
    lines = []
    for batch in sorted({cost.batch for cost in own}):
        of_batch = [cost for cost in own if cost.batch == batch]
        floor = _above_zero((c.parameters, c.floor.step) for c in of_batch)
        fit = _above_zero((c.parameters, c.fit.step) for c in of_batch)
        lines.append(Line("", kind, floor, floor=True))
        lines.append(Line(f"batch {batch:,}", kind, fit))
    return Panel(f"{backend}: seconds per step", tuple(lines))


def _memory(kinds: Mapping[str, int], costs: Sequence[Cost]) -> Panel | None:
    """Return the panel of memory, of the middle batch; None where nobody knows."""
    known = [cost for cost in costs if cost.memory is not None]
    if not known:
        return None
    every = sorted({cost.batch for cost in known})
    # the middle one of those that were measured on the largest network
    largest = max(cost.parameters for cost in known)
    batches = [b for b in every if any(_is(c, largest, b) for c in known)]
    batch = batches[len(batches) // 2]
    of_batch = [cost for cost in known if cost.batch == batch]
    sizes = sorted({cost.parameters for cost in of_batch})
    lines = [Line("needed", 0, tuple((n, needed(n)) for n in sizes), floor=True)]
    for name, kind in kinds.items():
        places = _above_zero(
            (c.parameters, c.memory) for c in of_batch if c.backend == name
        )
        lines.append(Line(name, kind, places, LIBRARY if "." in name else None))
    return Panel(f"bytes of memory, batch {batch:,}", tuple(lines))


def _is(cost: Cost, parameters: int, batch: int) -> bool:
    return (cost.parameters, cost.batch) == (parameters, batch)


def _above_zero(places: Any) -> tuple[tuple[int, float], ...]:
    """Return those that a logarithm has: a difference of times may be none."""
    return tuple((n, value) for n, value in sorted(places) if value > 0)


def _values(panel: Panel) -> Iterator[float]:
    return (value for line in panel.lines for _, value in line.places)


def _span(values: Iterator[float]) -> tuple[int, int]:
    """Return the decades around values."""
    logs = [math.log10(value) for value in values] or [0.0]
    low, high = math.floor(min(logs) + 0.02), math.ceil(max(logs) - 0.02)
    return low, max(high, low + 1)


def _panel(axes: chart.Axes, panel: Panel) -> Iterator[Markup]:
    yield chart.text(axes.left, axes.top - 14, panel.title, class_="panel")
    yield from chart.decades(axes)
    yield chart.line(axes.left, axes.bottom, axes.right, axes.bottom, "axis")
    for decade in range(axes.first, axes.last + 1):
        x = axes.x(decade)
        yield chart.line(x, axes.bottom, x, axes.bottom + 5, "axis")
        label = chart.power(10, decade)
        yield chart.text(x, axes.bottom + 20, label, text_anchor="middle")
    middle = (axes.left + axes.right) / 2
    yield chart.text(middle, axes.bottom + 38, "parameters", text_anchor="middle")
    ends = []
    for line in panel.lines:
        places = [(axes.x(math.log10(n)), axes.y(v), v) for n, v in line.places]
        if not places:
            continue
        yield _drawn(line, places)
        if line.name and places[-1][0] < axes.right - 1:  # it had to end early
            yield _beginning(line, *places[0][:2])
        elif line.name:
            ends.append((places[-1][0], places[-1][1], line))
    if any(line.floor and not line.name for line in panel.lines) and ends:
        ends.append((axes.right, axes.bottom + 2, Line("- - floor", 0, (), floor=True)))
    yield from _labels(axes, ends)


def _drawn(line: Line, places: list[tuple[float, float, float]]) -> Markup:
    if line.floor:
        return chart.polyline(places, "floor")
    path = " ".join(f"{chart.px(x)},{chart.px(y)}" for x, y, _ in places)
    curve = element("polyline", points=path, class_="curve", stroke_dasharray=line.dashes)
    marks = [
        element("circle", cx=chart.px(x), cy=chart.px(y), r="2", class_="mark")
        for x, y, _ in places
    ]
    return element("g", curve, *marks, class_=f"k{line.kind}")


def _beginning(line: Line, x: float, y: float) -> Markup:
    """Return a line's name above its first point: its end is among others."""
    label = chart.text(x + 2, y - 8, line.name, text_anchor="start", class_="small name")
    return element("g", label, class_=f"k{line.kind}")


def _labels(axes: chart.Axes, ends: list[tuple[float, float, Line]]) -> Iterator[Markup]:
    """Yield each line's name right of the axes, joined to where the line ends."""
    ends = sorted(ends, key=lambda end: end[1])
    heights = chart.apart([y for _, y, _ in ends], axes.bottom + 4)
    under = max(0.0, axes.top - heights[0]) if heights else 0.0
    for (x, y, line), above in zip(ends, heights, strict=True):
        height = above + under
        class_ = "small soft" if line.floor else "small name"
        label = chart.text(axes.right + 14, height + 4, line.name, class_=class_)
        lead = None
        if line.places:
            lead = chart.line(x + 3, y, axes.right + 12, height, "lead")
        yield element("g", lead, label, class_=None if line.floor else f"k{line.kind}")
