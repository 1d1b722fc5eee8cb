"""What each primitive may be off by: the only numbers that are not derived.

Every bound of the oracle is derived from this table (docs/theory.md). A
primitive's computed result may be off its exact one by

    roundings * u * |exact| + absolute * u

with u the unit roundoff (2^-24 in float32, 2^-53 in float64), and by the
smallest normal number where the result is below it: TensorFlow and JAX
flush subnormals to zero on the CPU. Composites (sigmoid, softplus, GELU, the
cross-entropies) have no entry: theirs follow from these.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Budget:
    """A primitive's error, in roundings of its result, and how that is known."""

    roundings: float
    source: str


IEEE: Final = "IEEE 754: correctly rounded"

BUDGETS: Final[dict[str, Budget]] = {
    "+": Budget(1, IEEE),
    "-": Budget(1, IEEE),
    "*": Budget(1, IEEE),
    "/": Budget(2, "correctly rounded, or a product with the rounded reciprocal"),
    "square": Budget(
        2, "x * x is correctly rounded; pow(x, 2) in TensorFlow, eagerly, 1.98"
    ),
    "sqrt": Budget(1, IEEE),
    "exp": Budget(4, "to be measured"),
    "expm1": Budget(4, "to be measured"),
    "log": Budget(4, "to be measured"),
    "log1p": Budget(4, "to be measured"),
    "tanh": Budget(12, "to be measured"),
    "erf": Budget(4, "to be measured"),
    "erfc": Budget(8, "to be measured"),
}

# tanh and erf are exactly +-1 in every library where they are within this
# part of a unit of +-1; nearer, where the number below 1 may still come out,
# they are off by their budget.
SATURATED: Final = 2.0**-8
