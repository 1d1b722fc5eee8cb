"""Steps that shrink as the slope does, and where descents from random places end."""

import _descent
import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "On the left a curve of the loss over one weight, with the dots of gradient descent: "
    "each has its tangent, and the steps get shorter as the tangents become level. On "
    "the right the map over two weights, with descents from twelve random places: some "
    "end in the upper right valley, the others in the lower left one."
)
CAPTION = (
    "A step is the slope times the rate, so that it shrinks by itself near the bottom. "
    "Which of the two lowest points a descent finds depends on where it begins."
)
ETA, STEPS, SEEDS = 0.2, 200, range(1, 13)
MINUS = "\N{MINUS SIGN}"


def slide() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return w2, J and the slope in each step of a descent, while w1 stays 1."""
    b = tp.load("numpy", dtype="float64")
    weights = _descent.place(_descent.ZERO, _descent.FREE, (1.0, -2.0))
    places, losses = _descent.descend(b, weights, tp.SGD(ETA), 12, free=("1.weight",))
    w2 = places[:, 0]
    return w2[:-1], losses[:-1], np.diff(w2) / -ETA


def paths() -> list[np.ndarray]:
    """Return the chapter's descents: both weights in each step, from random places."""
    b = tp.load("numpy", dtype="float64")
    found = []
    for seed in SEEDS:
        start = 4.0 * tp.threefry.uniform(tp.threefry.key(seed), (2,)).astype(float) - 2.0
        weights = _descent.place(_descent.ZERO, _descent.FREE, start)
        found.append(_descent.descend(b, weights, tp.SGD(ETA), STEPS)[0])
    return found


def curve(ax: Axes) -> None:
    """Draw the loss over one weight, and on it each step with its tangent."""
    w = np.linspace(-2.4, 3.0, 109)
    weights = _descent.place(_descent.ZERO, _descent.FREE, (1, 0))
    loss = _descent.heights(w, weights=weights, free=("1.weight",))
    ax.plot(w, loss, color=_style.SOFT, lw=1.6)
    w2, height, slope = slide()
    for i in (0, 3, 8):
        ends = np.array([-1, 1]) * 1.3 / np.hypot(1, slope[i] / 2)
        ax.plot(w2[i] + ends, height[i] + slope[i] * ends, color=_style.ROSE, lw=2.4)
        said = f"slope {slope[i]:.1f}".replace("-", MINUS)
        at = w2[i] + 0.3, height[i] + (0.5 if i < 8 else 1.1)
        ax.text(*at, said, va="center", color=_style.ROSE, weight="bold")
    ax.plot(w2, height, "o", color=_style.TEAL, ms=6.5, zorder=4)
    ax.plot(w2[0], height[0], "o", ms=9, mfc="white", mec=_style.TEAL, mew=2, zorder=4)
    ax.vlines(w2, -1.1, -0.6, color=_style.TEAL, lw=1.4)
    ax.text(w2[0], -1.25, "the steps", va="top", color=_style.TEAL)
    ax.set(xlim=(-2.4, 3.7), ylim=(-2, 11), xticks=range(-2, 4), yticks=[0, 5, 10])
    ax.set(xlabel="w₂, while w₁ is 1", ylabel="loss J")
    ax.set_title("level ground, short steps")


@_style.drawn(8, 4)
def svg(fig: Figure) -> None:
    """Draw the curve with tangents beside the map with descents."""
    curve(fig.add_axes((0.07, 0.13, 0.4, 0.78)))
    ax = fig.add_axes((0.56, 0.13, 0.43, 0.78))
    w = np.linspace(-2.6, 2.6, 53)
    _style.heights(ax, w, w, _descent.heights(w, w).T, [0.1, 0.3, 0.6, 1, 2, 3, 5, 8, 11])
    for path in paths():
        color = _style.TEAL if path[-1, 0] > 0 else _style.ROSE
        ax.plot(*path.T, color=color, lw=1.4)
        ax.plot(*path[:25].T, "o", color=color, ms=3)
        ax.plot(*path[0], "o", ms=8, mfc="white", mec=color, mew=2, zorder=4)
    for lowest, color in [((1, 2), _style.TEAL), ((-1, -2), _style.ROSE)]:
        ax.plot(*lowest, "*", ms=16, color=color, mec="white", mew=1, zorder=5)
    ax.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), xticks=range(-2, 3), yticks=range(-2, 3))
    ax.set_title(f"{len(SEEDS)} starts, two ends")
    ax.set_xlabel("w₁")
    ax.set_ylabel("w₂", rotation=0)
