"""Features by hand and features learned, as the weights of a first layer."""

from functools import cache

import _cells
import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import tetrapla as tp

ALT = (
    "On the left a handwritten digit. In the middle sixteen little images of features "
    "made by hand, each a single dark row or column. On the right sixteen learned ones: "
    "dark and light strokes in a pattern of their own. A model on those by hand gets the "
    "digit wrong, one on those learned gets it right."
)
CAPTION = (
    "Each little image is one feature: dark where ink counts for it, white where ink "
    "counts against it. Those by hand have names; those learned have none, and are right "
    "more often."
)
SHOWN = 16
LINEAR = tp.Sequential(tp.Dense(SHOWN, 10))
NET = tp.Sequential(tp.Dense(64, 64, "relu"), tp.Dense(64, 10))
LOOK = LinearSegmentedColormap.from_list("look", ["white", "#b9d3d0", "#00302d"])


def by_hand() -> np.ndarray:
    """Return the mean of each column and of each row as weights, (64, 16)."""
    columns, rows = np.tile(np.eye(8), (8, 1)), np.repeat(np.eye(8), 8, axis=0)
    return np.concatenate([columns, rows], axis=1) / 8


@cache
def trained() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for both their features, (64, n), and the outputs for the test digits.

    Small weights that do nothing hide the strokes; the penalty l2 makes them 0.
    """
    b = tp.load("numpy", dtype="float64")
    d = tp.data.digits()
    made = {}
    for name, net, first, l2 in [
        ("by hand", LINEAR, by_hand(), 0.0),
        ("learned", NET, np.eye(64), 0.01),
    ]:
        settings = tp.Training(20, 32, tp.Adam(0.01), d.loss, l2=l2)
        run = b.fit(net, net.init(seed=0), (d.x_train @ first, d.y_train), settings)
        weights = first if net is LINEAR else run.weights["0.weight"]
        made[name] = weights, b.forward(net, run.weights, d.x_test @ first)
    return made


def example() -> tuple[int, dict[str, int]]:
    """Return the test digit on which those learned, alone right, are surest; answers."""
    y = tp.data.digits().y_test
    says = {name: out.argmax(axis=1) for name, (_, out) in trained().items()}
    alone = (says["by hand"] != y) & (says["learned"] == y)
    best = np.sort(trained()["learned"][1], axis=1)
    i = int(np.where(alone, best[:, -1] - best[:, -2], 0).argmax())
    return i, {name: int(said[i]) for name, said in says.items()}


def ink(i: int) -> np.ndarray:
    """Return the pixels of a test digit as they are, from 0 to 16."""
    raw = load_digits().data
    key = tp.threefry.fold_in(tp.threefry.key(tp.data.SEED), tp.threefry.SPLIT)
    return raw[tp.threefry.permutation(key, len(raw))[i]]


def image(ax: Axes, values: np.ndarray, left: float, top: float, size: float) -> None:
    """Draw 64 numbers from -1 to 1 as an image, in nine shades."""
    shades = (1 + np.rint(4 * np.clip(values, -1, 1)) / 4) / 2
    colors = np.array([to_hex(LOOK(shade)) for shade in shades]).reshape(8, 8)
    _cells.squares(ax, colors, left, top, size / 8, lw=0)
    _cells.frame(ax, left, top, size, size, color=_style.SOFT, lw=0.6)


@_style.drawn(7.4, 4.1)
def svg(fig: Figure) -> None:
    """Draw the digit, and sixteen features of each kind."""
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 7.4), ylim=(0, 4.1))
    _style.bare(ax)
    d = tp.data.digits()
    i, says = example()
    image(ax, ink(i) / 8 - 1, 0.1, 2.98, 1.55)
    style = {"ha": "center", "va": "center", "size": 13}
    ax.text(0.875, 3.28, "a digit", weight="bold", **style)
    ax.text(0.875, 0.62, f"it is a {d.y_test[i]}", **style)
    for left, color, (name, (weights, out)) in zip(
        (1.98, 4.8), (_style.ROSE, _style.TEAL), trained().items(), strict=True
    ):
        order = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")
        for k, unit in enumerate(order[:SHOWN]):
            at = left + 0.64 * (k % 4), 3.5 - 0.64 * (k // 4)
            image(ax, weights[:, unit] / (0.125 if name == "by hand" else 0.3), *at, 0.58)
        count = "all 16" if name == "by hand" else f"{SHOWN} of {weights.shape[1]}"
        x = left + 1.25
        ax.text(x, 3.82, f"{name}, {count}", weight="bold", color=color, **style)
        ax.text(x, 0.62, f"say: a {says[name]}", color=color, **style)
        ax.text(x, 0.25, f"{d.score(out):.0%} of all right", color=color, **style)
