"""The losses of three students as bars, and their mean as the level of all three."""

import _style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import tetrapla as tp

ALT = (
    "Three bars, one per student: 2.302585 for predicted 0.1 and passed, 1.609438 for "
    "predicted 0.8 and failed, 0.510826 for predicted 0.6 and passed. A line at the mean, "
    "1.474283, cuts the tops off the first two; the gap above the third is as large as "
    "what is cut off."
)
CAPTION = (
    "J is the level at which the three bars would stand if they were water: what is above "
    "the line (dark) fills the gap below it (dashed)."
)
PREDICTED = np.array([[0.1], [0.8], [0.6]])


def losses() -> tuple[np.ndarray, float]:
    """Return each student's loss and the mean, by NumPy in float64."""
    b = tp.load("numpy", dtype="float64")
    y = tp.data.lecture().y_train
    z = np.log(PREDICTED / (1 - PREDICTED))
    each = b.loss(tp.BinaryCrossEntropy(reduction="none"), z, y)
    return each, float(b.loss(tp.BinaryCrossEntropy(), z, y))


@_style.drawn(7.4, 4)
def svg(fig: Figure) -> None:
    """Draw the bars, the line, and what is above and below it."""
    each, mean = losses()
    ax = fig.add_axes((0.08, 0.15, 0.91, 0.83))
    passed = tp.data.lecture().y_train[:, 0] == 1
    for i, loss in enumerate(each):
        low = min(loss, mean)
        ax.add_patch(Rectangle((i, 0), 1, low, fc=_style.PALE[_style.TEAL], ec="none"))
        if loss > mean:
            ax.add_patch(Rectangle((i, mean), 1, loss - mean, fc=_style.TEAL, ec="none"))
        else:
            gap = Rectangle((i + 0.03, loss + 0.02), 0.94, mean - loss - 0.05, fill=False)
            gap.set(ec=_style.TEAL, ls=(0, (4, 2)), lw=1.4)
            ax.add_patch(gap)
        style = {"ha": "center", "weight": "bold", "size": 13}
        ax.text(i + 0.5, loss + (0.06 if loss > mean else -0.2), f"{loss:.6f}", **style)
    for i in (1, 2):
        ax.plot([i, i], [0, each[i - 1]], color="white", lw=3)
    ax.axhline(mean, color=_style.ROSE, lw=2.8)
    text = ax.text(2.95, mean + 0.07, f"mean J = {mean:.6f}", ha="right", size=13)
    text.set(color=_style.ROSE, weight="bold")
    labels = [
        f"predicted {p:g}\n{'passed' if good else 'failed'}"
        for p, good in zip(PREDICTED[:, 0], passed, strict=True)
    ]
    ax.set_xticks([0.5, 1.5, 2.5], labels, color=_style.INK, linespacing=1.3)
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(0, 3), ylim=(0, 2.6), yticks=[0, 1, 2], ylabel="loss")
