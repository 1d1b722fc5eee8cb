"""The figure: a bar for each contestant, its length the steps per second."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tetrapla.benchmarks.contest import Result
from tetrapla.benchmarks.measure import Contest
from tetrapla.parity import chart
from tetrapla.parity.markup import Markup, element

WIDTH, LEFT, RIGHT = 780, 190, 610
ROW, HEAD, FOOT = 20, 44, 30
KINDS = {"ours": 0, "peer": 1, "loop": 2, "floor": 3, "products": 3}


def svg(contests: Sequence[Contest], about: Mapping[str, Any]) -> Markup:
    """Return the figure, a panel for each contest."""
    heights = [HEAD + ROW * len(contest.results) for contest in contests]
    height = sum(heights) + FOOT
    parts: list[Markup] = []
    top = 0
    for contest, own in zip(contests, heights, strict=True):
        parts += _panel(contest, top)
        top += own
    where = f"{about['processor']}, {about['cores']} cores, {about['date']}"
    if "gpu" in about:
        where = f"{about['gpu']}, {where}"
    return element(
        "svg",
        element("title", "Training steps per second", id="speed-title"),
        element("desc", "".join(_described(contests)), id="speed-desc"),
        element("style", Markup(chart.STYLE)),
        *parts,
        chart.text(LEFT, height - 10, where, class_="soft"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_labelledby="speed-title speed-desc",
        class_="chart",
    )


def _described(contests: Sequence[Contest]) -> Iterator[str]:
    for contest in contests:
        yield f"{contest.framework}, {contest.problem} network: "
        yield ", ".join(f"{r.name} {r.rate:,.0f}" for r in contest.results) + ". "


def _panel(contest: Contest, top: float) -> Iterator[Markup]:
    title = f"{contest.framework}, {contest.problem} network"
    yield chart.text(LEFT, top + 26, f"{title}, steps per second", class_="name")
    most = max(result.rate for result in contest.results)
    for i, result in enumerate(contest.results):
        yield from _row(result, top + HEAD + ROW * i, (RIGHT - LEFT) / most)


def _row(result: Result, top: float, scale: float) -> Iterator[Markup]:
    end = LEFT + result.rate * scale
    middle = top + ROW / 2
    low, high = (end + sign * result.spread * result.rate * scale for sign in (-1, 1))
    bar = element(
        "rect",
        x=chart.px(LEFT),
        y=chart.px(top + 3),
        width=chart.px(max(end - LEFT, 1)),
        height=chart.px(ROW - 6),
        class_="mark",
        fill_opacity="0.75" if result.kind == "ours" else "0.35",
    )
    yield element("g", bar, class_=f"k{KINDS[result.kind]}")
    yield chart.line(low, middle, high, middle, "axis")
    yield chart.text(LEFT - 8, middle + 4, result.name, text_anchor="end")
    yield chart.text(max(end, high) + 8, middle + 4, f"{result.rate:,.0f}")
