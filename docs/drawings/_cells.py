"""Matrices as rows of squares, one unit wide, their first row on top."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path


def squares(
    ax: Axes, colors: np.ndarray, left: float, top: float, size: float = 1, lw: float = 1
) -> None:
    """Draw a square of each color; those of one color are one path, which is short."""
    for color in sorted(set(colors.flat)):
        places = [
            (left + size * c, top - size * r) for r, c in np.argwhere(colors == color)
        ]
        paths = [Path.unit_rectangle().vertices * [size, -size] + at for at in places]
        path = Path.make_compound_path(*(Path(vertices, closed=True) for vertices in paths))
        ax.add_patch(PathPatch(path, fc=color, ec="white", lw=lw))


def numbers(
    ax: Axes, values: np.ndarray, left: float, top: float, form: str = "g", **style: object
) -> None:
    """Write a number into the middle of each square."""
    for (r, c), value in np.ndenumerate(values):
        text = f"{value:{form}}".replace("-", "\N{MINUS SIGN}")
        at = left + c + 0.5, top - r - 0.5
        ax.text(*at, text, ha="center", va="center", **style)


def frame(
    ax: Axes,
    left: float,
    top: float,
    width: float,
    height: float,
    color: str = _style.ROSE,
    lw: float = 3,
) -> None:
    """Put a frame around some squares."""
    ax.add_patch(
        Rectangle((left, top), width, -height, fill=False, ec=color, lw=lw, zorder=4)
    )
