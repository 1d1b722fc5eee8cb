"""How far whole trainings drift apart: a figure, never a verdict.

Bounds that are carried through training are void after a few steps: each
step multiplies what the one before left. So a run is judged step by step
(verification.lock_step), and what the steps add up to is only shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from tetrapla.backends import Backend
from tetrapla.data import MissingExtraError
from tetrapla.parity.cases import TrainingCase
from tetrapla.parity.markup import Markup, element, joined
from tetrapla.parity.suite_networks import trainings
from tetrapla.spec.contract import Arrays
from tetrapla.spec.loop import EpochReport

SHOWN = "training/digits-adam"
EPOCHS = 30


@dataclass(frozen=True)
class Curve:
    """||w_left - w_right|| / ||w_left|| over all weights, after each epoch."""

    dtype: str
    left: str
    right: str
    distances: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """How far each backend is from the first, from the same weights on.

    `failed` are runs that raised, and what.
    """

    case: str
    epochs: int
    steps: int  # of one epoch
    curves: tuple[Curve, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def drift(case: TrainingCase, backends: Sequence[Backend], epochs: int = EPOCHS) -> Drift:
    """Train in every backend, and compare each with the first of its dtype."""
    (x, _), _ = case.data
    curves: list[Curve] = []
    failed: dict[str, str] = {}
    for dtype in sorted({b.dtype for b in backends}):
        first: tuple[str, list[Arrays]] | None = None
        for backend in (b for b in backends if b.dtype == dtype):
            try:
                run = _weights(case, backend, epochs)
                if first is None:
                    first = (backend.name, run)
                    continue
                left, weights = first
                distances = tuple(map(distance, weights, run))
            except Exception as error:  # a backend may raise anything
                name = f"{backend.name} {dtype}"
                failed[name] = f"{type(error).__name__}: {error}"
            else:
                curves.append(Curve(dtype, left, backend.name, distances))
    steps = len(case.training.batches(np.arange(len(x))))
    return Drift(case.id, epochs, steps, tuple(curves), failed)


def shown(backends: Sequence[Backend]) -> Drift | None:
    """Return the drift that a report shows, or None where there is none.

    It takes two backends, and scikit-learn's data.
    """
    if len({b.name for b in backends}) < 2:
        return None
    case = next(c for c in trainings() if c.id == SHOWN)
    assert isinstance(case, TrainingCase)
    try:
        return drift(case, backends)
    except MissingExtraError:
        return None


def _weights(case: TrainingCase, backend: Backend, epochs: int) -> list[Arrays]:
    """Return the weights after each epoch; no run ends early."""
    training = replace(
        case.training, epochs=epochs, convergence_threshold=None, early_stopping=None
    )
    data, _ = case.data
    found: list[Arrays] = []

    def keep(report: EpochReport) -> None:
        found.append(report.weights())

    backend.fit(case.net, case.weights, data, training, on_epoch=keep)
    if len(found) != epochs:
        raise ValueError(f"on_epoch was called {len(found)} times in {epochs} epochs")
    return found


def distance(a: Arrays, b: Arrays) -> float:
    """Return ||a - b|| / ||a|| over all arrays, in float64.

    >>> distance({"w": np.array([3.0, 4.0])}, {"w": np.array([3.0, 4.5])})
    0.1
    """
    flat = [np.concatenate([w[n].ravel() for n in a]).astype(np.float64) for w in (a, b)]
    with np.errstate(all="ignore"):
        apart = np.linalg.norm(flat[0] - flat[1])
        return float(apart / np.linalg.norm(flat[0])) if apart else 0.0


# The figure. Its colours are of Okabe and Ito's palette, which differ for
# every kind of colour vision; shape and label say the same without them.

HEIGHT = 460
LEFT, RIGHT, TOP, BOTTOM = 74, 620, 24, 404
ZERO = 22  # pixels between the axis' end and where 0 is drawn
SPACE = 15  # pixels between two labels
LETTER = 7.4  # pixels of one, or a little less
MARKED = 5  # epochs between two markers

STYLE = """
.drift{--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;font:13px/1.4 system-ui,sans-serif}
.drift .k0{--k:#0072b2}.drift .k1{--k:#b34f00}.drift .k2{--k:#00785a}.drift .k3{--k:#a3487a}
.drift text{fill:var(--ink)}
.drift .soft{fill:var(--soft);paint-order:stroke;stroke:var(--page,#fff);stroke-width:5px}
.drift .grid{stroke:var(--line)}.drift .axis{stroke:var(--soft)}
.drift .unit{stroke:var(--soft);stroke-dasharray:2 4}
.drift .curve{fill:none;stroke:var(--k);stroke-width:1.8}
.drift .mark{fill:var(--k);stroke:var(--k)}.drift .hollow{fill:none;stroke:var(--k)}
.drift .name{fill:var(--k);font-weight:600}.drift .lead{stroke:var(--k);stroke-width:.8}
@media screen and (prefers-color-scheme:dark){
.drift{--ink:#e6edf3;--soft:#9aa4ae;--line:#3a424b}
.drift .k0{--k:#56b4e9}.drift .k1{--k:#f0a15a}
.drift .k2{--k:#2fc49a}.drift .k3{--k:#e39bc6}}
"""


@dataclass(frozen=True)
class _Axes:
    """From epochs and distances to pixels; y is logarithmic."""

    epochs: int
    low: int  # decades
    high: int

    def x(self, epoch: float) -> float:
        return LEFT + (RIGHT - LEFT) * (epoch - 1) / max(self.epochs - 1, 1)

    def y(self, value: float) -> float:
        if value <= 0:
            return BOTTOM
        if value == math.inf:
            return TOP
        share = (math.log10(value) - self.low) / (self.high - self.low)
        end = BOTTOM - ZERO
        return end - (end - TOP) * min(max(share, 0.0), 1.0)


def svg(found: Drift) -> Markup:
    """Return the figure: a line for each backend, both dtypes in one.

    The y axis is logarithmic: a distance of 0 is drawn below its end, one
    that is no number is left out.
    """
    axes = _axes(found)
    names = list(dict.fromkeys(c.right for c in found.curves))
    against = found.curves[0].left if found.curves else "the first backend"
    title = f"Relative distance of the weights from {against}'s, {found.case}"
    parts = [
        element("title", title, id="drift-title"),
        element("desc", "".join(_described(found)), id="drift-desc"),
        element("style", Markup(STYLE)),
        *_grid(axes, found),
        *_units(axes, found),
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
        class_="drift",
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


def _axes(found: Drift) -> _Axes:
    drawn = [d for c in found.curves for d in c.distances if 0 < d < math.inf]
    drawn += [_unit(c.dtype) for c in found.curves] or [1.0]
    low = math.floor(math.log10(min(drawn)))
    high = math.ceil(math.log10(max(drawn)))
    return _Axes(found.epochs, low, max(high, low + 1))


def _unit(dtype: str) -> float:
    """Return the unit roundoff: half the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps) / 2


def _text(x: float, y: float, words: str, **attributes: object) -> Markup:
    return element("text", words, x=_px(x), y=_px(y), **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    places = {"x1": _px(x1), "y1": _px(y1), "x2": _px(x2), "y2": _px(y2)}
    return element("line", **places, class_=class_)


def _px(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _grid(axes: _Axes, found: Drift) -> Iterator[Markup]:
    every = 1 if axes.high - axes.low <= 8 else 2
    for decade in range(axes.high, axes.low - 1, -every):
        y = axes.y(10.0**decade)
        yield _line(LEFT, y, RIGHT, y, "grid")
        label = joined("10", element("tspan", decade, dy="-5", font_size="10"))
        yield _text(LEFT - 8, y + 4, label, text_anchor="end")
    yield _line(LEFT, TOP, LEFT, BOTTOM - ZERO, "axis")
    yield _line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis")
    yield _text(LEFT - 8, BOTTOM + 4, "0: equal", text_anchor="end")
    for epoch in _ticks(found.epochs):
        x = axes.x(epoch)
        yield _line(x, BOTTOM, x, BOTTOM + 5, "axis")
        yield _text(x, BOTTOM + 19, str(epoch), text_anchor="middle")
    steps = f"epoch ({found.steps} step{'s' * (found.steps != 1)} each)"
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 41, steps, text_anchor="middle")
    middle = (TOP + BOTTOM) / 2
    turn = f"rotate(-90 16 {_px(middle)})"
    words = "relative distance of all weights (no unit)"
    yield _text(16, middle, words, text_anchor="middle", transform=turn)


def _ticks(epochs: int) -> list[int]:
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 1000) if epochs / n <= 8)
    return [1, *(e for e in range(every, epochs + 1, every) if e > 1)]


def _units(axes: _Axes, found: Drift) -> Iterator[Markup]:
    for dtype in dict.fromkeys(c.dtype for c in found.curves):
        y = axes.y(_unit(dtype))
        yield _line(LEFT, y, RIGHT, y, "unit")
        power = round(math.log2(_unit(dtype)))
        label = joined(
            f"one rounding in {dtype}, 2", element("tspan", power, dy="-4", font_size="9")
        )
        yield _text(LEFT + 8, y - 6, label, class_="soft")


def _drawn(axes: _Axes, curve: Curve, kind: int) -> Iterator[Markup]:
    """Yield the curve, and its markers: hollow where the distance is 0."""
    points = [
        (axes.x(i), axes.y(d), d)
        for i, d in enumerate(curve.distances, 1)
        if math.isfinite(d)
    ]
    path = " ".join(f"{_px(x)},{_px(y)}" for x, y, _ in points)
    yield element("polyline", points=path, class_="curve")
    for x, y, d in points[:: MARKED if len(points) > 2 * MARKED else 1]:
        yield _marker(kind, x, y, "mark" if d else "hollow")


def _marker(kind: int, x: float, y: float, class_: str) -> Markup:
    """Return a disc, square, triangle or diamond."""
    shapes = (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
        "m-3.5-3.5h7v7h-7z",
        "m0-5l4.5 8h-9z",
        "m0-5l5 5l-5 5l-5-5z",
    )
    return element("path", d=f"M{_px(x)} {_px(y)}{shapes[kind % 4]}", class_=class_)


def _labels(axes: _Axes, found: Drift, names: list[str]) -> Iterator[Markup]:
    """Yield each curve's name beside its end, moved apart where they meet."""
    ends = sorted((axes.y(_last(c.distances)), i) for i, c in enumerate(found.curves))
    places = _apart([y for y, _ in ends])
    for (end, i), y in zip(ends, places, strict=True):
        curve = found.curves[i]
        kind = names.index(curve.right)
        rest = _label(curve).removeprefix(curve.right)
        label = joined(element("tspan", curve.right, class_="name"), rest)
        yield element(
            "g",
            _line(RIGHT + 6, end, RIGHT + 20, y, "lead"),
            _marker(kind, RIGHT + 27, y, "mark"),
            _text(RIGHT + 37, y + 4, label),
            class_=f"k{kind % 4}",
        )


def _label(curve: Curve) -> str:
    last = curve.distances[-1]
    value = "equal" if last == 0 else f"{last:.1e}" if math.isfinite(last) else "no number"
    return f"{curve.right} {curve.dtype} {value}"


def _last(distances: Sequence[float]) -> float:
    """Return the last distance that is drawn."""
    return next((d for d in reversed(distances) if math.isfinite(d)), math.inf)


def _apart(places: list[float]) -> list[float]:
    """Return ascending places at least SPACE apart, within the figure."""
    moved = list(places)
    for _ in range(100):  # neighbours push each other half way
        for i, (a, b) in enumerate(pairwise(moved)):
            short = SPACE - (b - a)
            if short > 0:
                moved[i : i + 2] = [a - short / 2, b + short / 2]
    over = max(0.0, (moved[-1] if moved else 0.0) - (HEIGHT - 10))
    return [y - over for y in moved]
