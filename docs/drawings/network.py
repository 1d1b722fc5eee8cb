"""A 2-3-1 network as nodes and edges, drawn from the specification."""

import _style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import tetrapla as tp

ALT = (
    "A network as circles and lines: two inputs on the left, three hidden units in the "
    "middle, one output on the right. Every input is joined to every hidden unit and "
    "every hidden unit to the output. One line, from x2 to the first hidden unit, is set "
    "apart: it is one weight."
)
CAPTION = (
    "Each line is one weight: six in a matrix of shape (2, 3), three in one of shape (3, "
    "1). The marked one stands in row 1 and column 0 of the first: from x₂ to h₁."
)
NET = tp.Sequential(tp.Dense(2, 3, "relu"), tp.Dense(3, 1, "sigmoid"))
LABELS = [["x₁", "x₂"], ["h₁", "h₂", "h₃"], ["ŷ"]]
MARKED = (0, 1, 0)  # layer, row, column


def columns() -> list[list[tuple[float, float]]]:
    """Return where the circles of the inputs, and of each layer's outputs, are."""
    sizes = [NET.inputs, *(layer.outputs for layer in NET.dense.values())]
    return [
        [(0.8 + 2.6 * i, 1.72 + 0.95 * ((size - 1) / 2 - k)) for k in range(size)]
        for i, size in enumerate(sizes)
    ]


@_style.drawn(7, 3.9)
def svg(fig: Figure) -> None:
    """Draw a column of circles per layer, and a line per weight."""
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 7), ylim=(0, 3.9), aspect="equal")
    _style.bare(ax)
    soft = {"color": _style.SOFT, "ha": "center", "va": "center"}
    places = columns()
    for i, layer in NET.dense.items():
        rows, cols = NET.shapes[f"{i}.weight"]
        for r, c in np.ndindex(rows, cols):
            (x0, y0), (x1, y1) = places[i][r], places[i + 1][c]
            marked = (i, r, c) == MARKED
            color = _style.ROSE if marked else _style.SOFT
            ax.plot(
                [x0, x1], [y0, y1], color=color, lw=4 if marked else 1.4, zorder=1 + marked
            )
        middle = (places[i][0][0] + places[i + 1][0][0]) / 2
        ax.text(middle, 3.35, f"{i}.weight\n{rows} by {cols}", linespacing=1.4, **soft)
        ax.text(places[i + 1][0][0], 0.2, layer.activation.name, **soft)
    for column, labels in zip(places, LABELS, strict=True):
        for (x, y), label in zip(column, labels, strict=True):
            color = _style.INK if column is places[0] else _style.TEAL
            ax.add_patch(Circle((x, y), 0.33, fc="white", ec=color, lw=2.4, zorder=3))
            ax.text(x, y, label, size=15, ha="center", va="center", zorder=4)
