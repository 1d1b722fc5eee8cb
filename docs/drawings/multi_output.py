"""A layer with two outputs: as nodes and edges, and as two lines in one plane."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import tetrapla as tp

ALT = (
    "On the left two inputs, joined to two outputs by four lines with their weights: 3 "
    "and -2 lead to the first output, 0.5 and 1 to the second. On the right the plane of "
    "the inputs with a line for each output; they cross and make four parts: both above "
    "one half, only the first, only the second, neither. The point (-1, 2) is in only "
    "the second."
)
CAPTION = (
    "The outputs share the inputs and nothing else: each has its own column of weights, "
    "its own bias, and so its own line. Two lines, four answers."
)
WEIGHT = np.array([[3.0, 0.5], [-2.0, 1.0]])  # of the chapter, as the point
BIAS = np.array([1.0, -1.0])
POINT = np.array([[-1.0, 2.0]])
COLORS = [_style.TEAL, _style.ROSE]
ANSWERS = ["neither", "only the first", "only the second", "both"]
ANGLES = np.rad2deg(np.arctan(-WEIGHT[0] / WEIGHT[1]))  # of the lines
PLACES = [(-1.6, 0.25), (1.5, -1.2), (-0.75, 2.75), (1.75, 1.5)]


def outputs(x: np.ndarray) -> np.ndarray:
    """Return the outputs for rows of x, by NumPy in float64."""
    layer = tp.Sequential(tp.Dense(2, 2, "sigmoid"))
    weights = {"0.weight": WEIGHT, "0.bias": BIAS}
    return tp.load("numpy", dtype="float64").forward(layer, weights, x)


def answers(x: np.ndarray) -> np.ndarray:
    """Return which of ANSWERS each row of x gets."""
    return (outputs(x) > 0.5) @ [1, 2]


def number(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def nodes(ax: Axes) -> None:
    """Draw the layer: a line per weight, in the colour of its output."""
    y = [2.75, 1.05]
    for (i, j), weight in np.ndenumerate(WEIGHT):
        ax.plot([0.4, 2.35], [y[i], y[j]], color=COLORS[j], lw=2.4, zorder=1)
        at = 0.4 + 1.95 * 0.27, y[i] + (y[j] - y[i]) * 0.27
        text = ax.text(*at, number(weight), color=COLORS[j], size=13, weight="bold")
        text.set(ha="center", va="center", zorder=2)
        _style.halo(text, width=5)
    for k in range(2):
        for x, name, color in [(0.4, "x", _style.INK), (2.35, "ŷ", COLORS[k])]:
            ax.add_patch(Circle((x, y[k]), 0.31, fc="white", ec=color, lw=2.4, zorder=3))
            style = {"size": 15, "ha": "center", "va": "center", "zorder": 4}
            ax.text(x, y[k], f"{name}{'₁₂'[k]}", **style)
        at = (2.35, y[k] + (0.5 if k == 0 else -0.5))
        ax.text(*at, f"bias {number(BIAS[k])}", color=COLORS[k], ha="center", va="center")


@_style.drawn(7.4, 3.75)
def svg(fig: Figure) -> None:
    """Draw the layer beside the plane."""
    left = fig.add_axes((0, 0, 2.8 / 7.4, 1))
    left.set(xlim=(0, 2.8), ylim=(0, 3.75))
    _style.bare(left)
    nodes(left)
    ax = fig.add_axes((0.445, 0.125, 0.55, 0.855))
    x1, x2 = np.linspace(-3, 3, 121), np.linspace(-2, 3, 101)
    grid = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    z = np.moveaxis(outputs(grid).reshape(len(x2), len(x1), 2), -1, 0) - 0.5
    shades = ["white", _style.PALE[_style.TEAL], _style.PALE[_style.ROSE], "#d9dde2"]
    for code, shade in enumerate(shades[1:], start=1):
        signs = [1 if code & (1 << k) else -1 for k in range(2)]
        inside = np.minimum(signs[0] * z[0], signs[1] * z[1])
        ax.contourf(x1, x2, inside.round(6), [0, 1], colors=[shade])
    for k, color in enumerate(COLORS):
        ends = np.array([-3, 3])
        line = -(BIAS[k] + WEIGHT[0, k] * ends) / WEIGHT[1, k]
        ax.plot(ends, line, color=color, lw=2.8)
    for at, answer in zip(PLACES, ANSWERS, strict=True):
        ax.text(*at, answer, ha="center", va="center", size=12)
    ax.plot(*POINT[0], "o", ms=10, color=_style.INK)
    said = ", ".join(f"{y:.2g}" for y in outputs(POINT)[0])
    ax.text(-0.8, 2, said, va="center", weight="bold")
    for x, y, k, angle in [(-1.52, -1.5, 0, ANGLES[0]), (2.1, 0.1, 1, ANGLES[1])]:
        style = {"rotation": angle, "rotation_mode": "anchor", "color": COLORS[k]}
        ax.text(x, y, f"ŷ{'₁₂'[k]} = ½", transform_rotates_text=True, **style)
    ax.set(xlim=(-3, 3), ylim=(-2, 3), xlabel="x₁", xticks=range(-3, 4))
    ax.set(yticks=range(-2, 4))
    ax.set_ylabel("x₂", rotation=0)
