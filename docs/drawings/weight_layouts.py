"""The weights of one layer as (in, out) and as (out, in), and how memory holds them."""

import _cells
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "The same six weights twice: as W with two rows and three columns, and as its "
    "transpose V with three rows and two columns. Below, the two strips of memory hold "
    "the six numbers in another order, and lines that join equal numbers cross. Both give "
    "the same output; V read as if it were W gives another one."
)
CAPTION = (
    "One colour is one input: a row of W, a column of V. Memory holds them in another "
    "order, so a weight that is copied without transposing is another weight."
)
NET = tp.Sequential(tp.Dense(2, 3))
WEIGHTS = {k: v.astype(float) for k, v in NET.init(seed=0).items()}
W = WEIGHTS["0.weight"]
X = np.array([[4.0, 5.0]])  # the first of the chapter's students
SHADES = [_style.PALE[_style.TEAL], _style.PALE[_style.ROSE]]


def order() -> np.ndarray:
    """Return where in V's memory each of W's six numbers is."""
    return np.arange(W.size).reshape(W.T.shape).T.ravel()


def outputs() -> dict[str, np.ndarray]:
    """Return the output from W, from V transposed, and from V's memory read as W."""
    b = tp.load("numpy", dtype="float64")
    v = np.ascontiguousarray(W.T)
    read = {"x W": W, "x Vᵀ": v.T, "x V.reshape(2, 3)": v.reshape(W.shape)}
    return {k: b.forward(NET, WEIGHTS | {"0.weight": w}, X)[0] for k, w in read.items()}


def words(name: str, color: str = _style.INK) -> dict[str, str]:
    """Return an output as text."""
    numbers = ", ".join(f"{value:.2f}" for value in outputs()[name])
    text = f"{name} = ({numbers})".replace("-", "\N{MINUS SIGN}")
    return {"s": text, "color": color, "weight": "bold", "ha": "center", "va": "center"}


@_style.drawn(7.4, 5.76)
def svg(fig: Figure) -> None:
    """Draw both layouts, both strips of memory, and the outputs."""
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 10.4), ylim=(-0.6, 7.5))
    _style.bare(ax)
    shades = np.array(SHADES)[[[0] * 3, [1] * 3]]
    middle = {"ha": "center", "va": "center"}
    for name, values, colors, left, title, who, strip in [
        ("x W", W, shades, 1.2, "W  (in, out)", "Keras, Flax, tetrapla", 2.75),
        ("x Vᵀ", W.T, shades.T, 6.8, "V  (out, in)", "PyTorch", 1.0),
    ]:
        x = left + values.shape[1] / 2
        ax.text(x, 7.2, title, size=14, weight="bold", **middle)
        ax.text(x, 6.8, who, color=_style.SOFT, **middle)
        _cells.squares(ax, colors, left, 6.5, lw=2)
        _cells.numbers(ax, values, left, 6.5, form=".2f", size=12)
        ax.text(x, 3.15, **words(name))
        ax.text(1.9, strip - 0.5, f"{title[0]} in memory", ha="right", va="center")
        _cells.squares(ax, colors.reshape(1, -1), 2.2, strip, lw=2)
        _cells.numbers(ax, values.reshape(1, -1), 2.2, strip, form=".2f")
    for i, j in enumerate(order()):
        color = _style.TEAL if i < 3 else _style.ROSE
        ax.plot([2.7 + i, 2.7 + j], [1.69, 1.06], color=color, lw=1.8)
    ax.text(5.2, -0.33, **words("x V.reshape(2, 3)", _style.ROSE))
