"""Two of the companion exercises: a graph with its derivatives, and a minimum found."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import tetrapla as tp

ALT = (
    "On the left a graph: a and b are added to c, b minus 1 is d, c times d is e. With a = "
    "1.5 and b = 2.5, c is 4, d is 1.5 and e is 6; the derivatives beside are 1.5 for c, 4 "
    "for d, 1.5 for a and 5.5 for b. On the right the curve of x over 500 steps rises from "
    "0, quickly and then slowly, to 4."
)
CAPTION = (
    "Left, values inside and the derivative of e beside each; two ways lead to b, and "
    "their derivatives add up. Right, each step goes 2% of the way that is left to 4."
)
A, B, ETA, STEPS = 1.5, 2.5, 0.01, 500
SUMS = {"0.weight": np.array([[1.0, 0.0], [1.0, 1.0]]), "0.bias": np.array([0.0, -1.0])}
PLACES = {"a": (0.6, 2.85), "b": (0.6, 0.95), "c": (2.2, 2.85), "d": (2.2, 0.95)}
PLACES |= {"e": (3.75, 1.9)}
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
EDGES = {"ac": "+", "bc": "+", "bd": f"{MINUS} 1", "ce": TIMES, "de": TIMES}


def graph() -> tuple[dict[str, float], dict[str, float]]:
    """Return the values, and the derivatives of e with respect to each, by NumPy."""
    b, net = tp.load("numpy", dtype="float64"), tp.Sequential(tp.Dense(2, 2))
    ab = np.array([[A, B]])
    cd = b.forward(net, SUMS, ab)
    upstream = cd[:, ::-1]  # of a product: each has the other one
    # The gradient of a mean of two squares is prediction minus label.
    r = b.loss_and_gradients(net, SUMS, ab, cd - upstream, "mse")
    values = [A, B, *cd[0], cd[0].prod()]
    slopes = [*r.input[0], *upstream[0], 1.0]
    return dict(zip("abcde", values, strict=True)), dict(zip("abcde", slopes, strict=True))


def descent() -> np.ndarray:
    """Return x before each step and after the last, from 0 towards the least (x - 4)^2."""
    b, net = tp.load("numpy", dtype="float64"), tp.Sequential(tp.Dense(1, 1))
    sgd, one, four = tp.SGD(ETA), np.ones((1, 1)), np.full((1, 1), 4.0)
    x, path = {"0.weight": np.zeros((1, 1))}, [0.0]
    state = b.init_optimizer(sgd, x)
    for _ in range(STEPS):
        r = b.loss_and_gradients(net, x | {"0.bias": np.zeros(1)}, one, four, "mse")
        x, state = b.update(sgd, x, {"0.weight": r.weights["0.weight"]}, state)
        path.append(x["0.weight"].item())
    return np.array(path)


def nodes(ax: Axes) -> None:
    """Draw the graph, the value in each circle and its derivative beside."""
    ax.set(xlim=(0, 4.5), ylim=(0, 3.8), aspect="equal")
    _style.bare(ax)
    for (start, end), said in EDGES.items():
        p, q = np.array(PLACES[start]), np.array(PLACES[end])
        off = 0.44 * (q - p) / np.linalg.norm(q - p)
        arrow = {"arrowstyle": "-|>", "lw": 1.8, "color": _style.INK}
        ax.annotate("", q - off, p + off, arrowprops=arrow | {"shrinkA": 0, "shrinkB": 0})
        box = {"fc": "white", "lw": 0, "pad": 1.5}
        ax.text(*(p + q) / 2, said, ha="center", va="center", color=_style.SOFT, bbox=box)
    values, slopes = graph()
    for name, (x, y) in PLACES.items():
        ax.add_patch(Circle((x, y), 0.4, fc="white", ec=_style.TEAL, lw=2.4, zorder=3))
        both = {"ha": "center", "va": "center", "zorder": 4}
        ax.text(x, y, f"{name}\n{values[name]:g}", size=13, **both)
        said = f"∂e/∂{name} = {slopes[name]:g}"
        if name == "b":
            said = f"∂e/∂b =\n{slopes['c']:g} + {slopes['d']:g} = {slopes['b']:g}"
        above = y > 1.5
        align = {"ha": "center", "va": "bottom" if above else "top", "linespacing": 1.4}
        y += 0.5 if above else -0.5
        ax.text(x, y, said, color=_style.ROSE, weight="bold", **align)


@_style.drawn(8, 3.6)
def svg(fig: Figure) -> None:
    """Draw the graph beside the descent."""
    nodes(fig.add_axes((0, 0, 0.5625, 1)))
    ax, path = fig.add_axes((0.62, 0.15, 0.36, 0.75)), descent()
    ax.axhline(4, color=_style.SOFT, lw=1, ls=(0, (4, 3)))
    ax.plot(path, color=_style.TEAL)
    for t in (35, 100, 200, STEPS):
        ax.plot(t, path[t], "o", color=_style.TEAL, ms=7)
        said = f"{path[t]:.4f}" if t == STEPS else f"{path[t]:.2f}"
        align = "right" if t == STEPS else "left"
        ax.text(t + (0 if t == STEPS else 15), path[t] - 0.14, said, ha=align, va="top")
    ax.set(xlim=(-8, STEPS + 10), ylim=(-0.3, 4.4), xlabel="step", ylabel="x")
    ax.set_title(f"(x {MINUS} 4)², η = {ETA}")
    ax.set(xticks=[0, 100, 200, 300, 400, 500], yticks=range(5))
