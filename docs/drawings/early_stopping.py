"""Training loss and held-out loss by epoch, and where early stopping ends."""

import _noisy
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Two curves over the epochs of one run. The training loss falls all the way. The "
    "held-out loss falls with it at first, is lowest after some four hundred epochs, and "
    "then rises steadily. A dot marks the lowest, a line where early stopping gives up."
)
CAPTION = (
    "Training longer makes the network better on what it has seen and worse on what it "
    "has not. Early stopping waits for a while, stops, and returns the weights at the "
    "dot."
)
NET, EPOCHS, ETA, PATIENCE = _noisy.network(24, 24), 2000, 0.003, 150


def runs() -> tuple[dict[str, list[float]], int, int]:
    """Return the history without stopping, the best epoch and the one it stops at."""
    free = _noisy.fit(NET, EPOCHS, ETA).history
    stopping = tp.EarlyStopping(patience=PATIENCE)
    stopped = _noisy.fit(NET, EPOCHS, ETA, early_stopping=stopping).history["val_loss"]
    return free, 1 + int(np.argmin(stopped)), len(stopped)


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
    ax.set(xlim=(0, EPOCHS), ylim=(0, 0.42), xlabel="epoch", ylabel="loss")
    ax.set(xticks=range(0, EPOCHS + 1, 500), yticks=[0, 0.1, 0.2, 0.3, 0.4])
    ax.text(1500, 0.235, "held-out loss", color=_style.ROSE, weight="bold", size=13)
    ax.text(1500, 0.065, "training loss", color=_style.TEAL, weight="bold", size=13)
    ax.text(stop + 12, 0.4, f"stops at epoch {stop}:\n{PATIENCE} without a gain", va="top")
    ax.annotate(
        f"best: {lowest:.2f}\nat epoch {best}",
        (best, lowest),
        (best - 170, 0.25),
        arrowprops={"arrowstyle": "-", "color": _style.ROSE, "shrinkB": 6},
        color=_style.ROSE,
    )
