"""Checks of single values; each returns the value in its plain type.

Hyper-parameters are the float64 values written: a Python float passes
through these checks unchanged.
"""

import math
import numbers
from collections.abc import Iterable

from tetrapla.spec.errors import InvalidInputError


def real(name: str, value: object) -> float:
    """Return `value` as a finite Python float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidInputError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInputError(f"{name} must be finite, got {number!r}")
    return number


def positive(name: str, value: object) -> float:
    """Return `value` as a float > 0."""
    number = real(name, value)
    if number <= 0:
        raise InvalidInputError(f"{name} must be > 0, got {number!r}")
    return number


def non_negative(name: str, value: object) -> float:
    """Return `value` as a float >= 0."""
    number = real(name, value)
    if number < 0:
        raise InvalidInputError(f"{name} must be >= 0, got {number!r}")
    return number


def fraction(name: str, value: object) -> float:
    """Return `value` as a float in [0, 1)."""
    number = real(name, value)
    if not 0 <= number < 1:
        raise InvalidInputError(f"{name} must be in [0, 1), got {number!r}")
    return number


def integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` as an int in [low, high)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidInputError(f"{name} must be an integer, got {value!r}")
    number = int(value)
    if number < low or (high is not None and number >= high):
        expected = f">= {low}" if high is None else f"in [{low}, {high})"
        raise InvalidInputError(f"{name} must be {expected}, got {number}")
    return number


def shape(name: str, value: object) -> tuple[int, ...]:
    """Return `value`, a sequence of integers >= 0, as a tuple of ints."""
    try:
        return tuple(integer(name, n, 0) for n in value)  # type: ignore[attr-defined]
    except (TypeError, InvalidInputError):
        raise InvalidInputError(
            f"{name} must be a sequence of integers >= 0, got {value!r}"
        ) from None


def flag(name: str, value: object) -> bool:
    """Return `value` as a bool."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} must be True or False, got {value!r}")
    return value


def choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the `allowed` words."""
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        expected = ", ".join(repr(word) for word in words)
        raise InvalidInputError(f"{name} must be one of {expected}; got {value!r}")
    return value


def type_name(value: object) -> str:
    """Return the short name of the type of `value`, for messages."""
    return type(value).__name__
