"""Three of the four words as boxes in boxes, in each a rule for the same students."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

import tetrapla as tp

ALT = (
    "Three boxes, each inside the one before: artificial intelligence, machine learning, "
    "deep learning. Each has a map of lectures and hours with three students. The typed "
    "rule is a level line, the learned one slants, the deep one bends; all are right. A "
    "fourth student fails by the learned rule only, with more lectures and hours than one "
    "who passed."
)
CAPTION = (
    "Dots passed, the square failed: all three rules are right about them. The student "
    "with the question mark did more than one who passed, and fails by the rule in the "
    "middle."
)
TYPED, NEW = 3.0, np.array([[10.0, 7.0]])
DEEP = tp.Sequential(tp.Dense(2, 8, "tanh"), tp.Dense(8, 8, "tanh"), tp.Dense(8, 1))
WORDS = [
    ("artificial intelligence", f"typed: hours ≥ {TYPED:g}"),
    ("machine learning", "line found"),
    ("deep learning", "features found too"),
]


def answers(places: np.ndarray) -> list[np.ndarray]:
    """Return what each rule says of rows of (lectures, hours): above 0 is a pass."""
    b = tp.load("numpy", dtype="float64")
    d = tp.data.lecture()
    said = [places[:, 1] - TYPED]
    for net in (d.network(hidden=()), DEEP):
        settings = tp.Training(200, "all", tp.SGD(0.1), d.loss)
        run = b.fit(net, net.init(seed=0), (d.x_train, d.y_train), settings)
        said.append(b.forward(net, run.weights, places)[:, 0])
    return said


def boxes() -> list[tuple[float, float, float, float]]:
    """Return left, bottom, width and height of each box."""
    return [
        (left, 0.08 + 0.1 * i, 7.32 - 0.1 * i - left, 4.14 - 0.66 * i)
        for i, left in enumerate((0.08, 2.58, 4.93))
    ]


def students(ax: Axes) -> None:
    """Draw the three, and the new one."""
    d = tp.data.lecture()
    for (x, y), passed in zip(d.x_train, d.y_train[:, 0], strict=True):
        color, mark = (_style.TEAL, "o") if passed else (_style.ROSE, "s")
        ax.plot(x, y, mark, ms=8, color=color, mec="white", mew=1)
    ax.plot(*NEW[0], "o", ms=13, mfc="white", mec=_style.INK, mew=1.6)
    ax.text(*NEW[0] - [0, 0.08], "?", ha="center", va="center", weight="bold")


@_style.drawn(7.4, 4.3)
def svg(fig: Figure) -> None:
    """Draw the boxes, and in each its map."""
    back = fig.add_axes((0, 0, 1, 1))
    back.set(xlim=(0, 7.4), ylim=(0, 4.3))
    _style.bare(back)
    axis = np.linspace(0, 11, 45)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    for i, said in enumerate(answers(grid)):
        left, bottom, width, height = boxes()[i]
        style = {"boxstyle": "round,pad=0,rounding_size=0.14", "ec": _style.SOFT}
        color = ["#e9edf1", "#f4f6f8", "white"][i]
        back.add_patch(FancyBboxPatch((left, bottom), width, height, fc=color, **style))
        x, y = left + 0.14, bottom + height - 0.12
        back.text(x, y, WORDS[i][0], size=13, weight="bold", va="top")
        back.text(x, y - 0.27, WORDS[i][1], va="top")
        ax = fig.add_axes(
            ((left + 0.26 + 0.06 * (i == 0)) / 7.4, 0.74 / 4.3, 1.9 / 7.4, 1.66 / 4.3)
        )
        z = np.clip(said, -9, 9).round(3).reshape(len(axis), -1)
        shades = [_style.PALE[_style.ROSE], _style.PALE[_style.TEAL]]
        ax.contourf(axis, axis, z, [-99, 0, 99], colors=shades)
        ax.contour(axis, axis, z, [0], colors=_style.INK, linewidths=2.4)
        students(ax)
        ax.text(0.5, 10.4, "pass", color=_style.TEAL, weight="bold", va="top")
        ax.text(10.5, 0.6, "fail", color=_style.ROSE, weight="bold", ha="right")
        ax.set(xlim=(0, 11), ylim=(0, 11), xticks=[0, 5, 10], yticks=[0, 5, 10])
        ax.set_xlabel("lectures", labelpad=0)
        if i:
            ax.set_yticks([])
    back.text(0.25, 2.52, "hours")
