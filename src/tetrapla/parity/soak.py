"""Random cases without end: a correct backend never leaves its bounds.

The suite's cases are chosen to tell wrong backends; these are drawn, to find
what a bound forgot: every kind of component with every option, at scales
from the subnormals to overflow, with zeros, ties and neighbours of kinks.
A failure is a fault of the backend or a gap in the oracle.

Shapes and networks come from small fixed sets, so that frameworks compile
few programs. Case `number` of a seed is the same on every machine.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from tetrapla.backends import Backend
from tetrapla.parity.cases import (
    ActivationCase,
    Case,
    LossCase,
    NetworkCase,
    OptimizerCase,
)
from tetrapla.parity.comparison import OCTAVES, median
from tetrapla.parity.engine import Verdict, verdict
from tetrapla.parity.samples import SPECIALS
from tetrapla.parity.suite_networks import network
from tetrapla.parity.verification import forget
from tetrapla.spec import optimizers as opt
from tetrapla.spec.activations import (
    ACTIVATIONS,
    ELU,
    Activation,
    GELUErf,
    LeakyReLU,
)
from tetrapla.spec.contract import Array, Arrays, Data
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import (
    OVER_OUTPUTS,
    REDUCTIONS,
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from tetrapla.spec.precisions import limits, numpy_dtype, precision, weights_dtype

Random = np.random.Generator

KEPT_CASES = 200  # verification keeps a case's expectations until told to forget


@dataclass(frozen=True)
class RandomActivationCase(ActivationCase):
    """An activation at random places, with a random gradient from above."""

    upstream: Array = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True)
class RandomNetworkCase(NetworkCase):
    """A network with random weights, inputs and labels."""

    weights: Arrays = field(kw_only=True, compare=False, repr=False)
    data: Data = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True)
class RandomOptimizerCase(OptimizerCase):
    """An optimizer's path along random gradients.

    They are drawn step by step, so that a long path keeps none.
    """

    shapes: tuple[tuple[int, ...], ...] = field(kw_only=True)
    seed: tuple[int, ...] = field(kw_only=True)
    nonzero: bool = field(kw_only=True)

    @cached_property
    def weights(self) -> Arrays:
        rng = np.random.default_rng(self.seed)
        return {str(i): numbers(rng, shape) for i, shape in enumerate(self.shapes)}

    def gradients(self, step: int) -> Arrays:
        rng = np.random.default_rng((*self.seed, step))
        draw = nonzero if self.nonzero else numbers
        return {str(i): draw(rng, shape) for i, shape in enumerate(self.shapes)}


def cases(seed: int, count: int, dtype: str = "float32") -> Iterator[Case]:
    """Yield the first cases of a seed, whose numbers are all of the dtype's."""
    for number in range(count):
        yield case(seed, number, dtype)


def case(seed: int, number: int, dtype: str = "float32") -> Case:
    """Return one case of a seed, whose numbers are all of the dtype's data.

    What is float32 beside halves has float32's digits and, so that it is not
    infinite once it is cast, a half's range.
    """
    rng = np.random.default_rng((seed, number))
    make = pick(rng, (activation_case,) * 3 + (loss_case,) * 3 + (optimizer_case,) * 2)
    if rng.random() < 0.15:
        make = network_case
    made: Case = make(rng, f"soak/{seed}/{number}", precision(dtype).data)
    return made


# Numbers


def pick(rng: Random, choices: Any) -> Any:
    """Return one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def numbers(rng: Random, shape: tuple[int, ...], dtype: str = "float32") -> Array:
    """Return finite numbers of the dtype, as float64: of one kind, or of several."""
    kinds = (ordinary, ordinary, scaled, wide, special, near_special, repeated)
    x = pick(rng, kinds)(rng, shape, dtype)
    if rng.random() < 0.4:
        x = np.where(rng.random(shape) < 0.3, pick(rng, kinds)(rng, shape, dtype), x)
    if rng.random() < 0.3:
        x = np.where(rng.random(shape) < 0.3, pick(rng, (0.0, -0.0)), x)
    return rounded(x, dtype)


def nonzero(rng: Random, shape: tuple[int, ...], dtype: str = "float32") -> Array:
    """Return numbers whose squares stay far from 0 and from overflow."""
    size = 10 ** rng.uniform(-12, 8, () if rng.random() < 0.5 else shape)
    return rounded(rng.choice([-1, 1], shape) * rng.uniform(0.1, 1, shape) * size, dtype)


def rounded(x: Array, dtype: str) -> Array:
    """Return x within the dtype's range and rounded to it, as float64; read-only."""
    largest = limits(dtype).largest
    x = np.clip(x, -largest, largest).astype(numpy_dtype(dtype)).astype(np.float64)
    x.setflags(write=False)
    return x


