"""The four parts of a step as a ring with real numbers, beside the losses of the run."""

import _style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

import tetrapla as tp

ALT = (
    "On the left a ring of four boxes joined by arrows: forward, loss, gradient, update, "
    "each with its numbers of the first step. On the right the loss in each of twenty "
    "steps as dots, which fall unevenly from about 0.5 to 0.3, and the mean of each of "
    "the five epochs as a bar, lower from one to the next."
)
CAPTION = (
    "Once around is one step; its numbers are those of the chapter's first batch. After "
    "four steps all 64 students have been seen: an epoch."
)
NET = tp.Sequential(tp.Dense(2, 3, "relu"), tp.Dense(3, 1))
TRAINING = tp.Training(epochs=5, batch_size=16, optimizer=tp.SGD(0.5), loss="bce", seed=0)
MINUS = "\N{MINUS SIGN}"


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return the chapter's students."""
    rng = np.random.default_rng(7)
    x = rng.uniform(-1.0, 1.0, size=(64, 2))
    y = (x[:, :1] + x[:, 1:] + 0.2 * rng.normal(size=(64, 1)) > 0).astype(float)
    return x, y


def steps() -> list[dict[str, float]]:
    """Return for each step the first logit, the loss, and one weight with its gradient."""
    b, (x, y) = tp.load("numpy", dtype="float64"), data()
    weights = NET.init(seed=0)
    state = b.init_optimizer(TRAINING.optimizer, weights)
    said = []
    for epoch in range(TRAINING.epochs):
        for rows in TRAINING.batches(TRAINING.order(epoch, len(x))):
            logit = b.forward(NET, weights, x[rows])[0]
            r = b.loss_and_gradients(NET, weights, x[rows], y[rows], TRAINING.loss)
            new, state = b.update(TRAINING.optimizer, weights, r.weights, state)
            of = {"before": weights, "gradient": r.weights, "after": new}
            of = {k: float(v["1.weight"][0, 0]) for k, v in of.items()}
            chance = b.activation("sigmoid", logit).item()
            of |= {"chance": chance, "label": y[rows][0, 0], "loss": float(r.loss)}
            said.append(of)
            weights = new
    return said


def ring(ax: Axes, first: dict[str, float]) -> None:
    """Draw the four parts clockwise, with the numbers of the first step."""
    size, rate = TRAINING.batch_size, TRAINING.optimizer.lr
    parts = {
        "forward": f"ŷ = {first['chance']:.2f}, y = {first['label']:.0f}\n"
        f"and {size - 1} others",
        "loss": f"J = {first['loss']:.2f}\nmean of {size}",
        "gradient": f"∂J/∂w = {first['gradient']:.3f}\nfor one w of 13",
        "update": f"w - {rate:g} · {first['gradient']:.3f}\n"
        f"{first['before']:.3f} → {first['after']:.3f}",
    }
    ax.set(xlim=(0, 4.3), ylim=(0, 4), aspect="equal")
    _style.bare(ax)
    places = [(1.02, 3.25), (3.3, 3.25), (3.3, 0.9), (1.02, 0.9)]
    for (x, y), (name, said) in zip(places, parts.items(), strict=True):
        box = {"boxstyle": "round,pad=0,rounding_size=0.12", "ec": _style.TEAL, "lw": 2}
        corner = x - 0.88, y - 0.55
        ax.add_patch(FancyBboxPatch(corner, 1.76, 1.1, fc="white", **box))
        ax.text(x, y + 0.22, name, size=13, weight="bold", ha="center", color=_style.TEAL)
        said = said.replace("-", MINUS)
        ax.text(x, y + 0.1, said, ha="center", va="top", linespacing=1.4)
    arrow = {"arrowstyle": "-|>", "lw": 3, "color": _style.TEAL, "mutation_scale": 18}
    for i, (x, y) in enumerate(places):
        end = np.array(places[(i + 1) % 4])
        off = np.sign(end - (x, y)) * (0.95, 0.62)
        ax.annotate("", end - off, (x + off[0], y + off[1]), arrowprops=arrow)
    said = f"step 1 of {TRAINING.epochs * 64 // size}"
    ax.text(2.16, 2.08, said, size=13, weight="bold", ha="center", va="center")


@_style.drawn(8, 4)
def svg(fig: Figure) -> None:
    """Draw the ring beside the loss of each step and the mean of each epoch."""
    run = steps()
    ring(fig.add_axes((0, 0, 0.5375, 1)), run[0])
    ax = fig.add_axes((0.61, 0.13, 0.38, 0.78))
    losses = np.array([step["loss"] for step in run])
    ax.plot(np.arange(1, len(losses) + 1), losses, "o", color=_style.SOFT, ms=6)
    ax.plot(1, losses[0], "o", color=_style.TEAL, ms=9)
    for epoch, mean in enumerate(losses.reshape(TRAINING.epochs, -1).mean(axis=1)):
        start = 4 * epoch + 0.5
        ax.hlines(mean, start, start + 4, color=_style.ROSE, lw=3)
        ax.axvline(start, color=_style.LINE, lw=1)
        said = {"color": _style.ROSE, "weight": "bold", "ha": "center"}
        ax.text(start + 2, 0.63, f"{mean:.2f}", **said)
    ax.set_title("loss, and its mean per epoch")
    ax.set(xlim=(0.5, 20.5), ylim=(0.2, 0.66), xlabel="step")
    ax.set(xticks=[1, 4, 8, 12, 16, 20], yticks=[0.2, 0.3, 0.4, 0.5, 0.6])
