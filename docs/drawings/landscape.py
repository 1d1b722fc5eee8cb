"""The loss over two weights, and gradient descent on it in four frameworks."""

from functools import cache
from itertools import combinations

import _descent
import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "The loss of a network with two weights, on the left as a surface with two valleys "
    "and a pass between them, on the right as contours. Gradient descent starts on a "
    "slope, runs down to the pass, turns and follows a valley to its lowest point. Its "
    "paths in NumPy, PyTorch, TensorFlow and JAX lie on top of each other."
)
START, RATE, STEPS = (1.5, -2.5), tp.SGD(0.1), 200
WIDTHS = (13, 9.5, 6, 2.2)


@cache
def descents() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the two weights and the loss after each step, by each in float32."""
    start = _descent.place(_descent.ZERO, _descent.FREE, START)
    return {
        name: _descent.descend(tp.load(name), start, RATE, STEPS)
        for name in _style.BACKENDS
    }


def apart() -> float:
    """Return how far a weight of two of them differs at most, at the same step."""
    pairs = combinations([places for places, _ in descents().values()], 2)
    return max(float(np.abs(p - q).max()) for p, q in pairs)


def __getattr__(name: str) -> str:
    if name != "CAPTION":  # is measured
        raise AttributeError(name)
    most = np.format_float_positional(apart(), precision=1, fractional=False)
    return (
        f"{STEPS} steps of gradient descent on the loss of w₂ tanh(w₁ x), in float32 by "
        f"four frameworks: no weight of one is ever more than {most} from another's."
    )


def draw(ax: Axes, scale: float, lifted: float | None = None) -> None:
    """Draw the four paths on each other, the widest first."""
    for i, (name, (places, losses)) in enumerate(descents().items()):
        xyz = [*places.T, *([] if lifted is None else [losses + lifted])]
        style = {"color": _style.BACKENDS[name], "lw": scale * WIDTHS[i], "zorder": 5 + i}
        ax.plot(*(c.round(3) for c in xyz), **style)


def surface(fig: Figure, w: np.ndarray, loss: np.ndarray) -> None:
    """Draw the heights as a surface, without the box that matplotlib puts around it."""
    ax = fig.add_axes((-0.02, -0.03, 0.54, 1.1), projection="3d", computed_zorder=False)
    mesh = {"rcount": 30, "ccount": 30, "ec": _style.SOFT, "lw": 0.25}
    ax.plot_surface(*np.meshgrid(w, w), loss, cmap=_style.HEIGHTS, **mesh)
    draw(ax, 0.5, lifted=0.2)
    ax.view_init(elev=38, azim=-35)
    ax.set_box_aspect((1, 1, 0.75), zoom=0.92)
    ax.grid(False)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.pane.set_visible(False)
    ax.zaxis.line.set_visible(False)
    ax.set(xlabel="w₁", ylabel="w₂", xticks=[-2, 0, 2], yticks=[-2, 0, 2], zticks=[])


@_style.drawn(8, 4.2)
def svg(fig: Figure) -> None:
    """Draw the surface beside the contours."""
    w = np.linspace(-3, 3, 61)
    loss = _descent.heights(w, w).T.round(6)
    surface(fig, w, loss)
    ax = fig.add_axes((0.56, 0.12, 0.43, 0.85))
    _style.heights(ax, w, w, loss, [0.1, 0.3, 0.6, 1, 2, 3, 5, 8, 11])
    draw(ax, 1)
    ax.plot(*START, "o", ms=8, mfc="white", mec=_style.INK, mew=2, zorder=10)
    for i, (name, color) in enumerate(_style.BACKENDS.items()):
        y = 2.55 - 0.42 * i
        ax.plot([-2.75, -2.2], [y, y], color=color, lw=WIDTHS[i])
        _style.halo(ax.text(-1.95, y, _style.NAMES[name], va="center"))
    ax.set(
        xlim=(-3, 3), ylim=(-3, 3), xlabel="w₁", xticks=range(-3, 4), yticks=range(-3, 4)
    )
    ax.set_ylabel("w₂", rotation=0)
