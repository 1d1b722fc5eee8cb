"""One hidden unit as a chain: values forward, gradients backward, from a trace."""

import itertools

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

import tetrapla as tp

ALT = (
    "A chain of circles from x over z1, a1 and y-hat to the loss J, each with its value; "
    "the weights w1 and w2 come in from above. Below, an arrow leads from the loss back "
    "to w2 over two factors, whose product is its gradient, and one to w1 over three. The "
    "first factor is the same in both."
)
CAPTION = (
    "Above, what the forward pass computes; below, the factors on the way back from J. "
    "The first is computed once and serves both weights."
)
W1, W2, X, Y = 0.5, -1.0, 2.0, 1.0
NET = tp.Sequential(tp.Dense(1, 1, "tanh"), tp.Dense(1, 1))
PLACES = (1.5, 2.95, 4.4, 5.85, 7.4)
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def trace() -> dict[str, float]:
    """Return every stage of a forward and a backward pass, by NumPy in float64."""
    b = tp.load("numpy", dtype="float64")
    weights = {"0.weight": np.full((1, 1), W1), "1.weight": np.full((1, 1), W2)}
    weights |= {"0.bias": np.zeros(1), "1.bias": np.zeros(1)}
    given = NET, weights, np.array([[X]]), np.array([[Y]]), "mse"
    return {name: np.asarray(value).item() for name, value in b.trace(*given).items()}


def factors() -> dict[str, list[tuple[str, float]]]:
    """Return for each weight the factors of its gradient, from the loss backwards."""
    b, stages = tp.load("numpy", dtype="float64"), trace()
    through = b.activation_gradient("tanh", np.array(stages["0.z"]), np.array(W2)).item()
    first = ("∂J/∂ŷ", stages["1.da"])
    return {
        "w₂": [first, ("∂ŷ/∂w₂", stages["0.a"])],
        "w₁": [first, ("∂ŷ/∂z₁", through), ("∂z₁/∂w₁", X)],
    }


def number(value: float) -> str:
    """Return the number with two places, or as a whole one."""
    said = f"{value:.1f}" if round(value, 1) == value else f"{value:.2f}"
    return said.removesuffix(".0").replace("-", MINUS)


def chain(ax: Axes, stages: dict[str, float]) -> None:
    """Draw the circles with their values, and the weights above their edges."""
    nodes = {"x": X, "z₁": stages["0.z"], "a₁": stages["0.a"], "ŷ": stages["1.a"]}
    edges = [f"{TIMES} w₁", "tanh", f"{TIMES} w₂", f"(ŷ {MINUS} {Y:g})²"]
    both = {"ha": "center", "va": "center"}
    for i, (name, value) in enumerate((nodes | {"J": stages["loss"]}).items()):
        at = PLACES[i], 3.1
        ax.add_patch(Circle(at, 0.33, fc="white", ec=_style.TEAL, lw=2.4, zorder=3))
        ax.text(*at, name, size=15, zorder=4, **both)
        ax.text(at[0], 3.67, number(value), size=13, weight="bold", **both)
    for i, said in enumerate(edges):
        start, end = PLACES[i] + 0.36, PLACES[i + 1] - 0.36
        arrow = {"arrowstyle": "-|>", "lw": 1.8, "color": _style.INK}
        ax.annotate("", (end, 3.1), (start, 3.1), arrowprops=arrow | {"shrinkA": 0})
        ax.text((start + end) / 2, 2.86, said, color=_style.SOFT, va="top", ha="center")
    for x, name, value in [(2.2, "w₁", W1), (5.1, "w₂", W2)]:
        ax.annotate("", (x, 3.15), (x, 4.05), arrowprops=arrow)
        ax.text(x, 4.2, f"{name} = {number(value)}", size=13, weight="bold", **both)


@_style.drawn(8, 4.4)
def svg(fig: Figure) -> None:
    """Draw the chain, and under its edges the factors of both gradients."""
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 8), ylim=(0.05, 4.45), aspect="equal")
    _style.bare(ax)
    stages = trace()
    chain(ax, stages)
    pale = _style.PALE[_style.ROSE]
    ax.add_patch(Rectangle((6.1, 0.2), 1, 2.15, fc=pale, lw=0))
    columns = {"∂J/∂ŷ": 6.6, "∂ŷ/∂w₂": 5.1, "∂ŷ/∂z₁": 4.4, "∂z₁/∂w₁": 2.2}
    for y, (weight, product) in zip((1.85, 0.7), factors().items(), strict=True):
        end = columns[product[-1][0]] - 0.65
        arrow = {"arrowstyle": "-|>", "lw": 2, "color": _style.ROSE}
        ax.annotate("", (end, y), (7.4, y), arrowprops=arrow)
        for name, value in product:
            said = f"{name}\n{number(value)}"
            box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": _style.ROSE}
            ax.text(columns[name], y, said, ha="center", va="center", bbox=box)
        for (after, _), (name, _) in itertools.pairwise(product):
            x = (columns[after] + columns[name]) / 2
            box = {"fc": "white", "lw": 0, "pad": 1}
            ax.text(x, y, TIMES, size=16, ha="center", va="center", bbox=box)
        grad = stages["1.weight.grad" if weight == "w₂" else "0.weight.grad"]
        said = f"∂J/∂{weight}\n= {number(grad)}"
        bold = {"weight": "bold", "color": _style.ROSE, "size": 13}
        ax.text(end - 0.08, y, said, ha="right", va="center", linespacing=1.4, **bold)
