"""The figure of trajectories: a panel for each setting, both dtypes in each."""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from tetrapla.parity import chart
from tetrapla.parity.drift import Curve
from tetrapla.parity.markup import Markup, element, joined
from tetrapla.parity.trajectories import CONTROL, Paths, Trajectories, growth

WIDTH, HEIGHT = 980, 540
LEFT, BETWEEN, TOP, BOTTOM = 70, 34, 104, 480
LOW = -18  # decades: what one float64 rounding leaves in one of many weights
MARKED = 10  # recorded steps between two markers of a curve
ZERO = 22  # pixels below the axis, where a distance is 0

# It may stand alone, so it brings its page's colour along.
STYLE = """
.chart{--page:#fff}
.chart .page{fill:var(--page)}
.chart .head{font-size:18px;font-weight:700}.chart .panel{font-size:15px;font-weight:700}
.chart .note{fill:var(--soft)}.chart .strong{font-weight:600}
.chart .halo{paint-order:stroke;stroke:var(--page);stroke-width:5px}
.chart .control{fill:none;stroke:var(--ink);stroke-width:1.8;stroke-dasharray:7 4}
.chart .guide{stroke:var(--soft);stroke-width:9;opacity:.28}
@media screen and (prefers-color-scheme:dark){.chart{--page:#0d1117}}
"""


def svg(found: Trajectories, made: str) -> Markup:
    """Return the figure; `made` says where and when it was measured.

    The y axis is logarithmic: a distance of 0 is drawn below its end, one
    that is no number is left out.
    """
    names = _names(found)
    against = next((c.left for p in found.paths for c in p.curves), "the first backend")
    last = found.at[-1]
    head = "Same data, batches, masks and formulas: only the learning rate differs"
    axis = f"relative distance of the weights from {against}'s"
    parts = [
        element("title", f"How far runs of {last:,} steps drift apart", id="paths-title"),
        element("desc", "".join(_described(found, made)), id="paths-desc"),
        element("style", Markup(chart.STYLE + STYLE)),
        element("rect", width=WIDTH, height=HEIGHT, class_="page"),
        chart.text(LEFT, 30, head, class_="head"),
    ]
    zeros = any(d == 0 for p in found.paths for c in p.curves for d in c.distances)
    wide = (WIDTH - 24 - LEFT + BETWEEN) / max(len(found.paths), 1) - BETWEEN
    for i, paths in enumerate(found.paths):
        left = LEFT + i * (wide + BETWEEN)
        edges = (left, left + wide, TOP, BOTTOM)
        axes = chart.Axes(*edges, 0, last, LOW, 0, ZERO if zeros else 0)
        if i == 0:
            parts.append(chart.upright(16, axes, axis))
        parts += _panel(axes, paths, found.at, names, labels=i == 0)
    if found.paths:
        parts += _legend(LEFT + 14, TOP + 24, names, against)
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby="paths-title paths-desc",
        class_="chart",
    )


def _names(found: Trajectories) -> list[str]:
    """Return the backends that are compared, in their order."""
    names = dict.fromkeys(c.right for p in found.paths for c in p.curves)
    return [name for name in names if name != CONTROL]


def _described(found: Trajectories, made: str) -> Iterator[str]:
    yield "The relative distance of all weights after each of "
    yield f"{found.at[-1]:,} steps, logarithmic; a panel for each setting. "
    for p in found.paths:
        yield f"{p.setting.name}, learning rate {p.setting.lr:g}: "
        for c in p.curves:
            ends = (
                f"{c.distances[0]:.1e} after step 1, {c.distances[-1]:.1e} after the last"
            )
            yield f"{c.right} from {c.left} in {c.dtype} {ends}; "
        yield "learning rate times sharpness "
        yield f"{p.reach:.2g}. "
    yield made


def _panel(
    axes: chart.Axes, paths: Paths, at: Sequence[int], names: list[str], labels: bool
) -> Iterator[Markup]:
    setting = paths.setting
    title = f"{setting.name}: learning rate {setting.lr:g}"
    yield chart.text(axes.left, TOP - 40, title, class_="panel")
    yield chart.text(axes.left, TOP - 19, _reach(paths), class_="note")
    dtypes = list(dict.fromkeys(c.dtype for c in paths.curves))
    yield from chart.decades(axes, labels)
    yield from chart.counts(axes, _ticks(at[-1]), "step")
    yield from chart.units(axes, dtypes if labels else (), below=True)
    for dtype in [] if labels else dtypes:
        y = axes.y(chart.unit(dtype))
        yield chart.line(axes.left, y, axes.right, y, "unit")
    for dtype in dtypes:
        curves = [c for c in paths.curves if c.dtype == dtype]
        yield from _said(axes, paths, curves, at)
    for curve in paths.curves:
        yield _drawn(axes, curve, at, names)
    scores = [f"{a:.1%}" for a in sorted(paths.accuracies.values())]
    if scores:
        ends = scores[0] if scores[0] == scores[-1] else f"{scores[0]} to {scores[-1]}"
        words = f"test accuracy of these runs: {ends}"
        place = {"text_anchor": "end", "class_": "halo strong"}
        yield chart.text(axes.right - 8, axes.y(10.0**LOW) - 12, words, **place)


