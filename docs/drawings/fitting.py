"""Underfit, ideal fit and overfit of the same noisy points."""

import _noisy
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Sixteen noisy points of a wave, fitted three times. A straight line misses the wave "
    "and both losses are high. A smooth curve follows it and the held-out loss is the "
    "lowest. A wiggling curve goes through every single point: its training loss is 0, "
    "its held-out loss high again."
)
CAPTION = (
    "The same sixteen points (dark) and three networks. What counts is the loss on points "
    "that training has not seen (pale)."
)


def fits() -> dict[str, tuple[tp.Sequential, dict, dict[str, float]]]:
    """Return for each fit its network, weights, and last losses."""
    runs = {}
    for name, hidden, epochs, eta in [
        ("underfit", [], 300, 0.1),
        ("ideal fit", [3], 600, 0.02),
        ("overfit", [32, 32], 2500, 0.01),
    ]:
        net = _noisy.network(*hidden)
        run = _noisy.fit(net, epochs, eta)
        runs[name] = net, run.weights, {k: v[-1] for k, v in run.history.items()}
    return runs


@_style.drawn(8, 3.6)
def svg(fig: Figure) -> None:
    """Draw the points and the three curves."""
    b = tp.load("numpy", dtype="float64")
    axes = fig.subplots(1, 3, sharey=True)
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.75, wspace=0.04)
    x = np.linspace(-1, 1, 241)[:, None]
    for ax, (name, (net, weights, loss)) in zip(axes, fits().items(), strict=True):
        color = _style.TEAL if name == "ideal fit" else _style.ROSE
        ax.scatter(*_noisy.HELD_OUT, s=9, c=_style.LINE, lw=0)
        ax.scatter(*_noisy.TRAINING, s=34, c=_style.INK, lw=0, zorder=3)
        ax.plot(x, b.forward(net, weights, x), color=color, lw=2.8, zorder=2)
        size = sum(w.size for w in weights.values())
        ax.set_title(f"{name}: {size:,} weights", color=color, pad=40)
        said = f"training loss {loss['loss']:.2f}\nheld-out loss {loss['val_loss']:.2f}"
        ax.text(-1.08, 1.98, said, va="bottom", linespacing=1.4)
        ax.set(xlim=(-1.08, 1.08), ylim=(-1.95, 1.95))
        _style.bare(ax)
