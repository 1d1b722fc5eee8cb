"""What figures of distances share: logarithmic axes, curves, markers, labels.

An SVG is a string that markup.py builds. The colours are of Okabe and Ito's
palette, which differ for every kind of colour vision; shape and label say
the same without them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tetrapla.parity.markup import Markup, element, joined

SPACE = 15  # pixels between two labels

STYLE = """
.chart{--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;font:13px/1.4 system-ui,sans-serif}
.chart .k0{--k:#0072b2}.chart .k1{--k:#b34f00}.chart .k2{--k:#00785a}.chart .k3{--k:#a3487a}
.chart text{fill:var(--ink)}
.chart .soft{fill:var(--soft);paint-order:stroke;stroke:var(--page,#fff);stroke-width:5px}
.chart .grid{stroke:var(--line)}.chart .axis{stroke:var(--soft)}
.chart .unit{stroke:var(--soft);stroke-dasharray:2 4}
.chart .curve{fill:none;stroke:var(--k);stroke-width:1.8}
.chart .mark{fill:var(--k);stroke:var(--k)}.chart .hollow{fill:none;stroke:var(--k)}
.chart .name{fill:var(--k);font-weight:600}.chart .lead{stroke:var(--k);stroke-width:.8}
@media screen and (prefers-color-scheme:dark){
.chart{--ink:#e6edf3;--soft:#9aa4ae;--line:#3a424b}
.chart .k0{--k:#56b4e9}.chart .k1{--k:#f0a15a}
.chart .k2{--k:#2fc49a}.chart .k3{--k:#e39bc6}}
"""


@dataclass(frozen=True)
class Axes:
    """From counts (epochs, steps) and distances to pixels; y is logarithmic.

    `zero` are the pixels between the axis' end and where 0 is drawn.
    """

    left: float
    right: float
    top: float
    bottom: float
    first: int
    last: int
    low: int  # decades
    high: int
    zero: float = 0.0

    def x(self, count: float) -> float:
        """Return where a count is."""
        share = (count - self.first) / max(self.last - self.first, 1)
        return self.left + (self.right - self.left) * share

    def y(self, value: float) -> float:
        """Return where a distance is; what is beyond the axis is at its end."""
        if value <= 0:
            return self.bottom
        if value == math.inf:
            return self.top
        share = (math.log10(value) - self.low) / (self.high - self.low)
        end = self.bottom - self.zero
        return end - (end - self.top) * min(max(share, 0.0), 1.0)


def unit(dtype: str) -> float:
    """Return the unit roundoff: half the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps) / 2


def px(x: float) -> str:
    """Return a length as an attribute has it.

    >>> px(12.04), px(12.06)
    ('12', '12.1')
    """
    return f"{x:.1f}".removesuffix(".0")


def text(x: float, y: float, words: object, **attributes: object) -> Markup:
    """Return words at a place."""
    return element("text", words, x=px(x), y=px(y), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    places = {"x1": px(x1), "y1": px(y1), "x2": px(x2), "y2": px(y2)}
    return element("line", **places, class_=class_)


def power(base: int, exponent: int) -> Markup:
    """Return base to the exponent, for a label."""
    return joined(base, element("tspan", exponent, dy="-5", font_size="10"))


def decades(axes: Axes, labels: bool = True) -> Iterator[Markup]:
    """Yield the y axis: a line for each decade, or for every second."""
    every = 1 if axes.high - axes.low <= 8 else 2
    for decade in range(axes.high, axes.low - 1, -every):
        y = axes.y(10.0**decade)
        yield line(axes.left, y, axes.right, y, "grid")
        if labels:
            yield text(axes.left - 8, y + 4, power(10, decade), text_anchor="end")
    yield line(axes.left, axes.top, axes.left, axes.bottom - axes.zero, "axis")
    if labels and axes.zero:
        yield text(axes.left - 8, axes.bottom + 4, "0: equal", text_anchor="end")


def counts(axes: Axes, ticks: Iterable[int], words: str) -> Iterator[Markup]:
    """Yield the x axis; `words` say what is counted."""
    yield line(axes.left, axes.bottom, axes.right, axes.bottom, "axis")
    for count in ticks:
        x = axes.x(count)
        yield line(x, axes.bottom, x, axes.bottom + 5, "axis")
        yield text(x, axes.bottom + 19, f"{count:,}", text_anchor="middle")
    middle = (axes.left + axes.right) / 2
    yield text(middle, axes.bottom + 41, words, text_anchor="middle")


def upright(x: float, axes: Axes, words: str) -> Markup:
    """Return what the y axis shows, turned to run along it."""
    middle = (axes.top + axes.bottom) / 2
    turn = f"rotate(-90 {px(x)} {px(middle)})"
    return text(x, middle, words, text_anchor="middle", transform=turn)


def units(axes: Axes, dtypes: Iterable[str], below: bool = False) -> Iterator[Markup]:
    """Yield a line for each dtype, where one rounding is."""
    for dtype in dtypes:
        y = axes.y(unit(dtype))
        yield line(axes.left, y, axes.right, y, "unit")
        exponent = element("tspan", round(math.log2(unit(dtype))), dy="-4", font_size="9")
        label = joined(f"one rounding in {dtype}, 2", exponent)
        yield text(axes.left + 8, y + 15 if below else y - 6, label, class_="soft")


def points(
    axes: Axes, at: Iterable[int], distances: Iterable[float]
) -> list[tuple[float, float, float]]:
    """Return x, y and the distance, of those that are numbers."""
    pairs = zip(at, distances, strict=True)
    return [(axes.x(i), axes.y(d), d) for i, d in pairs if math.isfinite(d)]


def polyline(places: Iterable[tuple[float, float, float]], class_: str = "curve") -> Markup:
    """Return the line through points."""
    path = " ".join(f"{px(x)},{px(y)}" for x, y, _ in places)
    return element("polyline", points=path, class_=class_)


def marker(kind: int, x: float, y: float, class_: str) -> Markup:
    """Return a disc, square, triangle or diamond."""
    shapes = (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
        "m-3.5-3.5h7v7h-7z",
        "m0-5l4.5 8h-9z",
        "m0-5l5 5l-5 5l-5-5z",
    )
    return element("path", d=f"M{px(x)} {px(y)}{shapes[kind % 4]}", class_=class_)


def apart(places: Sequence[float], end: float) -> list[float]:
    """Return ascending places at least SPACE apart, none beyond `end`."""
    moved = list(places)
    for _ in range(100):  # neighbours push each other half way
        for i, (a, b) in enumerate(pairwise(moved)):
            short = SPACE - (b - a)
            if short > 0:
                moved[i : i + 2] = [a - short / 2, b + short / 2]
    over = max(0.0, (moved[-1] if moved else 0.0) - end)
    return [y - over for y in moved]
