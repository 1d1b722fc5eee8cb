"""How far a backend's tensors are from the reference, as data.

A comparison is never a bool that somebody may forget to look at: `compare`
returns one Comparison per tensor, and `require` raises.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tetrapla.parity.quantity import Quantity
from tetrapla.parity.tolerances import Rule, allowed
from tetrapla.spec.contract import Array


@dataclass(frozen=True)
class Comparison:
    """One tensor, by its worst element.

    `fraction` is the share of the tolerance that the worst element used:
    above 1 it differs. `ulps` is the same element's distance in units in the
    last place of the reference, rounded to the dtype; it is large where
    larger terms cancelled. Where there is
    nothing to measure (a shape, a missing tensor, NaN against a number)
    both are inf and `problem` says why.
    """

    tensor: str
    fraction: float
    ulps: float
    index: tuple[int, ...] = ()
    got: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the tensor is within the tolerance."""
        return self.fraction <= 1


class DisagreementError(AssertionError):
    """A backend and the reference differ; the message names tensor and element."""


def require(comparisons: Iterable[Comparison]) -> None:
    """Raise DisagreementError if any tensor differs."""
    differing = [str_of(c) for c in comparisons if not c.agrees]
    if differing:
        raise DisagreementError("\n".join(differing))


def str_of(c: Comparison) -> str:
    """Return one line for people: where, what came, what was expected."""
    if c.got is None:
        return f"{c.tensor}: {c.problem}"
    place = list(c.index) if c.index else ""
    why = f" ({c.problem})" if c.problem else ""
    return (
        f"{c.tensor}{place}: got {c.got:.17g}, expected {c.expected:.17g} "
        f"+- {c.tolerance:.2g}: {c.fraction:.3g} of the tolerance, {c.ulps:.3g} ULP{why}"
    )


def compare(
    got: Mapping[str, Array], expected: Mapping[str, Quantity], rule: Rule, dtype: str
) -> tuple[Comparison, ...]:
    """Return a comparison for every tensor that is expected or was given."""
    comparisons = []
    for name, quantity in expected.items():
        if name in got:
            array = np.asarray(got[name])
            comparisons.append(compare_tensor(name, array, quantity, rule, dtype))
        else:
            comparisons.append(_failed(name, "the backend did not return it"))
    for name in got.keys() - expected.keys():
        comparisons.append(_failed(name, "the specification has no such tensor"))
    return tuple(comparisons)


def compare_tensor(
    name: str, got: Array, expected: Quantity, rule: Rule, dtype: str
) -> Comparison:
    """Return the comparison of one tensor."""
    if got.shape != expected.shape:
        return _failed(name, f"has shape {got.shape}, expected {expected.shape}")
    if got.dtype.kind == "f" and got.dtype != dtype:
        return _failed(name, f"has dtype {got.dtype}, expected {dtype}")
    if got.dtype.kind not in "biuf":
        return _failed(name, f"has dtype {got.dtype}, expected numbers")
    with np.errstate(all="ignore"):
        distance = _distance(got, expected)
        tolerance = allowed(rule, expected.size, dtype)
        fraction = np.where(distance == 0, 0.0, distance / tolerance)
        # NaN is what no comparison answers: it must not pass for small.
        fraction = np.where(np.isnan(fraction), np.inf, fraction)
        ulps = _ulps(distance, expected, dtype)
    index = np.unravel_index(np.argmax(fraction), fraction.shape)
    problem = "" if np.isfinite(distance[index]) else "NaN and inf match only themselves"
    return Comparison(
        tensor=name,
        fraction=float(fraction[index]),
        ulps=float(ulps[index]),
        index=tuple(int(i) for i in index),
        got=float(got[index]),
        expected=float(expected.floats[index]),
        tolerance=float(tolerance[index]),
        problem=problem,
    )


def _failed(name: str, problem: str) -> Comparison:
    return Comparison(name, np.inf, np.inf, problem=problem)


def _distance(got: Array, expected: Quantity) -> Array:
    """Return |got - expected|: 0 where both are NaN or the same infinity."""
    ar = expected.ar
    # Subtracted in the reference's digits: 1 ULP of float64 is not 0.
    exactly = ar.array(got.astype(np.float64))
    distance = np.abs(ar.floats(exactly - expected.value))
    wanted, given = expected.floats, got.astype(np.float64)
    with np.errstate(over="ignore"):
        rounded = wanted.astype(ar.dtype).astype(np.float64)
    special = ~np.isfinite(rounded) | ~np.isfinite(given)
    same = (np.isnan(rounded) & np.isnan(given)) | (rounded == given)
    return np.where(special, np.where(same, 0.0, np.inf), distance)


def _ulps(distance: Array, expected: Quantity, dtype: str) -> Array:
    """Return distances in ULPs; below the normal numbers in the smallest one."""
    rounded = np.abs(expected.floats).astype(dtype)
    smallest = np.finfo(dtype).smallest_normal
    ulp = np.spacing(np.maximum(rounded, smallest)).astype(np.float64)
    return np.where(distance == 0, 0.0, distance / ulp)
