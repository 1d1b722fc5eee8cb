"""What depth buys, folds upon folds, and what it costs: the first layer's gradient."""

from itertools import pairwise

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Above, four curves: one, two, three and six hidden layers of two units fold a line "
    "into 2, 4, 8 and 64 straight pieces. One layer would need 1, 3, 7 and 63 units for "
    "that; these networks have 2, 4, 6 and 12. Below, the gradient that reaches the first "
    "layer of a sigmoid network: it falls steadily, from about one half behind one hidden "
    "layer to 0.00002 behind eight."
)
CAPTION = (
    "Depth buys pieces: each layer of two units doubles them. Its price is the way back: "
    "with sigmoids, each layer lets through only a part of the gradient."
)
FOLDS, DEPTHS = (1, 2, 3, 6), range(1, 9)
X = np.linspace(0, 1, 1025)[:, None]


def folded(k: int) -> np.ndarray:
    """Return the output for X of k hidden layers that fold [0, 1], as the chapter's."""
    middle = [tp.Dense(2, 2, "relu") for _ in range(k - 1)]
    net = tp.Sequential(tp.Dense(1, 2, "relu"), *middle, tp.Dense(2, 1))
    fold = np.array([[2.0, 2.0], [-4.0, -4.0]])  # 2 relu(x) - 4 relu(x - 1/2)
    weights = {"0.weight": np.ones((1, 2)), f"{k}.weight": fold[:, :1]}
    weights |= {f"{i}.weight": fold for i in range(1, k)}
    weights |= {f"{i}.bias": np.array([0.0, -0.5]) for i in range(k)}
    weights |= {f"{k}.bias": np.zeros(1)}
    return tp.load("numpy", dtype="float64").forward(net, weights, X)[:, 0]


def pieces(y: np.ndarray) -> int:
    """Return how many straight pieces a curve that goes up and down has."""
    up = np.diff(y) > 0
    return 1 + int(np.count_nonzero(up[1:] != up[:-1]))


def arriving(k: int) -> tuple[float, int]:
    """Return the first layer's largest gradient behind k layers; numbers to learn."""
    b = tp.load("numpy", dtype="float64")
    d = tp.data.lecture()
    widths = [2, *[8] * k]
    layers = [tp.Dense(n, m, "sigmoid") for n, m in pairwise(widths)]
    net = tp.Sequential(*layers, tp.Dense(8, 1))
    w = net.init(seed=0)
    r = b.loss_and_gradients(net, w, d.x_train, d.y_train, d.loss)
    return float(np.abs(r.weights["0.weight"]).max()), sum(v.size for v in w.values())


def costs(ax: Axes) -> None:
    """Draw the gradient, and below each depth how many numbers there are to learn."""
    gradients, sizes = zip(*map(arriving, DEPTHS), strict=True)
    ax.semilogy(DEPTHS, gradients, "o-", color=_style.ROSE, ms=7)
    for k in (0, -1):
        at = DEPTHS[k], gradients[k] * (1 if k else 2.2)
        power = int(np.floor(np.log10(gradients[k])))
        text = f"${gradients[k] / 10.0**power:.0f}\\cdot10^{{{power}}}$"
        ax.text(at[0] + 0.15, at[1], text, color=_style.ROSE, va="center")
    ax.set_title("costs: gradient in the first layer, sigmoid", color=_style.ROSE)
    labels = [f"{k}\n{size}" for k, size in zip(DEPTHS, sizes, strict=True)]
    ax.set(xlim=(0.7, 8.9), ylim=(3e-6, 6), yticks=[1, 1e-2, 1e-4])
    ax.set_xticks(DEPTHS, labels, linespacing=1.4)
    ax.minorticks_off()


@_style.drawn(7.4, 5)
def svg(fig: Figure) -> None:
    """Draw the folded curves in a row, and the costs below."""
    axes = fig.subplots(1, 4)
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.6, top=0.83, wspace=0.1)
    fig.text(0.01, 0.94, "buys: straight pieces", color=_style.TEAL, size=12, weight="bold")
    for ax, k in zip(axes, FOLDS, strict=True):
        y = folded(k)
        ax.plot(X[:, 0], y, color=_style.TEAL, lw=2.6 if k < 6 else 1.2)
        ax.set_title(f"{k} layer{'s' * (k > 1)}: {pieces(y)}")
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.05, 1.08))
        _style.bare(ax)
        words = f"{2 * k} units\nin one layer: {pieces(y) - 1}"
        ax.text(0.5, -0.12, words, ha="center", va="top", linespacing=1.4)
    costs(fig.add_axes((0.16, 0.12, 0.83, 0.27)))
    fig.text(0.01, 0.02, "layers\nnumbers", color=_style.SOFT, linespacing=1.4)
