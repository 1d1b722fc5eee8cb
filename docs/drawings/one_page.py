"""The lecture on one page: perceptron, network, training, and a run with everything."""

from functools import cache

import _descent
import _style
import downhill
import numpy as np
import perceptron
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import tetrapla as tp

ALT = (
    "Three small pictures joined by arrows: a perceptron with its inputs, weights and "
    "output; a network of two inputs, three hidden units and one output; dots going down "
    "a curve of the loss. Below, the losses of a training run over its epochs: both fall, "
    "the held-out one is lowest at epoch 52, and the run stops at epoch 57."
)
CAPTION = (
    "Perceptrons side by side and in a row make a network, and descent finds its weights. "
    "Below, the run of this page, with all that practice adds."
)
MINUS = "\N{MINUS SIGN}"
BOTH = {"ha": "center", "va": "center"}
THIN, THICK = {"color": _style.SOFT, "lw": 1.2}, {"color": _style.TEAL, "lw": 2.4}


@cache
def run() -> tuple[dict[str, list[float]], float]:
    """Return the history of the chapter's run, and its share of right test rows."""
    b, d = tp.load("numpy", dtype="float64"), tp.data.breast_cancer()
    net = tp.Sequential(tp.Dense(30, 16, "relu"), tp.Dropout(0.2), tp.Dense(16, 1))
    stopping = tp.EarlyStopping(patience=5)
    training = tp.Training(
        100, 32, tp.SGD(0.1), "bce", l2=1e-3, seed=0, early_stopping=stopping
    )
    data, held_out = (d.x_train[91:], d.y_train[91:]), (d.x_train[:91], d.y_train[:91])
    r = b.fit(net, net.init(seed=0), data, training, validation=held_out)
    return r.history, d.score(b.forward(net, r.weights, d.x_test))


def circle(ax: Axes, at: tuple[float, float], said: str, color: str = _style.INK) -> None:
    """Draw a circle with a text in it."""
    ax.add_patch(Circle(at, 0.24, fc="white", ec=color, lw=2, zorder=3))
    ax.text(*at, said.replace("-", MINUS), zorder=4, **BOTH)


def unit(ax: Axes) -> None:
    """Draw the perceptron, its weights on its edges."""
    z = perceptron.BIAS + perceptron.POINT @ perceptron.WEIGHT
    y = perceptron.output(perceptron.POINT[None]).item()
    white = {"bbox": {"fc": "white", "lw": 0, "pad": 1}, "color": _style.TEAL}
    for at, said, weight in [(1.7, "1", "1"), (1.05, "-1", "3"), (0.4, "2", f"{MINUS}2")]:
        ax.plot([0.3, 1.25], [at, 1.05], **THICK)
        circle(ax, (0.3, at), said)
        ax.text(0.71, at + (1.05 - at) * 0.43, weight, **white, **BOTH)
    circle(ax, (1.25, 1.05), f"{z:.0f}", _style.TEAL)
    ax.text(1.3, 0.45, f"sigmoid:\n{y:.4f}", ha="left", va="center", color=_style.TEAL)


def network(ax: Axes) -> None:
    """Draw two inputs, three hidden units and an output; the first one's edges marked."""
    columns = [{"x₁": 1.4, "x₂": 0.7}, {"h₁": 1.7, "h₂": 1.05, "h₃": 0.4}, {"ŷ": 1.05}]
    for i, column in enumerate(columns):
        for name, y in column.items():
            x, mine = 0.3 + 0.85 * i, name == "h₁"
            for before in columns[i - 1].values() if i else ():
                ax.plot([x - 0.85, x], [before, y], **(THICK if mine else THIN))
            circle(ax, (x, y), name, _style.TEAL if mine else _style.INK)


def descent(ax: Axes) -> None:
    """Draw steps of gradient descent on the lecture's loss over one weight."""
    w = np.linspace(-2.4, 3.6, 61)
    weights = _descent.place(_descent.ZERO, _descent.FREE, (1, 0))
    ax.plot(w, _descent.heights(w, weights=weights, free=("1.weight",)), **THIN)
    w2, height, _ = downhill.slide()
    ax.plot(w2, height, "o", color=_style.TEAL, ms=7)
    ax.text(w2[0] + 0.6, height[0], f"J = {height[0]:.1f}", color=_style.TEAL)
    said = {"color": _style.TEAL, "ha": "center", "va": "top"}
    ax.text(w2[-1], -0.7, f"J = {height[-1]:.2f}", **said)
    ax.set(xlim=(-3, 3.6), ylim=(-2, 11))


def losses(ax: Axes) -> None:
    """Draw both losses of the run, and where it stops."""
    history, score = run()
    train, held_out = np.array(history["loss"]), np.array(history["val_loss"])
    epochs, best = np.arange(1, len(train) + 1), 1 + int(held_out.argmin())
    ax.plot(epochs, train, color=_style.TEAL)
    ax.plot(epochs, held_out, color=_style.ROSE)
    ax.plot(best, held_out[best - 1], "o", color=_style.ROSE, ms=10, mec="white", mew=2)
    ax.axvline(len(train), color=_style.INK, lw=1.4, ls=(0, (4, 2)))
    ax.set(yscale="log", xlim=(0, 58), ylim=(0.03, 0.8), xlabel="epoch", ylabel="loss")
    ax.set_yticks([0.05, 0.1, 0.2, 0.5], ["0.05", "0.1", "0.2", "0.5"])
    ax.minorticks_off()
    bold = {"weight": "bold"}
    ax.text(24, 0.105, "training, with dropout", color=_style.TEAL, **bold)
    said = f"held out, lowest at epoch {best}: {held_out[best - 1]:.3f}"
    ax.text(49, 0.0335, said, color=_style.ROSE, ha="right", **bold)
    said = f"stops at epoch {len(train)}\n{score:.0%} of the test rows right"
    ax.text(56.3, 0.7, said, ha="right", va="top", linespacing=1.4)
    said = "batches of 32, SGD 0.1, L2 0.001,\ndropout 0.2, patience 5"
    ax.text(4, 0.7, said, va="top", linespacing=1.4)


@_style.drawn(8, 5.9)
def svg(fig: Figure) -> None:
    """Draw the three pictures above the run."""
    named = {
        "perceptron": (unit, "ŷ = g(x W + b)"),
        "network": (network, "perceptrons in layers"),
        "training": (descent, f"W ← W {MINUS} η ∂J/∂W"),
    }
    for i, (title, (draw, said)) in enumerate(named.items()):
        ax = fig.add_axes((0.015 + 0.345 * i, 0.53, 0.29, 0.36))
        ax.set_title(title, color=_style.TEAL, pad=24)
        ax.text(0.01, 1.05, said, transform=ax.transAxes)
        ax.set(xlim=(0, 2.32), ylim=(-0.02, 2.1))
        _style.bare(ax)
        draw(ax)
        if i:
            arrow = {"arrowstyle": "-|>", "mutation_scale": 18, "lw": 3}
            arrow |= {"color": _style.TEAL}
            where = {"xycoords": "axes fraction", "textcoords": "axes fraction"}
            ax.annotate("", (0, 0.5), (-0.17, 0.5), arrowprops=arrow, **where)
    losses(fig.add_axes((0.09, 0.1, 0.9, 0.37)))
