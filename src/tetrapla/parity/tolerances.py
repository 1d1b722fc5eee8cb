"""Every tolerance of the parity suite, each with its reason.

An element agrees with the reference if

    |got - value| <= rule.count * unit * size + TINY * tiny

where `unit` is the dtype's unit roundoff (2^-24 or 2^-53), `tiny` its
smallest normal number, and `size` belongs to the element: the reference
computes it beside the value (quantity.py). What is not rounded at all (masks,
the step, first states of 0) has size 0. This file holds all the counts;
nothing else in the package decides how close is close enough.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tetrapla.spec.contract import Array

# Roundings per elementary function, in units of roundoff of its result.
# +, -, *, / and sqrt are rounded correctly (IEEE 754): 1. The others are
# not; frameworks promise nothing, and their vectorised kernels (SLEEF,
# Eigen, XLA) are documented or known to stay within a few ULP, an ULP
# being up to 2 units.
ROUNDINGS: Final = {
    "sqrt": 1,
    "exp": 4,
    "expm1": 4,
    "log": 4,
    "log1p": 4,
    "tanh": 4,
    "erf": 4,
    "erfc": 8,
}

# tanh and erf are exactly +-1 in every library where they are within this
# part of a unit of +-1; nearer, where the number below 1 may still come out,
# they are off by ROUNDINGS. What multiplies 1 - tanh^2 may be 1e12.
SATURATED: Final = 2.0**-8

# Scalars such as 1 - beta^t: formed in float64, rounded once. Where t is
# traced they are -expm1(t log beta) instead, in up to four roundings.
COEFFICIENT: Final = 4

# A result below the smallest normal number may come out as 0: TensorFlow
# and JAX flush subnormals on the CPU. Charged to every operation, since it
# may be magnified later (1e-20 squared, then a square root).
UNDERFLOW: Final = 1

# The last operation may be flushed too, and a sum of such results.
TINY: Final = 4


@dataclass(frozen=True)
class Rule:
    """How many times unit * size a result may be off, and why."""

    count: float
    reason: str


ROUNDING: Final = Rule(
    2,
    "the size counts every rounding of one way to compute the formula; another way "
    "(automatic differentiation, a fused multiply-add, a stabler form) has a few "
    "more or fewer, at most twice as many",
)

TRAINING: Final = Rule(
    2**7,
    "the size of a trained weight is the length of its path, |start| + sum of |steps|: "
    "a step is off by its gradient's relative error, some ten units for networks this "
    "small, and hands on what the steps before it left, which a few steps at these "
    "rates magnify by less than ten",
)

DIFFERENCES: Final = Rule(
    2,
    "the size holds both errors of a centred difference: its truncation, h^2 f'''/6, "
    "measured as the distance between the differences of steps 2h and h, which is "
    "three times that of step h, and the rounding of two losses, u |f| / h",
)


def allowed(rule: Rule, size: Array, dtype: str) -> Array:
    """Return how far each element may be from the reference."""
    info = np.finfo(dtype)
    tiny = TINY * float(info.smallest_normal)
    return np.asarray(rule.count * float(info.epsneg) * size + tiny)
