"""What is checked: each kind of case as data.

A case holds specification objects and says where its numbers come from
(samples.py); it computes nothing. verification.py asks a backend, and the
oracle what must come out.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tetrapla.parity import samples
from tetrapla.spec import threefry
from tetrapla.spec.activations import Activation
from tetrapla.spec.contract import Array, Arrays, Data
from tetrapla.spec.layers import Sequential
from tetrapla.spec.losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from tetrapla.spec.optimizers import Optimizer
from tetrapla.spec.precisions import PRECISIONS
from tetrapla.spec.training import Training

DTYPES = tuple(PRECISIONS)


@dataclass(frozen=True)
class Case:
    """Base of the cases: a name, and the row of the table it belongs to."""

    id: str
    component: str
    dtypes: tuple[str, ...] = field(default=DTYPES, kw_only=True)

    def numbers(self, x: Array) -> Array:
        """Return x as every dtype of the case has it; read-only.

        All dtypes are given float32's numbers, of which halves have what is
        left when they are rounded. float64 alone is given its own: a backend
        may not go through float32.
        """
        return samples.float32_valued(x) if "float32" in self.dtypes else samples.fixed(x)


@dataclass(frozen=True)
class ActivationCase(Case):
    """g(z), and its vector-Jacobian product unless `forward_only`."""

    activation: Activation
    z: Array = field(compare=False, repr=False)
    forward_only: bool = False
    steep: bool = False

    @cached_property
    def upstream(self) -> Array:
        """The gradient from above, near the largest numbers if `steep`."""
        name, shape = f"{self.id} upstream", self.z.shape
        if self.steep:
            return samples.normal(name, shape, scale=2e37)
        return samples.upstream(name, shape)


@dataclass(frozen=True)
class LossCase(Case):
    """A loss of given outputs, and its gradient unless it is not reduced."""

    loss: Loss
    outputs: Array = field(compare=False, repr=False)
    y: Array = field(compare=False, repr=False)


@dataclass(frozen=True)
class NetworkCase(Case):
    """A network forward and backward, every stage.

    `source` is a data set; or "normal" for random inputs and labels; or
    "cancelling" for weights and inputs whose products nearly cancel; or
    "subnormal" for inputs of which some are below float32's normal numbers.
    """

    net: Sequential
    loss: Loss
    source: str = "normal"
    batch: int = 16
    dropout_seed: int | None = None

    @cached_property
    def key(self) -> threefry.Key | None:
        """The key of the dropout masks."""
        return None if self.dropout_seed is None else threefry.key(self.dropout_seed)

    @cached_property
    def weights(self) -> Arrays:
        """The network's initial weights."""
        # Ill-conditioned: all nearly the same, beside their differences.
        base = 1e3 if self.source == "cancelling" else 0.0
        return {
            name: self.numbers(base * (w.ndim == 2) + w)
            for name, w in self.net.init(seed=1).items()
        }

    @cached_property
    def data(self) -> Data:
        """The batch: (x, y)."""
        if self.source not in ("normal", "cancelling", "subnormal"):
            return samples.real(self.source, self.batch, self.numbers)
        x = samples.normal(self.id, (self.batch, self.net.inputs))
        if self.source == "cancelling":
            x = samples.float32_valued(x - x.mean(axis=1, keepdims=True))
        if self.source == "subnormal":
            x = samples.float32_valued(x * np.resize([1e-40, 1.0, 1e-30], x.shape[1]))
        return x, labels(self.id, self.loss, self.batch, self.net.outputs)


@dataclass(frozen=True)
class DifferenceCase(NetworkCase):
    """A network's gradients against centred differences of its own loss."""

    dtypes: tuple[str, ...] = field(default=("float64",), kw_only=True)


@dataclass(frozen=True)
class OptimizerCase(Case):
    """The state before the first step, then weights and state after each.

    Every step starts from the same weights and state in every backend: those
    of the rule itself, evaluated in float64, with the case's numbers. On a long
    path only some steps are asked for: the first and last ones, and between
    them fewer and fewer. The learning rate may halve on the way.
    """

    # An optimizer keeps to the weights' dtype: halves are no other case.
    dtypes: tuple[str, ...] = field(default=("float64", "float32"), kw_only=True)
    optimizer: Optimizer
    steps: int = 5
    halve_after: int | None = None

    @property
    def asked(self) -> list[int]:
        """The steps that a backend is asked to do, counted from 1."""
        n = self.steps
        if n <= 10:
            return list(range(1, n + 1))
        return sorted({1, 2, n - 1, n, *(int(n**p) for p in np.linspace(0.2, 0.98, 12))})

    @cached_property
    def weights(self) -> Arrays:
        """The weights before the first step."""
        return {"0.weight": self.numbers(samples.optimizer_weights(self.component))}

    def at(self, step: int) -> Optimizer:
        """Return the optimizer as it is in a step, counted from 1."""
        if self.halve_after is None or step <= self.halve_after:
            return self.optimizer
        return self.optimizer.with_lr(self.optimizer.lr / 2)

    def gradients(self, step: int) -> Arrays:
        """Return the gradients of a step."""
        draws = samples.optimizer_gradients(self.component, step)
        return {"0.weight": self.numbers(draws)}


@dataclass(frozen=True)
class TrainingCase(Case):
    """A run: each step by its stages, then `fit`, epoch by epoch.

    The labels are multiplied by `times`, so that gradients are large.
    """

    net: Sequential
    training: Training
    source: str
    rows: int
    validation: int = 0
    times: float = 1.0

    @cached_property
    def weights(self) -> Arrays:
        """The network's initial weights."""
        return {name: self.numbers(w) for name, w in self.net.init(seed=1).items()}

    @cached_property
    def data(self) -> tuple[Data, Data | None]:
        """The training data, and the rows after them for validation."""
        n = self.rows
        x, y = samples.real(self.source, n + self.validation, self.numbers)
        y = y if self.times == 1 else self.numbers(self.times * y)
        return (x[:n], y[:n]), (x[n:], y[n:]) if self.validation else None


def labels(name: str, loss: Loss, batch: int, width: int) -> Array:
    """Return labels that suit the loss."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return samples.classes(name, batch, width)
    if isinstance(loss, BinaryCrossEntropy):
        return samples.fractions(name, (batch, width))
    return np.asarray(samples.normal(f"{name} labels", (batch, width)))
