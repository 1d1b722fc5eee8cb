"""What the drawings share: one look, one colour per backend, the same bytes.

A drawing is a function of a figure, made one that returns SVG by `drawn`:

    @_style.drawn(8, 3)
    def svg(fig): ...
"""

import io
import re
from collections.abc import Callable, Iterable

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

# Blue, red, orange and violet differ for every kind of colour vision, and
# neighbours differ in grey. Whatever is no backend has none of them.
BACKENDS = {"numpy": "#56a7dc", "torch": "#c8361d", "tf": "#f0a500", "jax": "#43256e"}
NAMES = {"numpy": "NumPy", "torch": "PyTorch", "tf": "TensorFlow", "jax": "JAX"}
INK, SOFT, LINE = "#1b1f24", "#59636e", "#d1d9e0"
TEAL, ROSE = "#00645c", "#d6477f"  # this and that; what is to be seen
PALE = {TEAL: "#c0ddd9", ROSE: "#fbe2eb"}  # two greys on paper
HEIGHTS = LinearSegmentedColormap.from_list("heights", ["#c3d3df", "#f1f5f8", "#ffffff"])

LOOK = {
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is there
    "font.size": 11,
    "lines.linewidth": 2.2,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "path",  # looks the same where the font is not there
    "svg.hashsalt": "tetrapla",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
}


def drawn(width: float, height: float) -> Callable[[Callable[[Figure], None]], Callable]:
    """Return what makes of a drawing on a figure, in inches, one that returns SVG.

    No setting of matplotlib's is read from the user's, and none is left changed.
    """

    def of(draw: Callable[[Figure], None]) -> Callable[[], str]:
        def svg() -> str:
            with matplotlib.rc_context():
                matplotlib.rcdefaults()
                matplotlib.rcParams.update(LOOK)
                fig = Figure(figsize=(width, height))
                draw(fig)
                return _text(fig)

        svg.__doc__ = draw.__doc__
        return svg

    return of


def _text(fig: Figure) -> str:
    """Return the SVG, its coordinates rounded to a hundredth of a point.

    Another machine rounds other last digits, which a picture does not need; and
    ids are numbers here because matplotlib's are hashes of those digits.
    """
    made = io.StringIO()
    fig.savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r' (?:d|x|y)="[^"]*"', _short, made.getvalue())
    ids = {found: f"i{i}" for i, found in enumerate(re.findall(r' id="([^"]+)"', text))}
    text = re.sub(
        r'(?<= id=")[^"]+|(?<=#)[^")]+(?=[")])', lambda m: ids.get(m[0], m[0]), text
    )
    return re.sub(r"\n +", "\n", text)


def _short(attribute: re.Match[str]) -> str:
    """Return coordinates rounded, and one L for all lines of a row."""
    text = re.sub(r"\s+", " ", attribute[0]).replace(' "', '"').strip()
    text = re.sub(r"-?\d+\.\d+", lambda n: f"{round(float(n[0]), 2) + 0.0:.6g}", text)
    row = r"(?<=[ML])( -?[\d.]+ -?[\d.]+)((?: L -?[\d.]+ -?[\d.]+)+)"
    return " " + re.sub(row, lambda m: f"{m[1]} L{m[2].replace(' L', '')}", text)


def halo(*artists: Artist, width: float = 3) -> None:
    """Put white around texts or lines, so that they stand out from what is below."""
    for artist in artists:
        artist.set_path_effects(
            [patheffects.withStroke(linewidth=width, foreground="white")]
        )


def bare(ax: Axes) -> None:
    """Leave out the frame and the ticks."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def heights(
    ax: Axes, x: np.ndarray, y: np.ndarray, z: np.ndarray, levels: Iterable
) -> None:
    """Draw a map: the lower, the darker."""
    z = np.round(z, 6)
    ax.contourf(x, y, z, levels=levels, cmap=HEIGHTS, extend="both")
    ax.contour(x, y, z, levels=levels, colors=SOFT, linewidths=0.5, alpha=0.6)
