"""How far whole runs of 1,000 steps drift apart, and why: two settings.

The same network, data, batches, dropout masks and first weights; only the
learning rate differs. With the small one differences shrink within a step,
and what is left are the roundings of the steps themselves. With the large
one they grow by a constant factor per step, until the runs have nothing in
common but what they learn.

Beside the backends runs a control: the first backend again, from weights of
which one is the next floating-point number. What it does is the dynamics'
doing and no framework's. See docs/trajectories.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tetrapla.backends import Backend
from tetrapla.data import Dataset, digits
from tetrapla.parity.drift import Curve, distance
from tetrapla.parity.sharpness import sharpness
from tetrapla.spec.contract import Arrays
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.optimizers import SGD
from tetrapla.spec.reports import StepReport
from tetrapla.spec.training import Training

STEPS: Final = 1000
EVERY: Final = 10  # steps between two distances: a copy of the weights is slow
BATCH: Final = 32
CURVED: Final = 50  # steps between two batches whose loss's sharpness is taken
CONTROL: Final = "1 ULP"  # what runs beside the backends

# Growth is fitted where a difference is small enough for the step to be linear
# in it, and after the first steps, which see single roundings.
SMALL: Final = 0.01
SETTLED: Final = 10


@dataclass(frozen=True)
class Setting:
    """A learning rate of plain gradient descent, and what it makes of runs."""

    name: str
    lr: float

    def training(self, steps: int, examples: int) -> Training:
        """Return a run of at least so many steps."""
        epochs = math.ceil(steps / math.ceil(examples / BATCH))
        return Training(epochs, BATCH, SGD(self.lr), "softmax_cross_entropy")


STABLE: Final = Setting("stable", 0.1)
CHAOTIC: Final = Setting("chaotic", 2.0)
SETTINGS: Final = (STABLE, CHAOTIC)


@dataclass(frozen=True)
class Paths:
    """What a setting came to.

    `curves` are distances after each of the recorded steps; the control's
    right is CONTROL. `accuracies` are on the test data, after the last step,
    by name and dtype. `sharpness` is the batch's, at steps of the first run
    in float64.
    """

    setting: Setting
    curves: tuple[Curve, ...]
    accuracies: Mapping[tuple[str, str], float]
    sharpness: tuple[float, ...]

    @property
    def reach(self) -> float:
        """The median of learning rate times sharpness: above 2 is unstable."""
        return self.setting.lr * float(np.median(self.sharpness or [math.nan]))


@dataclass(frozen=True)
class Trajectories:
    """Every setting, and after which steps the distances are."""

    at: tuple[int, ...]
    paths: tuple[Paths, ...]


@dataclass(frozen=True)
class _Run:
    weights: list[Arrays]  # after the recorded steps
    accuracy: float


def network() -> Sequential:
    """Return the network of both settings; tanh has no kinks to blame."""
    return Sequential(Dense(64, 32, "tanh"), Dropout(0.25), Dense(32, 10))


def recorded(steps: int) -> tuple[int, ...]:
    """Return the steps after which distances are taken.

    >>> recorded(30)
    (1, 10, 20, 30)
    """
    return (1, *range(EVERY, steps + 1, EVERY))


def trajectories(
    backends: Sequence[Backend],
    steps: int = STEPS,
    settings: Sequence[Setting] = SETTINGS,
    on_run: Callable[[str], None] = lambda name: None,
) -> Trajectories:
    """Run every setting in every backend, and compare with the first of its dtype.

    `on_run` is told the name of each run before it starts.
    """
    data = digits()
    found = tuple(_paths(s, data, backends, steps, on_run) for s in settings)
    return Trajectories(recorded(steps), found)


def runs(backends: Sequence[Backend], settings: Sequence[Setting] = SETTINGS) -> int:
    """Return how many runs `trajectories` makes: a control for each dtype."""
    return len(settings) * (len(backends) + len({b.dtype for b in backends}))


def _paths(
    setting: Setting,
    data: Dataset,
    backends: Sequence[Backend],
    steps: int,
    on_run: Callable[[str], None],
) -> Paths:
    curves: list[Curve] = []
    accuracies: dict[tuple[str, str], float] = {}
    curved: tuple[float, ...] = ()
    start = network().init(seed=0)
    for dtype in sorted({b.dtype for b in backends}):
        first, *others = (b for b in backends if b.dtype == dtype)
        on_run(f"{setting.name} {first.name} {dtype}")
        run = _run(setting, data, first, start, steps)
        accuracies[first.name, dtype] = run.accuracy
        if dtype == "float64":
            curved = _sharpness(setting, data, first, run, steps)
        control = (CONTROL, first, nudged(start, dtype))
        for name, backend, weights in (*((b.name, b, start) for b in others), control):
            on_run(f"{setting.name} {name} {dtype}")
            other = _run(setting, data, backend, weights, steps)
            distances = tuple(map(distance, run.weights, other.weights))
            curves.append(Curve(dtype, first.name, name, distances))
            accuracies[name, dtype] = other.accuracy
    return Paths(setting, tuple(curves), accuracies, curved)


def nudged(weights: Arrays, dtype: str) -> Arrays:
    """Return weights of the dtype, the first matrix's largest moved by one ULP.

    The largest, because its ULP is too, and is not lost in the first sum.
    """
    moved = {name: w.astype(dtype) for name, w in weights.items()}
    matrix = next(w for w in moved.values() if w.ndim == 2)
    place = np.unravel_index(np.argmax(np.abs(matrix)), matrix.shape)
    away = np.copysign(np.inf, matrix[place])
    matrix[place] = np.nextafter(matrix[place], away.astype(dtype))
    return moved


def _run(
    setting: Setting, data: Dataset, backend: Backend, weights: Arrays, steps: int
) -> _Run:
    net, training = network(), setting.training(steps, len(data.x_train))
    wanted = recorded(steps)
    found: list[Arrays] = []

    def keep(report: StepReport) -> None:
        if report.step + 1 in wanted:
            found.append(report.state().weights)
        if report.step + 1 == wanted[-1]:
            report.stop()

    backend.fit(net, weights, (data.x_train, data.y_train), training, on_step=keep)
    accuracy = data.score(backend.forward(net, found[-1], data.x_test))
    return _Run(found, accuracy)


def _sharpness(
    setting: Setting, data: Dataset, backend: Backend, run: _Run, steps: int
) -> tuple[float, ...]:
    """Return the sharpness of the batch's loss before every CURVED-th step.

    With that step's dropout mask: it is the very loss that the step descends.
    """
    n = len(data.x_train)
    training = setting.training(steps, n)
    found = []
    for done, weights in zip(recorded(steps), run.weights, strict=True):
        if done % CURVED or done == recorded(steps)[-1]:
            continue
        epoch, batch = divmod(done, len(training.batches(np.arange(n))))
        rows = training.batches(training.order(epoch, n))[batch]
        pair = data.x_train[rows], data.y_train[rows]
        key = training.dropout_key(done)
        found.append(sharpness(backend, network(), weights, pair, training.loss, key))
    return tuple(found)


def growth(curve: Curve, at: Sequence[int], until: float = math.inf) -> float:
    """Return the slope of log distance per step: a finite-time Lyapunov exponent.

    By least squares from step SETTLED to `until`, or to where the distance is
    first above SMALL; nan where there are fewer than two distances.

    >>> curve = Curve("float64", "a", "b", (1e-16, 1e-15, 1e-13, 1e-11, 1.0))
    >>> round(growth(curve, (1, 10, 20, 30, 40)) * 10 / math.log(10), 3)
    2.0
    """
    until = min(until, small_until(curve, at))
    pairs = zip(at, curve.distances, strict=True)
    kept = [
        (s, math.log(d)) for s, d in pairs if SETTLED <= s <= until and 0 < d < math.inf
    ]
    if len(kept) < 2:
        return math.nan
    steps, logs = np.array(kept).T
    steps = steps - steps.mean()
    return float(np.sum(steps * logs) / np.sum(steps**2))


def small_until(curve: Curve, at: Sequence[int]) -> int:
    """Return the last of the steps before the distance is above SMALL."""
    last = at[0]
    for step, d in zip(at, curve.distances, strict=True):
        if not d <= SMALL:
            break
        last = step
    return last


def together(paths: Paths, at: Sequence[int]) -> int:
    """Return the last step at which every distance is small still.

    Up to it both dtypes follow nearly the same path, so that their growth can
    be compared.
    """
    return min((small_until(c, at) for c in paths.curves), default=at[0])
