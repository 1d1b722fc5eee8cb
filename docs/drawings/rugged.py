"""The loss along one line through weight space, of a shallow and a deep network."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Two cuts through loss landscapes, drawn as mountains. With one linear layer the cut "
    "is a bowl with one minimum. With six hidden layers it has ridges of different "
    "heights and several minima between them, most of them far above the lowest."
)
CAPTION = (
    "The same data, and a straight line from random weights in a random direction. A dot "
    "is a minimum, its number the loss: downhill from here is rarely downhill to the "
    "lowest."
)
X = np.linspace(-1.0, 1.0, 20)[:, None]
Y = np.sin(3.0 * X)
ALPHA = np.linspace(-4.2, 4.2, 421)


def cut(hidden: int) -> np.ndarray:
    """Return J(W0 + alpha D) for each alpha: hidden layers of 16 units, tanh."""
    b = tp.load("numpy", dtype="float64")
    into = [1, *[16] * hidden]
    layers = [tp.Dense(n, 16, "tanh") for n in into[:-1]]
    net = tp.Sequential(*layers, tp.Dense(into[-1], 1))
    start, direction = net.init(seed=2), net.init(seed=3)
    places = [{k: start[k] + a * direction[k] for k in start} for a in ALPHA]
    return np.array([b.loss("mse", b.forward(net, w, X), Y) for w in places]).round(6)


def minima(loss: np.ndarray) -> np.ndarray:
    """Return the indices of those that are lower than both neighbours."""
    inner = loss[1:-1]
    return 1 + np.flatnonzero((inner < loss[:-2]) & (inner < loss[2:]))


def mountain(ax: Axes, loss: np.ndarray, title: str) -> None:
    """Draw the loss as ground that one could roll on, and its minima."""
    ax.fill_between(ALPHA, loss, -9, color="#e8eef2", lw=0)
    ax.plot(ALPHA, loss, color=_style.INK, lw=1.8)
    found = minima(loss)
    lowest = found[loss[found].argmin()]
    for i in found:
        color = _style.TEAL if i == lowest else _style.ROSE
        ax.plot(ALPHA[i], loss[i], "o", ms=9, color=color, mec="white", mew=1.5, zorder=3)
        at = ALPHA[i], loss[i] - 0.06 * ax.get_ylim()[1]
        ax.text(*at, f"{loss[i]:.2f}", color=color, ha="center", va="top", weight="bold")
    ax.set_title(title)
    ax.set(
        xlim=(ALPHA[0], ALPHA[-1]),
        xticks=[-4, 0, 4],
        xlabel="\N{GREEK SMALL LETTER ALPHA}",
        yticks=[],
    )
    ax.spines.left.set_visible(False)


@_style.drawn(8, 3.6)
def svg(fig: Figure) -> None:
    """Draw the bowl beside the mountains."""
    shallow, deep = fig.subplots(1, 2, width_ratios=[1, 2.4])
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.14, top=0.9, wspace=0.05)
    shallow.set_ylim(-4, 20)
    deep.set_ylim(-3.6, 18)
    mountain(shallow, cut(0), "one linear layer")
    mountain(deep, cut(6), "six hidden layers")
