"""The squared errors as squares, of one answer for all and of the best line."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import tetrapla as tp

ALT = (
    "Four students' grades over the hours they worked, twice. Each error is the side of a "
    "square. On the left all get the same answer, the mean grade, and the squares are "
    "large. On the right a line rises between the points and the squares are small. A "
    "heavy square in each shows the mean area: 366 and 46."
)
CAPTION = (
    "The error is the side, the squared error the area: twice the side, four times the "
    "area. The heavy square is the mean of the four, which training makes small."
)
HOURS = np.array([[3.0], [5.0], [7.0], [9.0]])
GRADES = np.array([[36.0], [38.0], [72.0], [78.0]])
NET = tp.Sequential(tp.Dense(1, 1))


def scaled(hours: np.ndarray) -> np.ndarray:
    """Return the hours on a scale of about one."""
    return (hours - 6) / 3


def lines() -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of the mean grade for everybody, and of the trained line."""
    b = tp.load("numpy", dtype="float64")
    mean = {"0.weight": np.zeros((1, 1)), "0.bias": GRADES.mean(axis=0)}
    training = tp.Training(100, "all", tp.SGD(0.3), "mse")
    run = b.fit(NET, mean, (scaled(HOURS), GRADES), training)
    return {"the mean for everybody": mean, "the best line": run.weights}


def errors(weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what is predicted, the squared errors, and their mean, by NumPy."""
    b = tp.load("numpy", dtype="float64")
    predicted = b.forward(NET, weights, scaled(HOURS))
    each = b.loss(tp.MeanSquaredError(reduction="none"), predicted, GRADES)
    return predicted[:, 0], each, float(b.loss("mse", predicted, GRADES))


def square(ax: Axes, x: float, y: float, area: float, color: str, **style: float) -> None:
    """Draw a square from its corner (x, y); ten percent are as wide as an hour."""
    side = np.sqrt(area)
    style = {"fc": _style.PALE[color], "ec": color, "lw": 1.6} | style
    ax.add_patch(Rectangle((x, y), side / 10, side, **style))


@_style.drawn(8, 3.9)
def svg(fig: Figure) -> None:
    """Draw the squares on both lines, and the mean square below."""
    b = tp.load("numpy", dtype="float64")
    axes = fig.subplots(1, 2, sharey=True)
    fig.subplots_adjust(left=0.085, right=0.995, bottom=0.13, top=0.91, wspace=0.04)
    for ax, (name, weights) in zip(axes, lines().items(), strict=True):
        color = _style.TEAL if name == "the best line" else _style.ROSE
        predicted, each, mean = errors(weights)
        rows = zip(HOURS[:, 0], GRADES[:, 0], predicted, each, strict=True)
        for x, y, answer, area in rows:
            out = np.sign(x - 6) * np.sqrt(area) / 10  # away from the other squares
            square(ax, min(x, x + out), min(y, answer), area, color)
            wide = abs(out) > 1.2
            at = x + out * 0.5 if wide else x + out + 0.2 * np.sign(out)
            align = "center" if wide else "left" if out > 0 else "right"
            ax.text(at, (y + answer) / 2, f"{area:.0f}", ha=align, va="center")
        ends = np.array([[0.7], [11.5]])
        ax.plot(ends, b.forward(NET, weights, scaled(ends)), color=color, zorder=3)
        ax.plot(HOURS, GRADES, "o", color=_style.INK, ms=5.5, zorder=4)
        square(ax, 9.2, 6, mean, color, lw=3.4)
        ax.text(9, 6, f"mean {mean:.0f}", ha="right", weight="bold", size=13, color=color)
        ax.set_title(name, color=color)
        ax.set(xlim=(0.4, 11.8), ylim=(0, 104), aspect=0.1, xlabel="hours on the project")
        ax.set(xticks=range(1, 12, 2), yticks=range(0, 101, 20))
    axes[0].set_ylabel("grade in percent")