def ordinary(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers of the size at which functions bend."""
    return np.asarray(rng.standard_normal(shape) * 2 ** rng.uniform(-4, 6))


def scaled(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers of one size, which may be any."""
    return np.asarray(rng.standard_normal(shape) * 10 ** exponents(rng, (), dtype))


def wide(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers of all sizes."""
    return np.asarray(rng.standard_normal(shape) * 10 ** exponents(rng, shape, dtype))


def exponents(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return decimal exponents: usual ones, or rarely all that the dtype has.

    The usual ones leave room on either side, so that most products are in range.
    """
    found = limits(dtype)
    if rng.random() < 0.8:
        low, high = 0.8 * np.log10(found.tiny), 0.21 * np.log10(found.largest)
        return rng.uniform(max(-30, low), min(8, high), shape)
    return rng.uniform(least_exponent(dtype), int(np.log10(found.largest)), shape)


def least_exponent(dtype: str) -> int:
    """Return the decimal exponent of the smallest number."""
    return round(math.log10(limits(dtype).least))


def special(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers at which formulas go wrong, and subnormals."""
    tiny = rng.uniform(-2, 2, 8) * limits(dtype).tiny
    return np.asarray(rng.choice([*specials(dtype), *tiny], shape))


def specials(dtype: str) -> list[float]:
    """Return those of the special numbers that are within the dtype's range."""
    largest = limits(dtype).largest
    return [s for s in SPECIALS if abs(s) <= largest]


def near_special(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return neighbours of numbers at which formulas change."""
    steps = rng.integers(-4, 5, shape) * 2 * limits(dtype).unit
    return np.asarray(rng.choice(specials(dtype), shape) * (1 + steps))


def repeated(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return few numbers many times, and their opposites."""
    few = pick(rng, (ordinary, scaled))(rng, (2,), dtype)
    return np.asarray(rng.choice([*few, -few[0]], shape))


# Components

# Parameters are part of a compiled program: few of them.
VARIANTS: dict[str, tuple[Activation, ...]] = {
    **{name: (make(),) for name, make in ACTIVATIONS.items()},
    "leaky_relu": tuple(LeakyReLU(s) for s in (0.01, 0.3, 0.0, -0.5, 1.5, 1e-30)),
    "elu": tuple(ELU(a) for a in (1.0, 1.5, 0.0, 1e-3, 30.0)),
}
SHAPES = ((5, 8), (1, 7), (33,), (2, 3, 4))
LOSS_SHAPES = ((5, 3), (1, 1), (7, 1), (4, 10))
OPTIMIZER_SHAPES = (((3, 8), (8,)), ((7,),), ((1,),), ((4, 4),))


def activation_case(rng: Random, name: str, dtype: str) -> Case:
    """Return an activation with z and the gradient from above."""
    g, shape = pick(rng, VARIANTS[pick(rng, tuple(VARIANTS))]), pick(rng, SHAPES)
    z, da = numbers(rng, shape, dtype), numbers(rng, shape, dtype)
    row = f"activation/{g.name}"
    return RandomActivationCase(f"{name}/{g.name}", row, g, z, upstream=da)


def loss_case(rng: Random, name: str, dtype: str) -> Case:
    """Return a loss with outputs and labels of every form."""
    shape = pick(rng, LOSS_SHAPES)
    how = {"reduction": pick(rng, REDUCTIONS)}
    kind = pick(rng, ("mse", "logits", "probabilities", "softmax"))
    loss: Loss
    if kind == "softmax":
        loss, row = SoftmaxCrossEntropy(**how), "loss/softmax cross-entropy"
    elif kind == "mse":
        loss = MeanSquaredError(outputs=pick(rng, OVER_OUTPUTS), **how)
        row = "loss/mse"
    else:
        loss = BinaryCrossEntropy(
            from_logits=kind == "logits", outputs=pick(rng, OVER_OUTPUTS), **how
        )
        row = f"loss/bce on {kind}"
    if kind == "probabilities":
        outputs = fractions(rng, shape, dtype)
    else:
        outputs = numbers(rng, shape, dtype)
    y = labels(rng, loss, shape, dtype)
    if kind == "mse":  # some predictions are exactly right, or nearly
        wide = weights_dtype(dtype)
        near = rounded(outputs * (1 + 2 * limits(wide).unit), wide)
        y = np.where(rng.random(shape) < 0.2, pick(rng, (outputs, near)), y)
    return LossCase(f"{name}/{kind}", row, loss, outputs, y)


def labels(rng: Random, loss: Loss, shape: tuple[int, ...], dtype: str) -> Array:
    """Return labels in one of the forms that the loss takes; none is a half."""
    if isinstance(loss, MeanSquaredError):
        return numbers(rng, shape, dtype)
    if isinstance(loss, BinaryCrossEntropy):
        form = pick(rng, ("fractions", "fractions", "int64", "bool"))
        if form == "fractions":
            return fractions(rng, shape, weights_dtype(dtype))
        return rng.integers(0, 2, shape).astype(form)
    batch, width = shape
    form = pick(rng, ("classes", "one-hot", "rows", "rows"))
    classes = rng.integers(0, width, batch)
    if form == "classes":
        return classes.astype(pick(rng, ("int64", "int32", "uint8")))
    if form == "one-hot":
        return np.eye(width)[classes]
    rows = rng.dirichlet(np.full(width, pick(rng, (1.0, 0.1))), batch)
    if rng.random() < 0.3:  # tiny probabilities beside the others
        rows = np.where(rng.random(shape) < 0.2, 10.0 ** rng.uniform(-40, -5, shape), rows)
        rows[np.arange(batch), classes] += 1 - rows.sum(axis=1)
    return rounded(np.clip(rows, 0, 1), weights_dtype(dtype))


def fractions(rng: Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers in [0, 1]: ends, neighbours of them, tiny and ordinary ones."""
    tiny = 10.0 ** rng.uniform(least_exponent(dtype), -1, shape)
    near_one = 1 - rng.integers(1, 9, shape) * limits(dtype).unit
    kinds = [rng.random(shape), rng.random(shape), tiny, near_one, 1 - 1e-3 * tiny]
    kinds += [np.full(shape, end) for end in (0.0, 1.0, 0.5)]
    if rng.random() < 0.3:
        return rounded(pick(rng, kinds), dtype)
    return rounded(np.choose(rng.integers(0, len(kinds), shape), kinds), dtype)


def optimizer_case(rng: Random, name: str, dtype: str) -> Case:
    """Return an optimizer with random options, and a path of some steps.

    Its numbers are float32's always: a path is.
    """
    make = pick(rng, tuple(opt.OPTIMIZERS.values()))
    options = {f.name: option(rng, f.name) for f in fields(make)}
    if not options.get("momentum", 1.0):
        options["nesterov"] = False
    if make is opt.AdamW:
        options["decay"] = "decoupled"
    # Without epsilon, a gradient of 0 and a variance of 0 make 0 / 0.
    no_eps = rng.random() < 0.1 and "eps" in options and not options.get("centered")
    if no_eps:
        options["eps"] = 0.0
    spec = make(**options)
    return RandomOptimizerCase(
        f"{name}/{spec.name}",
        f"optimizer/{spec.name}",
        spec,
        steps=1000 if rng.random() < 0.005 else int(rng.integers(1, 7)),
        halve_after=pick(rng, (None, 2)),
        shapes=pick(rng, OPTIMIZER_SHAPES),
        seed=tuple(int(n) for n in rng.integers(0, 2**32, 2)),
        nonzero=no_eps,
    )


def option(rng: Random, name: str) -> Any:
    """Return a value for an optimizer's field."""
    match name:
        case "lr":
            return pick(rng, (0.0, 1.0, 0.1, *(10 ** rng.uniform(-6, 1, 5))))
        case "eps":
            usual = (1e-8, 1e-7, 1e-10, *(10 ** rng.uniform(-12, -2, 6)))
            return pick(rng, (*usual, 10 ** rng.uniform(-45, -12)))
        case "momentum" | "rho" | "beta1" | "beta2":
            fraction = 1 - 10 ** rng.uniform(-4, 0)
            return float(pick(rng, (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, *(fraction,) * 4)))
        case "weight_decay":
            return pick(rng, (0.0, 0.0, 0.1, 10 ** rng.uniform(-6, 0)))
        case "initial_accumulator":
            return pick(rng, (0.0, 0.1, 10 ** rng.uniform(-12, 2)))
        case "decay":
            return pick(rng, opt.DECAYS)
        case "velocity":
            return pick(rng, opt.VELOCITIES)
        case "amsgrad_max":
            return pick(rng, opt.AMSGRAD_MAXIMA)
        case "eps_place":
            return pick(rng, opt.EPS_PLACES)
        case "nesterov" | "centered" | "amsgrad":
            return bool(rng.integers(2))
    raise TypeError(f"nobody drew {name!r} yet")


_SUM: Any = {"reduction": "sum", "outputs": "sum"}
# Name: network, loss, batch, and whether dropout is on.
NETWORKS: dict[str, tuple[Sequential, Loss, int, bool]] = {
    "relu": (network(4, 8, 3, hidden="relu"), MeanSquaredError(), 5, False),
    "sigmoid": (
        network(3, 3, 3, hidden="sigmoid", last="sigmoid"),
        BinaryCrossEntropy(from_logits=False),
        3,
        False,
    ),
    "tanh": (network(4, 4, 1, hidden="tanh"), BinaryCrossEntropy(**_SUM), 4, False),
    "softplus": (network(5, 8, 10, hidden="softplus"), SoftmaxCrossEntropy(), 7, False),
    "softmax": (network(4, 6, 3, hidden="softmax"), MeanSquaredError(**_SUM), 5, False),
    "leaky_relu": (
        network(4, 8, 3, hidden=LeakyReLU(0.3)),
        SoftmaxCrossEntropy(reduction="sum"),
        5,
        False,
    ),
    "elu": (network(4, 8, 3, hidden=ELU(1.5)), MeanSquaredError(), 5, False),
    "silu": (network(4, 8, 3, hidden="silu", last="tanh"), MeanSquaredError(), 5, False),
    "gelu_erf": (
        network(4, 8, 3, hidden=GELUErf()),
        MeanSquaredError(outputs="sum"),
        5,
        False,
    ),
    "gelu_tanh": (network(4, 8, 8, 2, hidden="gelu_tanh"), BinaryCrossEntropy(), 5, False),
    "one": (network(1, 1, hidden="identity"), MeanSquaredError(), 1, False),
    "long": (network(300, 4, hidden="identity", last="relu"), MeanSquaredError(), 9, False),
    "dropout": (
        Sequential(Dropout(0.2), Dense(6, 8, "tanh"), Dropout(0.9), Dense(8, 3)),
        SoftmaxCrossEntropy(),
        6,
        True,
    ),
}


def network_case(rng: Random, name: str, dtype: str) -> Case:
    """Return one of the networks with random numbers."""
    label = pick(rng, tuple(NETWORKS))
    net, loss, batch, dropout = NETWORKS[label]
    wide = weights_dtype(dtype)

    def draw(shape: tuple[int, ...], kept: str) -> Array:
        if rng.random() < 0.7:
            return rounded(rng.standard_normal(shape) * 2 ** rng.uniform(-4, 3), kept)
        return numbers(rng, shape, dtype)

    y = labels(rng, loss, (batch, net.outputs), dtype)
    if isinstance(loss, SoftmaxCrossEntropy) and y.ndim == 1:
        y = y.astype(np.int64)
    return RandomNetworkCase(
        f"{name}/{label}",
        f"network/{label}",
        net,
        loss,
        batch=batch,
        dropout_seed=int(rng.integers(2**32)) if dropout else None,
        weights={n: draw(shape, wide) for n, shape in net.shapes.items()},
        data=(draw((batch, net.inputs), dtype), y),
    )


# The soak


@dataclass
class Row:
    """What became of one component's cases."""

    cases: int = 0
    failures: int = 0
    elements: int = 0
    unclaimed: int = 0
    worst: float = 0.0
    worst_at: str = ""
    octaves: Array = field(default_factory=lambda: np.zeros(OCTAVES + 2, int))

    @property
    def median(self) -> float:
        """The median share of the bound, over elements."""
        return median(self.octaves)


@dataclass
class Tally:
    """What became of all cases so far, by component."""

    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        """How many cases there were."""
        return sum(row.cases for row in self.rows.values())

    def __call__(self, v: Verdict) -> None:
        """Count a verdict."""
        row = self.rows.setdefault(v.component, Row())
        row.cases += 1
        row.failures += v.failed
        for c in v.comparisons:
            if c.octaves:
                row.octaves = row.octaves + np.asarray(c.octaves)
            row.elements += sum(c.octaves)
            row.unclaimed += c.unclaimed
        if v.worst is not None and v.fraction > row.worst:
            row.worst, row.worst_at = v.fraction, f"{v.case}: {v.worst.place}"


def soak(
    backend: Backend,
    count: int,
    seed: int = 0,
    on_verdict: Callable[[Verdict], None] = lambda verdict: None,
) -> Iterator[Verdict]:
    """Yield the failures of the backend in the first cases of a seed.

    Every verdict is handed to `on_verdict`: a Tally counts them.
    """
    try:
        for number, drawn in enumerate(cases(seed, count, backend.dtype)):
            found = verdict(drawn, backend)
            on_verdict(found)
            if found.failed:
                yield found
            if number % KEPT_CASES == 0:
                forget()
    finally:
        forget()
