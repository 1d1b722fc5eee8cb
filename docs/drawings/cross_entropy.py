"""Binary cross-entropy by probability, and by logit with and without clamps."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Left: the loss by the predicted probability, one curve that falls from infinity to 0 "
    "for those who passed, its mirror image for those who failed, and three students on "
    "them. Right: the loss of a pass by the logit. The exact one is a straight line up "
    "to 200; with the logarithm clamped it is level at 100, with the probability clipped "
    "at 16.1."
)
CAPTION = (
    "Sure and wrong costs without limit, and the slope by the logit is p - y, here -1. "
    "Where a clamp has made the loss level, no gradient corrects the answer."
)
P = np.array([0.1, 0.8, 0.6])
Y = np.array([1.0, 0.0, 1.0])
Z = np.linspace(-200, 20, 441)
NONE = {"reduction": "none"}


def by_probability(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return each loss from probabilities, by NumPy in float64: nothing is clamped."""
    b = tp.load("numpy", dtype="float64")
    on_p = tp.BinaryCrossEntropy(from_logits=False, **NONE)
    return b.loss(on_p, p[:, None], y[:, None])


def by_logit() -> dict[str, np.ndarray]:
    """Return the loss of a pass at Z: exact, and as two libraries have it from p."""
    b = tp.load("numpy", dtype="float64")
    ones = np.ones_like(Z)
    exact = b.loss(tp.BinaryCrossEntropy(**NONE), Z[:, None], ones[:, None])
    p = b.activation("sigmoid", Z)
    return {
        "exact": exact,
        "torch": np.minimum(by_probability(p, ones), 100),  # log p is at least -100
        "keras": by_probability(np.clip(p, 1e-7, 1 - 1e-7), ones),
    }


def slope(z: float) -> float:
    """Return the exact gradient by the logit, for y = 1."""
    b = tp.load("numpy", dtype="float64")
    net = tp.Sequential(tp.Dense(1, 1))
    same = {"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)}
    r = b.loss_and_gradients(net, same, np.array([[z]]), np.ones((1, 1)), "bce")
    return r.input.item()


def probabilities(ax: Axes) -> None:
    """Draw both curves, and the three students on them."""
    p = np.linspace(0.002, 0.998, 250)
    for y, color, style in [(1.0, _style.TEAL, "-"), (0.0, _style.ROSE, (0, (4, 1.6)))]:
        ax.plot(p, by_probability(p, np.full_like(p, y)), color=color, ls=style, lw=2.8)
    for x, y, loss, dx in zip(P, Y, by_probability(P, Y), (1, -1, 1), strict=True):
        color, mark = (_style.TEAL, "o") if y else (_style.ROSE, "s")
        ax.plot(x, loss, mark, ms=10, color=color, mec="white", mew=1.5, zorder=4)
        side = "left" if dx > 0 else "right"
        text = ax.text(x + 0.035 * dx, loss + 0.1, f"{loss:.2f}", ha=side, weight="bold")
        text.set(color=color)
    ax.text(0.06, 4.25, "passed: y = 1", color=_style.TEAL, weight="bold")
    ax.text(0.95, 4.25, "failed: y = 0", color=_style.ROSE, weight="bold", ha="right")
    ax.set(xlim=(0, 1), ylim=(0, 4.6), xticks=[0, 0.5, 1], yticks=range(5))
    ax.set(xlabel="predicted p", ylabel="loss")


@_style.drawn(7.4, 3.7)
def svg(fig: Figure) -> None:
    """Draw the loss by p beside the loss by z."""
    left, right = fig.subplots(1, 2)
    fig.subplots_adjust(left=0.075, right=0.985, bottom=0.14, top=0.97, wspace=0.22)
    probabilities(left)
    curves = by_logit()
    looks = {"keras": (_style.ROSE, "-"), "torch": (_style.ROSE, (0, (4, 1.6)))}
    for name, (color, style) in (looks | {"exact": (_style.TEAL, "-")}).items():
        right.plot(Z, curves[name], color=color, ls=style, lw=2.8)
    names = {"exact": "from the logit", "torch": "log clamped", "keras": "p clipped"}
    for name, x, y in [("exact", -132, 165), ("torch", -197, 76), ("keras", -197, 26)]:
        end = curves[name][0]
        text = right.text(x, y, f"{names[name]}: {end:.4g}")
        text.set(color=looks.get(name, (_style.TEAL,))[0], weight="bold")
    said = f"slope {slope(-150.0):.0f}".replace("-", "\N{MINUS SIGN}")
    right.text(-132, 145, said, color=_style.TEAL, weight="bold")
    right.set(xlim=(-200, 20), ylim=(0, 205), xticks=[-200, -100, 0])
    right.set(yticks=[0, 50, 100, 150, 200], xlabel="logit z of one who passed")
