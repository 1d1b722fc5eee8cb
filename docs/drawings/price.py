"""L2 regularisation: curves and losses, the higher the price of large weights."""

from functools import cache

import _noisy
import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Above, sixteen points fitted by a polynomial three times: without a price on weights "
    "the curve swings wildly, with a moderate one it is a calm wave, with a high one "
    "nearly flat. Below, two losses over the price. The training loss only rises; the "
    "held-out loss falls, is lowest in the middle, and rises again."
)
CAPTION = (
    "The higher the price λ, the smaller the weights. The training loss can only become "
    "worse by it, and the held-out loss has its lowest point in between."
)
DEGREE, EPOCHS = 15, 2000
PRICES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
SHOWN = {0.0: "wild", 0.1: "calm", 3.0: "flat"}
NET = tp.Sequential(tp.Dense(DEGREE, 1))


def terms(x: np.ndarray) -> np.ndarray:
    """Return Chebyshev's polynomials of x up to the degree, without the constant."""
    return np.polynomial.chebyshev.chebvander(x[:, 0], DEGREE)[:, 1:]


@cache
def fit(price: float) -> tuple[dict[str, np.ndarray], float, float]:
    """Return the weights, the training loss and the held-out loss, by NumPy."""
    b = tp.load("numpy", dtype="float64")
    (x, y), (held_out, answers) = _noisy.TRAINING, _noisy.HELD_OUT
    training = tp.Training(EPOCHS, "all", tp.SGD(0.15), "mse", l2=price)
    run = b.fit(NET, NET.init(seed=0), (terms(x), y), training)
    outputs = b.forward(NET, run.weights, terms(held_out))
    return run.weights, run.history["loss"][-1], float(b.loss("mse", outputs, answers))


def size(price: float) -> float:
    """Return the size of the weights: the root of the sum of their squares."""
    return float(np.linalg.norm(fit(price)[0]["0.weight"]))


def curves(axes: list[Axes]) -> None:
    """Draw the points, and on them three of the fits."""
    b = tp.load("numpy", dtype="float64")
    x = np.linspace(-1, 1, 241)[:, None]
    for ax, (price, name) in zip(axes, SHOWN.items(), strict=True):
        color = _style.TEAL if name == "calm" else _style.ROSE
        ax.scatter(*_noisy.HELD_OUT, s=9, c=_style.LINE, lw=0)
        ax.scatter(*_noisy.TRAINING, s=30, c=_style.INK, lw=0, zorder=3)
        ax.plot(x, b.forward(NET, fit(price)[0], terms(x)), color=color, zorder=2)
        ax.set_title(f"{name}: λ = {price:g}", color=color, pad=22)
        ax.text(-1.08, 2.1, f"size of the weights {size(price):.2f}")
        ax.set(xlim=(-1.08, 1.08), ylim=(-2.2, 1.95))
        _style.bare(ax)


@_style.drawn(8, 5.2)
def svg(fig: Figure) -> None:
    """Draw the curves above both losses."""
    grid = fig.add_gridspec(2, 3, height_ratios=[1, 1.05], hspace=0.12, wspace=0.04)
    fig.subplots_adjust(left=0.085, right=0.99, bottom=0.1, top=0.88)
    curves([fig.add_subplot(grid[0, i]) for i in range(3)])
    ax = fig.add_subplot(grid[1, :])
    at = [0.0003, *PRICES]  # 0 has no place on a logarithmic axis
    both = np.array([fit(price)[1:] for price in (0.0, *PRICES)])
    for losses, color in zip(both.T, (_style.TEAL, _style.ROSE), strict=True):
        ax.plot(at[1:], losses[1:], color=color)
        ax.plot(at[:2], losses[:2], color=color, ls=(0, (2, 2)))
        ax.plot(at, losses, "o", color=color, ms=6)
    said = {"weight": "bold", "size": 13}
    ax.text(0.0105, 0.36, "held-out loss", color=_style.ROSE, **said)
    ax.text(0.0105, 0.085, "training loss", color=_style.TEAL, **said)
    ax.set(xscale="log", xlim=(0.00026, 3.6), ylim=(0, 0.8), yticks=[0, 0.2, 0.4, 0.6])
    ax.set_xticks([0.0003, 0.001, 0.01, 0.1, 1, 3], ["0", "0.001", "0.01", "0.1", "1", "3"])
    ax.minorticks_off()
    ax.set(xlabel="price λ", ylabel="loss")