def _reach(paths: Paths) -> str:
    if math.isnan(paths.reach):
        return ""
    what = f"learning rate times sharpness {paths.reach:.1f}"
    if paths.reach > 2:
        return f"{what} > 2: differences grow"
    return f"{what} < 2: differences do not grow"


def _ticks(steps: int) -> range:
    """Return at most six counts, 0 among them.

    >>> list(_ticks(1000)), list(_ticks(30))
    ([0, 200, 400, 600, 800, 1000], [0, 10, 20, 30])
    """
    bases = (1, 2, 5)
    sizes = (base * 10**power for power in range(10) for base in bases)
    every = next(n for n in sizes if steps / n <= 5)
    return range(0, steps + 1, every)


def _said(
    axes: chart.Axes, paths: Paths, curves: Sequence[Curve], at: Sequence[int]
) -> Iterator[Markup]:
    """Yield what a dtype's curves say: the line they follow, or where they end."""
    slopes = [g for c in paths.curves if not math.isnan(g := growth(c, at))]
    slope = fmean(slopes) if slopes else 0.0
    dtype, u = curves[0].dtype, chart.unit(curves[0].dtype)
    bold = element("tspan", dtype, class_="strong")
    whole = -math.log(u) / slope if slope > 0 else math.inf  # steps, from u to 1
    if whole > at[-1]:
        ends = [c.distances[-1] for c in curves if 0 < c.distances[-1] < math.inf]
        top = axes.y(max(ends, default=u))
        rest = joined(": ", _power(max(ends)), f" after {at[-1]:,} steps") if ends else ""
        place = {"text_anchor": "end", "class_": "halo"}
        yield chart.text(axes.right - 8, top - 12, joined(bold, rest), **place)
        return
    yield chart.line(axes.x(0), axes.y(u), axes.x(whole), axes.y(1.0), "guide")
    half = axes.x(whole / 2) + 18, axes.y(math.sqrt(u)) + 14
    yield chart.text(*half, dtype, class_="halo strong")
    if dtype != paths.curves[-1].dtype:
        return  # said once, beside the last, where there is room
    exponent = element("tspan", f"{slope:.3f} t", dy="-5", font_size="10")
    rest = f": doubles every {math.log(2) / slope:.0f} steps"
    law = joined("≈ u e", exponent, element("tspan", rest, dy="5"))
    yield chart.text(half[0], half[1] + 20, law, class_="halo")
    last = [d for c in paths.curves if math.isfinite(d := c.distances[-1])]
    if not last:
        return
    lines = (f"{min(last):.0%} to {max(last):.0%} apart", f"after {at[-1]:,} steps")
    for i, words in enumerate(lines):
        y = axes.y(min(last)) + 26 + 18 * i
        place = {"text_anchor": "end", "class_": "halo strong"}
        yield chart.text(axes.right - 8, y, words, **place)


def _power(value: float) -> Markup:
    """Return a number as people write it: 6 x 10^-16."""
    mantissa, exponent = f"{value:.0e}".split("e")
    raised = element("tspan", int(exponent), dy="-5", font_size="10")
    return joined(f"{mantissa} · 10", raised, element("tspan", "\u200a", dy="5"))


def _drawn(axes: chart.Axes, curve: Curve, at: Sequence[int], names: list[str]) -> Markup:
    """Return the curve, and its markers: hollow where the distance is 0."""
    points = chart.points(axes, at, curve.distances)
    if curve.right == CONTROL:
        return chart.polyline(points, "control")
    kind = names.index(curve.right)
    start = 2 + 3 * kind  # no marker upon another
    marks = [
        chart.marker(kind, x, y, "mark" if d else "hollow")
        for x, y, d in points[start::MARKED]
    ]
    return element("g", chart.polyline(points), *marks, class_=f"k{kind % 4}")


def _legend(x: float, y: float, names: list[str], against: str) -> Iterator[Markup]:
    """Yield what each line is, in the first panel's empty half."""
    for kind, name in enumerate(names):
        row = y + 21 * kind
        yield element(
            "g",
            chart.line(x, row - 4, x + 34, row - 4, "curve"),
            chart.marker(kind, x + 17, row - 4, "mark"),
            chart.text(x + 44, row, element("tspan", name, class_="name")),
            chart.text(x + 52 + 8 * len(name), row, f"from {against}", class_="note"),
            class_=f"k{kind % 4}",
        )
    row = y + 21 * len(names)
    yield chart.line(x, row - 4, x + 34, row - 4, "control")
    words = f"{against} from itself, one weight moved by one ULP"
    yield chart.text(x + 44, row, words, class_="halo")
