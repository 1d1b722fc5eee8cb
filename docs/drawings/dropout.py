"""The dropout masks of four frameworks, side by side: equal to the bit."""

from functools import cache

import _style
import numpy as np
from matplotlib.figure import Figure

import tetrapla as tp

ALT = (
    "Four grids of dots, one each for NumPy, PyTorch, TensorFlow and JAX: eight examples "
    "by twelve hidden units. About half of the dots are filled, those units are kept; the "
    "others are small rings, dropped. The pattern is the same in all four, to the last "
    "dot."
)
CAPTION = (
    "One row is an example, one column a hidden unit; half of them drop out, at random, "
    "in each example. The four frameworks draw their masks from the same key."
)
NET = tp.Sequential(tp.Dense(2, 12, "relu"), tp.Dropout(0.5), tp.Dense(12, 1))
EXAMPLES, SEED = 8, 0


@cache
def masks() -> dict[str, np.ndarray]:
    """Return which units each backend keeps in the first step, (examples, units)."""
    x, y = np.ones((EXAMPLES, 2)), np.ones((EXAMPLES, 1))
    key = tp.Training(1, seed=SEED).dropout_key(0)
    given = NET, NET.init(seed=SEED), x, y, "mse"
    kept = {
        name: tp.load(name).trace(*given, key=key)["1.mask"] for name in _style.BACKENDS
    }
    return {name: np.asarray(mask) != 0 for name, mask in kept.items()}


def differing() -> int:
    """Return how many bits of the others' masks are not NumPy's."""
    first, *others = masks().values()
    return sum(int(np.count_nonzero(first != mask)) for mask in others)


@_style.drawn(8, 2.15)
def svg(fig: Figure) -> None:
    """Draw a dot for each unit that is kept, and a ring for each that is dropped."""
    axes = fig.subplots(1, 4)
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.16, top=0.9, wspace=0.14)
    first = next(iter(masks().values()))
    for ax, (name, mask) in zip(axes, masks().items(), strict=True):
        rows, columns = np.nonzero(mask)
        ax.scatter(columns, rows, s=70, c=_style.BACKENDS[name], lw=0)
        rows, columns = np.nonzero(~mask)
        ax.scatter(columns, rows, s=18, fc="white", ec=_style.SOFT, lw=0.9)
        ax.set_title(_style.NAMES[name])
        ax.set(xlim=(-0.6, 11.6), ylim=(7.6, -0.6), aspect="equal")
        _style.bare(ax)
    kept = f"{first.sum()} of {first.size} kept"
    said = f"{kept}; bits that differ from NumPy's: {differing()} of {3 * first.size}"
    fig.text(0.5, 0.05, said, ha="center", weight="bold", size=13)
