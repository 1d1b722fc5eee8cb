"""Three learning rates on one loss: slow and stuck, converging, diverging."""

import _descent
import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "The same loss over one weight in three panels: a narrow false minimum on the left, a "
    "wide and deeper one on the right. With a small rate the dots creep down into the "
    "false minimum. With a stable one they jump out of it and settle in the deeper. With "
    "a large one they jump from wall to wall, higher each time, and leave the picture."
)
CAPTION = (
    "One start, three rates. The narrow valley holds the small one; the stable one is too "
    "large for it and finds the wide valley; the large one is too large for both."
)
ON = {  # a landscape over one weight
    "net": tp.Sequential(tp.Dense(1, 1, "silu")),
    "data": (np.array([[-6.0]] + [[1.0]] * 7), np.array([[4.0]] + [[2.0]] * 7)),
    "free": ("0.weight",),
}
WEIGHTS = {"0.weight": np.array([[-1.1]]), "0.bias": np.zeros(1)}
RATES = {"small": 0.02, "stable": 0.4, "large": 1.4}


def runs(steps: int = 25) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each rate the weight and the loss after each step, by NumPy."""
    b = tp.load("numpy", dtype="float64")
    with np.errstate(over="ignore"):
        return {
            name: _descent.descend(b, WEIGHTS, tp.SGD(eta), steps, **ON)
            for name, eta in RATES.items()
        }


@_style.drawn(8, 3.5)
def svg(fig: Figure) -> None:
    """Draw the loss three times, and on each the steps of a rate."""
    w = np.linspace(-2.3, 6.3, 259)
    loss = _descent.heights(w, weights=WEIGHTS, **ON)
    axes = fig.subplots(1, 3, sharey=True, gridspec_kw={"wspace": 0.08})
    fig.subplots_adjust(left=0.075, right=0.99, bottom=0.14, top=0.83)
    says = ["creeps, and stays", "converges", "diverges"]
    for ax, (name, (places, losses)), said in zip(axes, runs().items(), says, strict=True):
        color = _style.TEAL if name == "stable" else _style.ROSE
        ax.plot(w, loss, color=_style.INK, lw=1.4)
        outside = np.append(np.flatnonzero(losses > 20), len(losses))
        seen = slice(outside[0] + 1)
        ax.plot(places[seen, 0], losses[seen], "o-", color=color, lw=1.2, ms=5.5)
        ax.plot(places[0, 0], losses[0], "o", ms=9, mfc="white", mec=color, mew=2)
        ax.set_title(f"{name}, η = {RATES[name]}:\n{said}", color=color)
        power = f"$10^{{{np.log10(losses[-1]):.0f}}}$"
        end = f"{losses[-1]:.2f}" if losses[-1] < 100 else power
        ax.text(
            2, 14.3, f"J after {len(losses) - 1} steps:\n{end}", ha="center", va="center"
        )
        ax.set(xlim=(-2.3, 6.3), ylim=(1, 16), xticks=[-2, 0, 2, 4, 6], xlabel="w")
    axes[0].set(yticks=[2, 4, 6, 8, 10, 12, 14], ylabel="loss J")
    axes[0].annotate(
        "false minimum",
        (-0.58, 4.5),
        (-0.9, 9.2),
        arrowprops={"arrowstyle": "-", "color": _style.SOFT, "relpos": (0.08, 0)},
        color=_style.SOFT,
    )
