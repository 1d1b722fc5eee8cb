"""What may have become infinite on the way, and what that does to results.

An exact number may be finite where a computed one has left the range of its
dtype: g^2 for g = 1e30 in float32. A computed number is then within its
bound of the exact one, or the infinity of its sign; every operation on it
has both outcomes. x / inf is 0, so a quotient may be off by all of itself;
tanh, erf and exp(-x) have limits; inf - inf and 0 inf may be anything, of
which the oracle claims nothing: an infinite bound.
"""

from typing import NamedTuple

import numpy as np

from tetrapla.spec.contract import Array

Mask = Array


class Operand(NamedTuple):
    """An operand: its values, their bounds, and where it may be infinite."""

    value: Array
    error: Array
    infinite: Mask


class Outcome(NamedTuple):
    """Where a result may be infinite, and what its bound grows by elsewhere."""

    infinite: Mask
    error: Array


def of_operation(name: str, operands: tuple[Operand, ...], result: Array) -> Outcome:
    """Return what infinite operands do to the result of an operation."""
    with np.errstate(all="ignore"):
        if name in ("+", "-"):
            return _sum(name, operands[0], operands[1], result)
        if name == "*":
            return _product(operands[0], operands[1])
        if name == "/":
            return _quotient(operands[0], operands[1], result)
        return _function(name, operands[0], result)


def _sum(name: str, x: Operand, y: Operand, result: Array) -> Outcome:
    sign, of_x, of_y = (np.sign(a) for a in (result, x.value, y.value))
    if name == "-":
        of_y = -of_y
    # The result is infinite with its own sign, or nothing is claimed.
    agree = (~x.infinite | (of_x == sign)) & (~y.infinite | (of_y == sign))
    infinite = x.infinite | y.infinite
    return _outcome(infinite, agree)


def _product(x: Operand, y: Operand) -> Outcome:
    infinite = x.infinite | y.infinite
    zero = (np.abs(x.value) <= x.error) | (np.abs(y.value) <= y.error)
    return _outcome(infinite, ~zero)


def _quotient(x: Operand, y: Operand, result: Array) -> Outcome:
    infinite = x.infinite & ~y.infinite
    nothing = x.infinite & y.infinite  # inf / inf
    vanishes = y.infinite & ~x.infinite  # x / inf = 0
    error = np.where(nothing, np.inf, np.where(vanishes, np.abs(result), 0.0))
    return Outcome(infinite, error)


# f(-inf) and f(inf) of the functions
_LIMITS: dict[str, tuple[float, float]] = {
    "exp": (0.0, np.inf),
    "expm1": (-1.0, np.inf),
    "log": (np.nan, np.inf),
    "log1p": (np.nan, np.inf),
    "tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "erfc": (2.0, 0.0),
    "sqrt": (np.nan, np.inf),
    "square": (np.inf, np.inf),
}


def _function(name: str, x: Operand, result: Array) -> Outcome:
    low, high = _LIMITS[name]
    limit = np.where(x.value < 0, low, high)
    infinite = x.infinite & np.isinf(limit)
    away = np.where(np.isnan(limit), np.inf, np.abs(limit - result))
    return Outcome(infinite, np.where(x.infinite & ~infinite, away, 0.0))


def _outcome(infinite: Mask, known: Mask) -> Outcome:
    nothing = infinite & ~known
    return Outcome(infinite & known, np.where(nothing, np.inf, 0.0))
