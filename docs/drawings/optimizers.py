"""Six optimizers from one start over one landscape."""

import _descent
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Six maps of the same landscape with the path of an optimizer from the same start. "
    "SGD falls straight into the valley and creeps along its floor. Momentum swings from "
    "wall to wall. Adagrad, Adadelta and RMSProp leave diagonally and turn; so does Adam, "
    "which overshoots like momentum. The steps to a loss below 0.01 stand above each."
)
CAPTION = (
    "The race over w₂ tanh(w₁ x): same start, same goal, a dot for each step. SGD follows "
    "the slope; momentum remembers it; the others rescale each weight's step."
)
START = (3.6, -2.0)
RACERS = {
    "SGD": tp.SGD(0.5),
    "Momentum": tp.SGD(0.05, momentum=0.9),
    "Adagrad": tp.Adagrad(0.6),
    "Adadelta": tp.Adadelta(1.0, rho=0.9, eps=1e-3),
    "RMSProp": tp.RMSProp(0.06),
    "Adam": tp.Adam(0.2),
}


def races(steps: int = 120) -> dict[str, np.ndarray]:
    """Return the path of each, up to the step from which its loss is below 0.01."""
    b = tp.load("numpy", dtype="float64")
    paths = {}
    for name, optimizer in RACERS.items():
        start = _descent.place(_descent.ZERO, _descent.FREE, START)
        places, losses = _descent.descend(b, start, optimizer, steps)
        arrived = np.flatnonzero(losses >= 0.01)[-1] + 1
        paths[name] = places[: arrived + 1]
    return paths


@_style.drawn(8, 5.6)
def svg(fig: Figure) -> None:
    """Draw a map for each, and the others' paths pale below its own."""
    w1, w2 = np.linspace(-0.3, 4.2, 37), np.linspace(-2.6, 4, 34)
    loss = _descent.heights(w1, w2).T
    axes = fig.subplots(2, 3, sharex=True, sharey=True)
    fig.subplots_adjust(
        left=0.065, right=0.99, bottom=0.08, top=0.94, wspace=0.07, hspace=0.2
    )
    paths = races()
    for ax, (name, path) in zip(axes.flat, paths.items(), strict=True):
        _style.heights(ax, w1, w2, loss, [0.1, 0.3, 0.6, 1, 2, 4, 7, 11])
        ax.plot(*path.T, "o-", color=_style.TEAL, lw=1.2, ms=3.2)
        ax.plot(*path[0], "o", ms=9, mfc="white", mec=_style.TEAL, mew=2)
        ax.plot(1, 2, "*", ms=14, color=_style.ROSE, mec="white", mew=0.8)
        ax.set_title(f"{name}: {len(path) - 1} steps")
        ax.set(
            xlim=(w1[0], w1[-1]), ylim=(w2[0], w2[-1]), xticks=range(5), yticks=range(-2, 5)
        )
    for ax in axes[1]:
        ax.set_xlabel("w₁")
    for ax in axes[:, 0]:
        ax.set_ylabel("w₂", rotation=0)
