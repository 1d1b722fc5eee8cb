"""Logits, probabilities, loss and gradient of three examples, and of one output."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Four columns: logits above, their softmax below as bars, with a frame up to 1 around "
    "the right class. Arrows lead from each bar to the frame or to 0. In the first "
    "example the right bar is tall and the loss 0.35, in the second nearly 0 and the loss "
    "3.09; three equal bars cost 1.10. A single output is 1, without arrows, at loss 0."
)
CAPTION = (
    "The loss looks at the right class (framed); each arrow is minus the gradient, y "
    "\N{MINUS SIGN} p, and leads the bar to its label. One output alone has nowhere to go."
)
LOGITS = [[2.0, 1.0, -1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 1.0], [2.0]]
CLASSES = [0, 2, 1, 0]
TITLES = ["right", "wrong", "undecided", "one output"]
MINUS = "\N{MINUS SIGN}"


def stages(z: list[float], label: int) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the probabilities, the loss and the gradient of one row of logits."""
    b = tp.load("numpy", dtype="float64")
    n = len(z)
    same = tp.Sequential(tp.Dense(n, n))  # the logits are its inputs
    weights = {"0.weight": np.eye(n), "0.bias": np.zeros(n)}
    given = same, weights, np.array([z]), np.array([label]), "softmax_cross_entropy"
    r = b.loss_and_gradients(*given)
    return b.activation("softmax", np.array(z)), float(r.loss), r.input[0]


def number(value: float, digits: int) -> str:
    """Return the number with a sign as wide as a plus."""
    return f"{value:.{digits}f}".replace("-", MINUS)


def column(above: Axes, below: Axes, z: list[float], label: int, title: str) -> None:
    """Draw the logits above the probabilities, and the gradient as arrows."""
    p, loss, gradient = stages(z, label)
    places = np.arange(len(z)) if len(z) > 1 else np.array([1])
    mine = np.arange(len(z)) == label
    colors = np.where(mine, _style.TEAL, "#bcc6cf")
    above.bar(places, z, width=0.62, color=colors)
    above.axhline(0, color=_style.SOFT, lw=0.8)
    for k, value in zip(places, z, strict=True):
        at = {"ha": "center", "va": "bottom" if value >= 0 else "top"}
        above.text(k, value + (0.12 if value >= 0 else -0.12), number(value, 0), **at)
    said = f"{loss:.2f}" if len(z) > 1 else f"{loss:.0f}, always"
    above.set_title(f"{title}:\nloss {said}", loc="center")
    below.bar(places, p, width=0.62, color=colors)
    frame = {"fc": "none", "ec": _style.TEAL, "lw": 1.4, "ls": (0, (3, 2))}
    below.bar(places[label], 1, width=0.8, **frame)
    for x, height, slope in zip(places, p, gradient, strict=True):
        if slope:
            tip, arrow = (x, height - slope), {"arrowstyle": "-|>", "color": _style.ROSE}
            size = 12 if abs(slope) > 0.1 else 6
            arrow |= {"lw": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": size}
            below.annotate("", tip, (x, height), arrowprops=arrow, zorder=4)
        below.text(x, -0.06, number(height, 2), ha="center", va="top")
    below.axhline(0, color=_style.SOFT, lw=0.8)


@_style.drawn(8, 4.6)
def svg(fig: Figure) -> None:
    """Draw a column for each example."""
    axes = fig.subplots(2, 4, sharey="row", height_ratios=[1, 1.25])
    fig.subplots_adjust(
        left=0.06, right=0.99, bottom=0.03, top=0.87, wspace=0.1, hspace=0.1
    )
    for i, given in enumerate(zip(LOGITS, CLASSES, TITLES, strict=True)):
        column(*axes[:, i], *given)
    for ax in axes.flat:
        _style.bare(ax)
        ax.set_xlim(-0.7, 2.7)
    axes[0, 0].set(ylim=(-1.7, 3.8), ylabel="logits z")
    axes[1, 0].set(ylim=(-0.22, 1.08), ylabel="softmax p")
