"""The figure of a drift: a line for each backend, both dtypes in one."""

import math
from collections.abc import Iterator, Sequence

from tetrapla.parity import chart
from tetrapla.parity.drift import Curve, Drift
from tetrapla.parity.markup import Markup, element, joined

HEIGHT = 460
LEFT, RIGHT, TOP, BOTTOM = 74, 620, 24, 404
ZERO = 22  # pixels between the axis' end and where 0 is drawn
LETTER = 7.4  # pixels of one, or a little less
MARKED = 5  # epochs between two markers


def svg(found: Drift) -> Markup:
    """Return the figure.

    The y axis is logarithmic: a distance of 0 is drawn below its end, one
    that is no number is left out.
    """
    axes = _axes(found)
    names = list(dict.fromkeys(c.right for c in found.curves))
    against = found.curves[0].left if found.curves else "the first backend"
    title = f"Relative distance of the weights from {against}'s, {found.case}"
    epochs = f"epoch ({found.steps} step{'s' * (found.steps != 1)} each)"
    parts = [
        element("title", title, id="drift-title"),
        element("desc", "".join(_described(found)), id="drift-desc"),
        element("style", Markup(chart.STYLE)),
        *chart.decades(axes),
        *chart.counts(axes, _ticks(found.epochs), epochs),
        chart.upright(16, axes, "relative distance of all weights (no unit)"),
        *chart.units(axes, dict.fromkeys(c.dtype for c in found.curves)),
    ]
    for curve in found.curves:
        kind = names.index(curve.right)
        parts.append(element("g", *_drawn(axes, curve, kind), class_=f"k{kind % 4}"))
    parts += _labels(axes, found, names)
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_width(found):.0f} {HEIGHT}",
        role="img",
        aria_labelledby="drift-title drift-desc",
        class_="chart",
    )


def _width(found: Drift) -> float:
    """Return the figure's width: its labels are as long as names are."""
    longest = max((len(_label(c)) for c in found.curves), default=0)
    return RIGHT + 45 + LETTER * max(longest, 26)


def _described(found: Drift) -> Iterator[str]:
    yield f"A line for each backend over {found.epochs} epochs, logarithmic. "
    for c in found.curves:
        ends = f"{c.distances[0]:.1e} after epoch 1, {c.distances[-1]:.1e} after the last"
        yield f"{c.right} from {c.left} in {c.dtype}: {ends}. "


def _axes(found: Drift) -> chart.Axes:
    drawn = [d for c in found.curves for d in c.distances if 0 < d < math.inf]
    drawn += [chart.unit(c.dtype) for c in found.curves] or [1.0]
    low = math.floor(math.log10(min(drawn)))
    high = max(math.ceil(math.log10(max(drawn))), low + 1)
    return chart.Axes(LEFT, RIGHT, TOP, BOTTOM, 1, found.epochs, low, high, ZERO)


def _ticks(epochs: int) -> list[int]:
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 1000) if epochs / n <= 8)
    return [1, *(e for e in range(every, epochs + 1, every) if e > 1)]


def _drawn(axes: chart.Axes, curve: Curve, kind: int) -> Iterator[Markup]:
    """Yield the curve, and its markers: hollow where the distance is 0."""
    points = chart.points(axes, range(1, len(curve.distances) + 1), curve.distances)
    yield chart.polyline(points)
    for x, y, d in points[:: MARKED if len(points) > 2 * MARKED else 1]:
        yield chart.marker(kind, x, y, "mark" if d else "hollow")


def _labels(axes: chart.Axes, found: Drift, names: list[str]) -> Iterator[Markup]:
    """Yield each curve's name beside its end, moved apart where they meet."""
    ends = sorted((axes.y(_last(c.distances)), i) for i, c in enumerate(found.curves))
    places = chart.apart([y for y, _ in ends], HEIGHT - 10)
    for (end, i), y in zip(ends, places, strict=True):
        curve = found.curves[i]
        kind = names.index(curve.right)
        rest = _label(curve).removeprefix(curve.right)
        label = joined(element("tspan", curve.right, class_="name"), rest)
        yield element(
            "g",
            chart.line(RIGHT + 6, end, RIGHT + 20, y, "lead"),
            chart.marker(kind, RIGHT + 27, y, "mark"),
            chart.text(RIGHT + 37, y + 4, label),
            class_=f"k{kind % 4}",
        )


def _label(curve: Curve) -> str:
    last = curve.distances[-1]
    value = "equal" if last == 0 else f"{last:.1e}" if math.isfinite(last) else "no number"
    return f"{curve.right} {curve.dtype} {value}"


def _last(distances: Sequence[float]) -> float:
    """Return the last distance that is drawn."""
    return next((d for d in reversed(distances) if math.isfinite(d)), math.inf)
