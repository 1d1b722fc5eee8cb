"""What each primitive may be off by: the only numbers that are not derived.

Every bound of the oracle is derived from this table (docs/theory.md). A
primitive's computed result may be off its exact one by `roundings * u *
|exact|`, u being the unit roundoff (2^-24 in float32, 2^-53 in float64), and
by the smallest normal number where the result is below it: TensorFlow and JAX
flush subnormals to zero on the CPU. Composites (sigmoid, softplus, GELU, the
cross-entropies) have no entry: theirs follow from these.

Measured: benchmarks/primitives.py on x86-64 with AVX2, NumPy 2.4.6, PyTorch
2.13, TensorFlow 2.21 and JAX 0.10.2; in float32 over every number, in float64
over millions. The worst of all four is in the source, in units of u.

A GPU has budgets of its own where its makers promise less: ON_GPU.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tetrapla.spec.contract import Array
from tetrapla.spec.precisions import limits


@dataclass(frozen=True)
class Budget:
    """A primitive's error, in roundings of its result, and how that is known."""

    float32: float
    float64: float
    source: str

    def roundings(self, dtype: str) -> float:
        """Return the budget in the dtype."""
        if dtype in HALVES:  # computed in float32, and rounded
            return 1 + self.float32 * HALVES[dtype]
        return self.float32 if dtype == "float32" else self.float64


# float32's unit in units of a half's.
HALVES: Final = {"float16": 2.0**-13, "bfloat16": 2.0**-16}

IEEE: Final = "IEEE 754: correctly rounded; measured so"

# 4 ULP, an ULP being up to 2 u, is what vector libraries promise (NumPy on
# AVX-512, numpy#19478), and room for what was measured here.
ULP4: Final = "at most 4 ULP; measured"

BUDGETS: Final[dict[str, Budget]] = {
    "+": Budget(1, 1, IEEE),
    "-": Budget(1, 1, IEEE),
    "*": Budget(1, 1, IEEE),
    "/": Budget(2, 2, "or a product with the rounded reciprocal; measured 1.33, x / 3"),
    "square": Budget(2, 2, "x x, or pow(x, 2); measured 1.98, TensorFlow outside graphs"),
    "sqrt": Budget(
        2, 1.5, "measured 1.50 and 1.03, PyTorch (pytorch#31250); x / sqrt y 3.66"
    ),
    "exp": Budget(8, 8, f"{ULP4} 5.52 (JAX) and 2.31"),
    "expm1": Budget(8, 8, f"{ULP4} 7.03 (JAX) and 5.26 (JAX)"),
    "log": Budget(8, 8, f"{ULP4} 4.58 (NumPy) and 2.22"),
    "log1p": Budget(8, 8, f"{ULP4} 5.31 (TensorFlow) and 3.64; but see EXCEPTIONS"),
    "tanh": Budget(8, 10, f"{ULP4} 6.14 and 8.82 (TensorFlow)"),
    "erf": Budget(8, 8, f"{ULP4} 7.44 (TensorFlow) and 3.56"),
    "erfc": Budget(13, 17, "measured 13.3 and 16.2; but see EXCEPTIONS"),
}


def _log1p(x: Array, dtype: str) -> Array | float:
    # JAX in float64 changes its formula too late: 240.7 u (jax#39707).
    late = (x > -0.45) & (x < -0.3) & (dtype == "float64")
    # Sleef's, which PyTorch has, is 2 (x / (2 + x)) for a small x. Where subnormals are
    # flushed, x / 2 is 0 for each x below twice the smallest normal number, and for no
    # other: measured, over all of them in float32. This widens the bound down to the
    # smallest normal number, below which a result may be off by that number anyway:
    # together by all of x. The 16 u are for an x that is itself rounded, as exp's is.
    numbers = limits(dtype)
    size, tiny = np.abs(x), numbers.tiny
    halved = (size > tiny) & (size < 2 * tiny * (1 + 16 * numbers.unit))
    if dtype == "float16" or not halved.any():  # a half is float32 in there
        return np.where(late, 256.0, 0.0)
    flushed = (1 - tiny / np.where(halved, size, tiny)) / numbers.unit
    return np.where(late, 256.0, flushed)


def _erfc(x: Array, dtype: str) -> Array | float:
    # TensorFlow and JAX round x^2 before exp(-x^2): x^2 roundings of the result.
    return np.where(x > 0, np.minimum(x * x, 1e4), 0.0)


# n ULP off the correctly rounded result, as CUDA and XLA count, is up to
# 2 n + 1 roundings off the exact one. CUDA's functions stay within the budgets
# above (CUDA C++ Programming Guide, Mathematical Functions: exp, tanh, erf 2 ULP,
# log, log1p, expm1 1, erfc 4). XLA's stay within its accuracy_budget.h, and it
# divides with PTX's div.full, here and in the rational forms of tanh, erf, erfc.
# Published, not measured: that needs a GPU.
XLA: Final = "github.com/openxla/xla/blob/main/xla/codegen/intrinsic/accuracy"

ON_GPU: Final[dict[str, Budget]] = {
    "/": Budget(5, 2, "div.full.f32: 2 ULP, a / a is not always 1 (xla#37181)"),
    "sqrt": Budget(3, 2, "sqrt.approx: 1 ULP; in float64 x / sqrt y is x rsqrt(y), 1 ULP"),
    "exp": Budget(15, 8, f"7 ULP: kExpF32Budget in {XLA}"),
    "tanh": Budget(12, 10, "its budget above, and a division of 2 ULP"),
    "erf": Budget(12, 8, "its budget above, and a division of 2 ULP"),
    "erfc": Budget(28, 17, "its budget above, exp's 7 for 4 ULP, two divisions of 2 ULP"),
}

# What is added to a budget at some arguments.
EXCEPTIONS: Final = {"log1p": _log1p, "erfc": _erfc}

# tanh and erf are exactly +-1 in every library where they are within this
# part of a unit of +-1; nearer, where the number below 1 may still come out,
# they are off by their budget.
SATURATED: Final = 2.0**-8


def roundings(
    name: str, dtype: str, x: Array | None = None, *, gpu: bool = False
) -> Array | float:
    """Return the budget of a primitive, at the arguments x of a function."""
    table = BUDGETS | ON_GPU if gpu else BUDGETS
    budget = table[name].roundings(dtype)
    if x is None or name not in EXCEPTIONS:
        return budget
    return budget + EXCEPTIONS[name](x, dtype)
