"""The list of all cases: every component in every convention.

The lists are written from the specification's own tables, so that a new
activation or optimizer without a case is an error here, not a gap.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from tetrapla.parity import samples
from tetrapla.parity.cases import ActivationCase, Case, LossCase
from tetrapla.parity.suite_networks import (
    ACTIVATION_VARIANTS,
    differences,
    layers,
    networks,
    trainings,
)
from tetrapla.parity.suite_optimizers import optimizer_cases
from tetrapla.spec.activations import (
    ACTIVATIONS,
    GELUErf,
    GELUTanh,
    Identity,
    SiLU,
    Softmax,
    Softplus,
)
from tetrapla.spec.losses import (
    OVER_OUTPUTS,
    REDUCTIONS,
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)

TIMES_Z = (SiLU, GELUErf, GELUTanh)  # which overflow beside a steep gradient


@cache
def cases() -> tuple[Case, ...]:
    """Return all cases, in the order of the report."""
    return (
        *_activations(),
        *_losses(),
        *layers(),
        *optimizer_cases(),
        *networks(),
        *differences(),
        *trainings(),
    )


def _activations() -> Iterator[Case]:
    for label, g in ACTIVATION_VARIANTS.items():
        name, row = f"activation/{label}", f"activation/{g.name}"
        z = samples.pre_activations(name)
        yield ActivationCase(name, row, g, z)
        numbers = 3 * samples.generator(f"{name} float64").standard_normal(z.shape)
        yield ActivationCase(f"{name}-float64", row, g, numbers, dtypes=("float64",))
        nan = np.where(np.arange(z.size).reshape(z.shape) % 11 == 0, np.nan, z)
        yield ActivationCase(f"{name}-nan", row, g, nan, forward_only=True)
        if label in ACTIVATIONS and not isinstance(g, TIMES_Z):
            yield ActivationCase(f"{name}-steep", row, g, z, steep=True)
    for half in ("bfloat16", "float16"):
        z = samples.every(half)
        for label, make in ACTIVATIONS.items():
            name, g = f"activation/{label}-every-{half}", make()
            if not isinstance(g, Identity | Softmax):
                yield ActivationCase(name, f"activation/{label}", g, z, dtypes=(half,))
    # Where libraries' softplus becomes linear: 20 in one, 34 or 40 in others.
    z = samples.fixed(np.linspace(15.0, 45.0, 31).reshape(1, -1))
    yield ActivationCase("activation/softplus-knee", "activation/softplus", Softplus(), z)
    # Above half of the largest number, what is doubled is infinite.
    z = np.linspace(1e38, 3.3e38, 9)
    z = samples.float32_valued(np.stack([z, -z]))
    name = "activation/gelu_erf-largest"
    whole = ("float64", "float32", "tf32", "bfloat16")
    row, g = "activation/gelu_erf", GELUErf()
    yield ActivationCase(name, row, g, z, forward_only=True, dtypes=whole)
    # Logits have ties, 0, -0 and +-1e4 among them.
    for label, shape in {"width-1": (3, 1), "rank-1": (5,), "rank-3": (2, 3, 4)}.items():
        name, g = f"activation/softmax-{label}", Softmax()
        yield ActivationCase(name, "activation/softmax", g, samples.logits(name, shape))


def _losses() -> Iterator[Case]:
    # Each example by itself first: a mean of all hides which is wrong, and why.
    yield from _one_by_one()
    for reduction, over in product(reversed(REDUCTIONS), OVER_OUTPUTS):
        yield from _elementwise(reduction, over, (5, 3))
    for reduction in reversed(REDUCTIONS):
        yield from _softmax_cross_entropy(reduction, (5, 3))
    yield from _of_float64()
    for reduction in ("none", "mean"):
        yield from _elementwise(reduction, "sum", (1, 1))
        yield from _softmax_cross_entropy(reduction, (1, 1))
    for shape in ((1, 3), (3, 3)):
        yield from _elementwise("mean", "mean", shape)
        yield from _softmax_cross_entropy("mean", shape)


def _of_float64() -> Iterator[Case]:
    """Yield each loss with numbers that float32 has not."""
    shape = (5, 3)
    bce = BinaryCrossEntropy()
    certain = BinaryCrossEntropy(from_logits=False)
    for row, loss in (
        ("mse", MeanSquaredError()),
        ("bce on logits", bce),
        ("bce on probabilities", certain),
        ("softmax cross-entropy", SoftmaxCrossEntropy()),
    ):
        name = f"loss/{row.replace(' ', '-')}-float64"
        rng = samples.generator(name)
        outputs, y = rng.standard_normal(shape), rng.dirichlet(np.ones(3), 5)
        if loss is certain:
            outputs = rng.uniform(size=shape)
        yield LossCase(name, f"loss/{row}", loss, outputs, y, dtypes=("float64",))


def _elementwise(reduction: str, over: str, shape: tuple[int, ...]) -> Iterator[Case]:
    how: dict[str, Any] = {"reduction": reduction, "outputs": over}
    label = f"{reduction}-of-{over}-{shape[0]}x{shape[1]}"
    yield _mse(MeanSquaredError(**how), label, shape)
    yield _bce(BinaryCrossEntropy(**how), "logits", label, shape)
    yield _bce(BinaryCrossEntropy(from_logits=False, **how), "probabilities", label, shape)


def _softmax_cross_entropy(reduction: str, shape: tuple[int, int]) -> Iterator[Case]:
    for form in ("classes", "one_hot", "distributions"):
        name = f"loss/softmax-cross-entropy-{form}-{reduction}-{shape[0]}x{shape[1]}"
        row = "loss/softmax cross-entropy"
        y = getattr(samples, form)(name, *shape)
        loss = SoftmaxCrossEntropy(reduction=reduction)
        yield LossCase(name, row, loss, samples.logits(name, shape), y)


def _mse(loss: Loss, label: str, shape: tuple[int, ...]) -> Case:
    name, row = f"loss/mse-{label}", "loss/mse"
    p = samples.normal(name, shape)
    y = samples.normal(f"{name} labels", shape).copy()
    y.flat[0] = p.flat[0]  # a difference of exactly 0
    return LossCase(name, row, loss, p, y)


def _bce(loss: Loss, form: str, label: str, shape: tuple[int, ...]) -> Case:
    name = f"loss/bce-{form}-{label}"
    row = f"loss/bce on {form}"
    return LossCase(
        name, row, loss, getattr(samples, form)(name, shape), samples.fractions(name, shape)
    )


def _one_by_one() -> Iterator[Case]:
    """Yield examples of one output each, which no neighbour can hide.

    Right answers given surely: only stable forms keep their loss. Then
    probabilities of exactly 0 and 1, with labels that agree or not.
    """
    z = [20.0, -20.0, 50.0, -50.0, 1e4, -1e4, 0.0, 30.0]
    right = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    p = [1e-6, 1e-3, 1 - 1e-6, 1e-30, 0.999, 1e-40, 2e-38, 1e-4]
    sure = [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    ends = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.5]
    beside = [0.0, 1.0, 1.0, 0.0, 0.25, 0.25, 1.0, 0.0]
    for label, form, given, y in (
        ("tails", "logits", z, right),
        ("certain", "probabilities", ends, beside),
        ("tails", "probabilities", p, sure),
    ):
        outputs = samples.float32_valued(np.array(given)[:, None])
        for how in ("none", "sum"):
            loss = BinaryCrossEntropy(reduction=how, from_logits=form == "logits")
            yield LossCase(
                f"loss/bce-{form}-{label}-{how}",
                f"loss/bce on {form}",
                loss,
                outputs,
                np.array(y)[:, None],
            )
    # In float16 these logits are infinite.
    far = np.array([[1e5], [-1e5], [1e5], [-1e5]])
    yield LossCase(
        "loss/bce-logits-beyond-none",
        "loss/bce on logits",
        BinaryCrossEntropy(reduction="none", from_logits=True),
        far,
        np.array([[0.0], [1.0], [1.0], [0.0]]),
    )
    # Beyond the range of float32's exp (100), of float64's (1e4), and of a
    # difference in float32 (3e38).
    logits = samples.float32_valued(
        np.array(
            [
                [1.0, 0, -1],
                [100, 0, 0],
                [0, -100, 99],
                [30, 1e4, 0],
                [0, -1e4, 20],
                [3e38, -3e38, 0],
            ]
        )
    )
    best, worst = np.array([0, 0, 2, 1, 2, 0]), np.array([1, 1, 0, 0, 1, 2])
    labels = {"right": best, "wrong": worst, "wrong-rows": np.eye(3)[worst]}
    for how in ("none", "sum"):
        for label, classes in labels.items():
            yield LossCase(
                f"loss/softmax-cross-entropy-{label}-{how}",
                "loss/softmax cross-entropy",
                SoftmaxCrossEntropy(reduction=how),
                logits,
                classes,
            )
