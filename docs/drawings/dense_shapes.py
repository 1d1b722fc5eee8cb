"""x W + b as grids of numbers, each with its shape."""

import _cells
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Four grids of numbers in a row: x of shape (4, 2), times W of shape (2, 3), plus b "
    "of shape (3), is z of shape (4, 3). The row of b is repeated in grey for every row "
    "of x. Framed are the first row of x, the first column of W, the first number of b, "
    "and what they make: the first number of z, -6."
)
CAPTION = (
    "Four examples, two inputs, three outputs. The inner sizes meet and are gone; b is one "
    "row and is added to every row."
)
X = np.array([[-1.0, 2.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
WEIGHTS = {
    "0.weight": np.array([[3.0, 0.5, -1.0], [-2.0, 1.0, 2.0]]),
    "0.bias": np.array([1.0, -1.0, 0.5]),
}
NET = tp.Sequential(tp.Dense(2, 3))
MINUS = "\N{MINUS SIGN}"


def product() -> np.ndarray:
    """Return z, by NumPy in float64."""
    return tp.load("numpy", dtype="float64").forward(NET, WEIGHTS, X)


def sentence() -> str:
    """Return the framed numbers as a sum."""
    w, b = WEIGHTS["0.weight"][:, 0], WEIGHTS["0.bias"][0]
    terms = [f"({x:g})({v:g})" for x, v in zip(X[0], w, strict=True)]
    text = f"{' + '.join(terms)} + {b:g} = {product()[0, 0]:g}"
    return text.replace("-", MINUS)


@_style.drawn(7.4, 3.55)
def svg(fig: Figure) -> None:
    """Draw the four grids, the signs between them, and the shapes below."""
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-0.15, 14.65), ylim=(-1.5, 5.6))
    _style.bare(ax)
    w, b, z = WEIGHTS["0.weight"], WEIGHTS["0.bias"], product()
    grids = [
        ("x", X, 0.0, "batch, in", (1, 2)),
        ("W", w, 2.9, "in, out", (2, 1)),
        ("b", b[None], 6.8, "out", (1, 1)),
        ("z", z, 10.7 + 0.8, "batch, out", (1, 1)),
    ]
    middle = {"ha": "center", "va": "center"}
    for name, values, left, axes, (high, wide) in grids:
        rows, cols = values.shape
        strong = _style.PALE[_style.TEAL] if name == "z" else "#dfe5ea"
        _cells.squares(ax, np.full(values.shape, strong), left, 4, lw=1.6)
        _cells.numbers(ax, values, left, 4, size=13)
        _cells.frame(ax, left, 4, wide, high)
        if name == "b":  # as the sum sees it
            again = np.repeat(values, len(X) - 1, axis=0)
            _cells.squares(ax, np.full(again.shape, "#f6f8fa"), left, 3, lw=1.6)
            _cells.numbers(ax, again, left, 3, size=13, color="#8b949e")
        shape = f"({cols},)" if name == "b" else f"({rows}, {cols})"
        ax.text(left + cols / 2, 4.55, name, size=16, weight="bold", **middle)
        at = left + cols / 2, -0.62
        ax.text(*at, f"{shape}\n{axes}", color=_style.SOFT, linespacing=1.4, **middle)
    for x, sign in [(2.45, "@"), (6.35, "+"), (10.65, "=")]:
        ax.text(x, 2.0 if sign != "@" else 3, sign, size=17, **middle)
    ax.text(11.5, 5.25, sentence(), color=_style.ROSE, weight="bold", ha="center")
