"""Two classes that no line separates, and a network with and without tanh."""

import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "The same points twice: two interlocking half-moons of different classes. On the left "
    "the network without a non-linearity divides the plane by a straight line, with "
    "points of both classes on either side. On the right, with tanh, the boundary winds "
    "between the moons and every point is on its side."
)
CAPTION = (
    "One network, trained alike on the same points; only the activation of its hidden "
    "layer differs. Hollow points are on the wrong side."
)
N = 60  # points in each class


def moons() -> tuple[np.ndarray, np.ndarray]:
    """Return points (2 N, 2) in two half-moons, and their labels (2 N, 1)."""
    noise = tp.threefry.uniform(tp.threefry.key(0), (2 * N, 2)).astype(float) - 0.5
    angle = np.linspace(0, np.pi, N)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.concatenate([upper, lower]) + 0.4 * noise - [0.5, 0.25]
    return x, np.repeat([0.0, 1.0], N)[:, None]


def trained(activation: str, places: np.ndarray) -> np.ndarray:
    """Return the logits at some places after training, by NumPy in float64."""
    b = tp.load("numpy", dtype="float64")
    net = tp.Sequential(tp.Dense(2, 8, activation), tp.Dense(8, 1))
    training = tp.Training(500, "all", tp.Adam(0.05), "binary_cross_entropy")
    run = b.fit(net, net.init(seed=0), moons(), training)
    return b.forward(net, run.weights, places)[:, 0]


@_style.drawn(8, 3.7)
def svg(fig: Figure) -> None:
    """Draw both networks' regions below the points."""
    axes = fig.subplots(1, 2)
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.91, wspace=0.04)
    x1, x2 = np.linspace(-2, 2, 81), np.linspace(-1.3, 1.3, 53)
    grid = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    x, y = moons()
    for ax, g in zip(axes, ("identity", "tanh"), strict=True):
        both = trained(g, np.concatenate([grid, x]))
        logits = np.clip(both[: len(grid)], -9, 9).round(3).reshape(len(x2), len(x1))
        right = (both[len(grid) :] > 0) == (y[:, 0] > 0.5)
        ax.contourf(x1, x2, logits, [-99, 0, 99], colors=_style.PALE.values())
        ax.contour(x1, x2, logits, [0], colors=_style.INK, linewidths=2.4)
        for label, (color, mark) in enumerate([(_style.TEAL, "o"), (_style.ROSE, "s")]):
            mine = y[:, 0] == label
            ax.scatter(*x[mine & right].T, s=26, c=color, marker=mark, lw=0)
            ax.scatter(*x[mine & ~right].T, s=30, fc="white", ec=color, marker=mark, lw=1.8)
        name = "without a non-linearity" if g == "identity" else f"with {g}"
        ax.set_title(f"{name}: {right.sum()} of {len(x)} right")
        _style.bare(ax)
