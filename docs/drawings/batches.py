"""Full batch, mini-batches and single points: their paths over one landscape."""

from typing import Any

import _descent
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Three maps of the loss of a line, with the path of gradient descent from the same "
    "start. With all points per step the path is smooth and short of the minimum after "
    "eight steps. With eight points per step it is a little ragged and arrives. With one "
    "point per step it staggers about the minimum and does not come to rest."
)
CAPTION = (
    "Eight passes over the same 64 points at the same rate. The smaller the batch, the "
    "more steps from the same work, and the more noise in each."
)
SIZES = {"all": "all 64 points", 8: "8 points", 1: "one point"}
NET = tp.Sequential(tp.Dense(1, 1))
START = {"0.weight": np.array([[-0.6]]), "0.bias": np.array([2.2])}


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return 64 noisy points of the line y = 0.5 + 1.5 x."""
    x, noise = tp.threefry.uniform(tp.threefry.key(0), (2, 64, 1)).astype(float) * 2 - 1
    return x, 0.5 + 1.5 * x + 1.2 * noise


def path(size: int | str) -> np.ndarray:
    """Return weight and bias before each step and after the last, (steps + 1, 2)."""
    b = tp.load("numpy", dtype="float64")
    training = tp.Training(8, size, tp.SGD(0.1), "mse")
    places = [START]

    def keep(report: Any) -> None:
        places.append(report.state().weights)

    b.fit(NET, START, data(), training, on_step=keep, plain=True)
    return np.array([[w["0.weight"].item(), w["0.bias"].item()] for w in places])


@_style.drawn(8, 3.3)
def svg(fig: Figure) -> None:
    """Draw the three maps beside each other."""
    x, y = data()
    w, bias = np.linspace(-1, 2.6, 37), np.linspace(-0.4, 2.6, 31)
    loss = _descent.heights(
        w, bias, weights=START, net=NET, data=data(), free=tuple(START)
    ).T
    lowest = np.linalg.lstsq(np.concatenate([x, np.ones_like(x)], axis=1), y)[0][:, 0]
    axes = fig.subplots(1, 3, sharey=True)
    fig.subplots_adjust(left=0.065, right=0.99, bottom=0.14, top=0.81, wspace=0.06)
    for ax, (size, name) in zip(axes, SIZES.items(), strict=True):
        places = path(size)
        _style.heights(ax, w, bias, loss, [0.6, 0.8, 1.1, 1.5, 2, 2.6, 3.3, 4.2])
        style = {"lw": 1.6, "ms": 5, "marker": "o"} if size == "all" else {"lw": 1.1}
        ax.plot(*places.T, color=_style.TEAL, **style)
        ax.plot(*places[0], "o", ms=9, mfc="white", mec=_style.TEAL, mew=2)
        ax.plot(*lowest, "*", ms=14, color=_style.ROSE, mec="white", mew=0.8)
        ax.set_title(f"{name} per step:\n{len(places) - 1} steps")
        ax.set(xlim=(w[0], w[-1]), ylim=(bias[0], bias[-1]), xlabel="weight")
        ax.set(xticks=[-1, 0, 1, 2], yticks=[0, 1, 2])
    axes[0].set_ylabel("bias")
