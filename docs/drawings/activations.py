"""Sigmoid, tanh and ReLU, each with its derivative."""

import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Three panels with an activation and its derivative for z from -5 to 5. The sigmoid "
    "rises from 0 to 1, its derivative is a low hump of height one quarter. Tanh rises "
    "from -1 to 1, its hump reaches 1. ReLU is 0 and then the diagonal, its derivative "
    "jumps from 0 to 1 at 0."
)
CAPTION = (
    "An activation (solid) and its derivative (dashed). Where the sigmoid and tanh are "
    "level, the derivative is near 0, and no gradient gets through."
)


def values() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return for each activation z, g(z) and g'(z), in float64 by NumPy."""
    b = tp.load("numpy", dtype="float64")
    z = np.linspace(-5, 5, 201)
    return {
        g: (z, b.activation(g, z), b.activation_gradient(g, z, np.ones_like(z)))
        for g in ("sigmoid", "tanh", "relu")
    }


@_style.drawn(8, 3.2)
def svg(fig: Figure) -> None:
    """Draw the three beside each other."""
    axes = fig.subplots(1, 3, gridspec_kw={"wspace": 0.22})
    fig.subplots_adjust(left=0.05, right=0.985, bottom=0.1, top=0.88)
    names = [("sigmoid s(z)", "s"), ("tanh(z)", "tanh"), ("ReLU(z)", "ReLU")]
    places = [(1.5, 0.24), (1.6, 0.24), (1.8, 0.42)]
    curves = values().values()
    for ax, (name, short), at, (z, a, slope) in zip(
        axes, names, places, curves, strict=True
    ):
        ax.axhline(0, color=_style.LINE, lw=1)
        ax.axvline(0, color=_style.LINE, lw=1)
        for side in (z <= 0, z > 0):  # ReLU' jumps
            ax.fill_between(z[side], slope[side], color=_style.PALE[_style.ROSE], lw=0)
            ax.plot(z[side], slope[side], color=_style.ROSE, ls=(0, (4, 1.6)))
        ax.plot(z, a, color=_style.TEAL, lw=2.8)
        ax.set_title(name, color=_style.TEAL)
        ax.text(*at, f"{short}\N{PRIME}(z)", color=_style.ROSE, weight="bold")
        ax.set(xlim=(-5, 5), xticks=[-5, 0, 5])
    for ax in axes[:2]:
        ax.set(ylim=(-1.15, 1.15), yticks=[-1, 0, 1])
    axes[2].set(ylim=(-0.4, 5.15), yticks=[0, 1, 5])
    top = values()["sigmoid"][2].max()
    axes[0].annotate(
        f"never above {top:g}",
        (0, top),
        (-1.6, -0.42),
        color=_style.ROSE,
        arrowprops={"arrowstyle": "-", "color": _style.ROSE, "shrinkB": 3},
    )
    axes[2].plot(0, 0, "o", color=_style.ROSE, ms=6, zorder=4)
    axes[2].plot(0, 1, "o", color=_style.ROSE, ms=6, zorder=4, mfc="white", mew=1.5)
