"""The perceptron's plane: a line, two sides, and the lecture's point."""

import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

BIAS, WEIGHT, POINT = 1.0, np.array([3.0, -2.0]), np.array([-1.0, 2.0])
MINUS = "\N{MINUS SIGN}"
ALT = (
    "The plane of the inputs x1 and x2, divided by the line 1 + 3 x1 - 2 x2 = 0. Below "
    "and to the right of it the output is above one half, on the other side below. The "
    "point (-1, 2) lies far on that side: z is -6 and its sigmoid is 0.0025."
)
CAPTION = (
    "On the line the sum z is 0 and the output one half. The weights (3, -2) point to the "
    "side where the output is larger; the point lies on the other one."
)


def output(x: np.ndarray) -> np.ndarray:
    """Return the unit's output for rows of x, by NumPy in float64."""
    unit = tp.Sequential(tp.Dense(2, 1, "sigmoid"))
    weights = {"0.weight": WEIGHT[:, None], "0.bias": np.array([BIAS])}
    return tp.load("numpy", dtype="float64").forward(unit, weights, x)[:, 0]


@_style.drawn(7, 4.7)
def svg(fig: Figure) -> None:
    """Draw the output as a shade, the line, the weights and the point."""
    ax = fig.add_axes((0.075, 0.11, 0.905, 0.87))
    x1, x2 = np.linspace(-3, 3, 61), np.linspace(-1.4, 2.6, 41)
    grid = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    y = np.round(output(grid), 6).reshape(len(x2), len(x1))
    shades = [
        _style.PALE[_style.ROSE],
        "#fef4f8",
        "white",
        "#e6f2f0",
        _style.PALE[_style.TEAL],
    ]
    ax.contourf(x1, x2, y, levels=[0, 0.01, 0.25, 0.75, 0.99, 1], colors=shades)

    ends = np.array([-1.5, 1.6])
    ax.plot(ends, (BIAS + WEIGHT[0] * ends) / -WEIGHT[1], color=_style.INK, lw=2.8)
    along = {"rotation": 56.31, "rotation_mode": "anchor", "transform_rotates_text": True}
    ax.text(-0.04, 0.62, f"1 + 3 x₁ {MINUS} 2 x₂ = 0", weight="bold", **along)

    foot = np.array([-0.6, -0.4])
    tip = foot + 0.25 * WEIGHT
    ax.annotate(
        "", tip, foot, arrowprops={"arrowstyle": "-|>", "lw": 2, "color": _style.INK}
    )
    ax.text(
        *foot + 0.26 * WEIGHT, f"the weights (3, {MINUS}2)\npoint this way", va="center"
    )

    z, said = BIAS + POINT @ WEIGHT, output(POINT[None])[0]
    ax.plot(*POINT, "o", ms=11, color=_style.ROSE)
    words = f"x = (-1, 2)\nz = 1 - 3 - 4 = {z:.0f}\nsigmoid(z) = {said:.4f}"
    ax.text(-1.15, 2, words.replace("-", MINUS), ha="right", va="center", linespacing=1.4)

    side = {"weight": "bold", "size": 13, "va": "center"}
    ax.text(-2.85, 0.3, "z < 0\noutput below ½", color=_style.ROSE, **side)
    ax.text(2.85, 0.9, "z > 0\noutput above ½", color=_style.TEAL, ha="right", **side)
    ax.set(xlim=(-3, 3), ylim=(-1.4, 2.6), xlabel="x₁", aspect="equal")
    ax.set(xticks=range(-3, 4), yticks=range(-1, 3))
    ax.set_ylabel("x₂", rotation=0)
