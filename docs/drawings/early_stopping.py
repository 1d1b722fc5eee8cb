"""Training loss and held-out loss by epoch, and where early stopping ends."""

from typing import Any

import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Two curves over the 200 epochs of one run. The training loss falls all the way. The "
    "held-out loss falls with it at first, is lowest after some thirty epochs, and then "
    "rises steadily. A dot marks the lowest, a line where early stopping gives up."
)
CAPTION = (
    "Training longer makes the network better on what it has seen and worse on what it "
    "has not. Early stopping waits for a while, stops, and returns the weights at the "
    "dot."
)
EPOCHS, PATIENCE = 200, 10
NET = tp.Sequential(tp.Dense(20, 32, "relu"), tp.Dense(32, 1))


def examples() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return 40 examples to train on and 200 held out: two of twenty inputs matter."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 20))
        return x, (x[:, :1] + x[:, 1:2] + rng.normal(size=(n, 1)) > 0).astype(float)

    return [draw(40), draw(200)]


def runs() -> tuple[dict[str, list[float]], int, int]:
    """Return the history without stopping, the best epoch and the one it stops at."""
    b, (train, held_out) = tp.load("numpy", dtype="float64"), examples()

    def fit(**settings: Any) -> dict[str, list[float]]:
        training = tp.Training(EPOCHS, "all", tp.SGD(0.1), "bce", **settings)
        run = b.fit(NET, NET.init(seed=0), train, training, validation=held_out)
        return dict(run.history)

    stopped = fit(early_stopping=tp.EarlyStopping(patience=PATIENCE))["val_loss"]
    return fit(), 1 + int(np.argmin(stopped)), len(stopped)


@_style.drawn(8, 4)
def svg(fig: Figure) -> None:
    """Draw both losses, pale where the run would have ended."""
    history, best, stop = runs()
    ax = fig.add_axes((0.075, 0.13, 0.9, 0.85))
    epochs = np.arange(1, EPOCHS + 1)
    lowest = history["val_loss"][best - 1]
    ax.axvspan(stop, EPOCHS, color="#f1f3f5", lw=0)
    ax.axvline(stop, color=_style.INK, lw=1.6, ls=(0, (4, 2)))
    for name, color in [("loss", _style.TEAL), ("val_loss", _style.ROSE)]:
        ax.plot(epochs, history[name], color=color, lw=2.6)
    ax.plot(best, lowest, "o", ms=11, color=_style.ROSE, mec="white", mew=2, zorder=4)
    ax.set(xlim=(0, EPOCHS), ylim=(0, 0.9), xlabel="epoch", ylabel="loss")
    ax.set(xticks=range(0, EPOCHS + 1, 50), yticks=[0, 0.2, 0.4, 0.6, 0.8])
    ax.text(140, 0.66, "held-out loss", color=_style.ROSE, weight="bold", size=13)
    ax.text(140, 0.1, "training loss", color=_style.TEAL, weight="bold", size=13)
    ax.text(stop + 2, 0.86, f"stops at epoch {stop}:\n{PATIENCE} without a gain", va="top")
    ax.annotate(
        f"best: {lowest:.2f}\nat epoch {best}",
        (best, lowest),
        (58, 0.44),
        arrowprops={"arrowstyle": "-", "color": _style.ROSE, "shrinkB": 6},
        color=_style.ROSE,
    )
