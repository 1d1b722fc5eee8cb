"""How far a backend's tensors are from the oracle's, as data.

A comparison is never a bool that somebody may forget to look at: `compare`
returns a Comparison, and `require` raises.

What is equal: NaN matches only NaN, an infinity only the same infinity, and
-0 is 0: the sign of a zero is no error of any size. A finite exact value
beyond the dtype's range matches the infinity of its sign.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tetrapla.oracle.bounded import Bounded
from tetrapla.oracle.stages import Stage
from tetrapla.spec.contract import Array
from tetrapla.spec.precisions import is_floating, limits, numpy_dtype

KEPT = 256  # elements outside their bound that are remembered, the worst first
AROUND = 2  # neighbours shown on either side of the worst element

# Fractions in powers of two, for medians over millions of elements: below
# 2^-40 (or exact), then octaves, then 1 and more.
OCTAVES = 40


@dataclass(frozen=True)
class Element:
    """One element outside its bound."""

    index: tuple[int, ...]
    got: float
    expected: float
    distance: float  # inf where NaN or an infinity has no match


@dataclass(frozen=True)
class Comparison:
    """One tensor, by its worst element.

    `fraction` is the share of the rigorous bound that the worst element
    used: above 1 it is wrong. `likely` is the worst share of the
    probabilistic bound, which decides nothing. `ulps` is the worst element's
    distance in units in the last place of the exact value; it is large where
    larger terms cancelled. Where there is nothing to measure (a shape, a
    missing tensor, NaN against a number) they are inf and `problem` says why.
    `unclaimed` counts the elements of which the oracle claims nothing: an
    intermediate result of theirs may overflow the dtype, or a divisor be 0.

    `known` is the habit with which the tensor agrees, if only with it: a known
    deviation (deviations.py), measured by the bound of the library's own form.

    `step` is the step of a run, from 1, or None; `around` are the values next
    to the worst element, `inputs` the tensors that the stage was given.
    """

    tensor: str
    fraction: float
    ulps: float = 0.0
    likely: float = 0.0
    step: int | None = None
    formula: str = ""
    index: tuple[int, ...] = ()
    got: float | None = None
    expected: float | None = None
    bound: float | None = None
    problem: str = ""
    octaves: tuple[int, ...] = ()
    unclaimed: int = 0
    outside: tuple[Element, ...] = ()
    known: str = ""
    around: Mapping[str, Array] = field(default_factory=dict, compare=False, repr=False)

    @property
    def agrees(self) -> bool:
        """Whether every element is within its bound."""
        return self.fraction <= 1

    @property
    def place(self) -> str:
        """The tensor, with the step where there is one."""
        return self.tensor if self.step is None else f"step {self.step}: {self.tensor}"


class DisagreementError(AssertionError):
    """A backend and the oracle differ; the message names tensor and element."""


def require(comparisons: Iterable[Comparison]) -> None:
    """Raise DisagreementError if any tensor differs."""
    differing = [str_of(c) for c in comparisons if not c.agrees]
    if differing:
        raise DisagreementError("\n".join(differing))


def str_of(c: Comparison) -> str:
    """Return one line for people: where, what came, what was expected."""
    if c.got is None:
        return f"{c.place}: {c.problem}"
    at = list(c.index) if c.index else ""
    why = f" ({c.problem})" if c.problem else ""
    return (
        f"{c.place}{at}: got {c.got:.17g}, expected {c.expected:.17g} "
        f"+- {c.bound:.2g}: {c.fraction:.3g} of the bound, {c.ulps:.3g} ULP{why}"
    )


def failed(tensor: str, problem: str, step: int | None = None) -> Comparison:
    """Return the comparison of a tensor that has nothing to measure."""
    return Comparison(tensor, np.inf, np.inf, np.inf, step=step, problem=problem)


def compare(stage: Stage, got: Array | None, *, steps: Sequence[int] = ()) -> Comparison:
    """Return the comparison of one tensor with what the oracle expects.

    With `steps` the first axis is of these steps of a run: the comparison is
    of the first step that is outside its bound, or else of the worst.
    """
    problem = _unlike(stage, got)
    if got is None or problem:
        return failed(stage.tensor, problem)
    parts = []
    for place, expected in stage.blocks():
        if is_floating(got.dtype) and got.dtype != expected.ar.dtype:
            problem = f"has dtype {got.dtype}, expected {expected.ar.dtype}"
            return failed(stage.tensor, problem)
        start = tuple(s.start or 0 for s in place)
        parts.append(_block(got[place], expected, start, bool(steps)))
    worst = max(parts, key=lambda c: c.fraction) if parts else Comparison("", 0.0)
    outside = sorted((e for c in parts for e in c.outside), key=lambda e: -e.distance)
    merged = replace(
        worst,
        tensor=stage.tensor,
        formula=stage.formula,
        likely=max((c.likely for c in parts), default=0.0),
        octaves=tuple(int(n) for n in np.sum([c.octaves for c in parts], axis=0)),
        outside=tuple(outside[:KEPT]),
        unclaimed=sum(c.unclaimed for c in parts),
    )
    if steps and merged.index:
        step, *index = merged.index
        merged = replace(merged, step=steps[step], index=tuple(index))
    if not merged.agrees:
        merged = replace(merged, around=around(stage, got, worst.index))
    return merged


def _unlike(stage: Stage, got: Array | None) -> str:
    """Return why the tensors cannot be compared number by number, or ''."""
    if got is None:
        return "the backend did not return it"
    if got.shape != stage.shape:
        return f"has shape {got.shape}, expected {stage.shape}"
    if got.dtype.kind not in "biu" and not is_floating(got.dtype):
        return f"has dtype {got.dtype}, expected numbers"
    return ""


def _block(
    got: Array, expected: Bounded, start: tuple[int, ...], steps: bool
) -> Comparison:
    if not got.size:
        return Comparison("", 0.0, octaves=(0,) * (OCTAVES + 2))
    with np.errstate(all="ignore"):
        distance = np.broadcast_to(distances(got, expected), got.shape)
        fraction = fractions(distance, expected.error)
        likely = fraction
        if expected.likely is not expected.error:
            likely = fractions(distance, expected.likely)
    choose = fraction
    if steps and (fraction > 1).any():  # the first step that is wrong, not the worst
        first = int(np.argmax((fraction > 1).reshape(len(fraction), -1).any(axis=1)))
        choose = np.where(
            np.arange(len(fraction)).reshape(-1, *[1] * (fraction.ndim - 1)) == first,
            fraction,
            -1.0,
        )
    flat = int(np.argmax(choose))
    index = np.unravel_index(flat, fraction.shape)
    ulps = ulps_of(distance[index], expected.magnitude[index], expected.ar.dtype)

    def place(at: tuple[np.intp, ...]) -> tuple[int, ...]:
        offset = start + (0,) * (len(at) - len(start))
        return tuple(int(i) + o for i, o in zip(at, offset, strict=True))

    outside = []
    if fraction[index] > 1:
        wrong = np.flatnonzero(fraction > 1)
        order = np.argsort(-distance.flat[wrong], kind="stable")[:KEPT]
        for i in wrong[order]:
            at = np.unravel_index(i, fraction.shape)
            element = Element(
                place(at), float(got[at]), float(expected.floats[at]), float(distance[at])
            )
            outside.append(element)
    problem = "" if np.isfinite(distance[index]) else "NaN and inf match only themselves"
    return Comparison(
        tensor="",
        fraction=float(fraction[index]),
        likely=float(np.max(likely)),
        ulps=float(ulps),
        index=place(index),
        got=float(got[index]),
        expected=float(expected.floats[index]),
        bound=float(expected.error[index]),
        problem=problem,
        octaves=_octaves(fraction),
        outside=tuple(outside),
        unclaimed=int(np.isinf(expected.error).sum()),
    )


def distances(got: Array, expected: Bounded) -> Array:
    """Return |got - expected|: 0 where both are NaN or the same infinity."""
    ar = expected.ar
    given = got.astype(np.float64)
    # Subtracted in the oracle's digits: 1 ULP of float64 is not 0.
    distance = np.abs(ar.floats(ar.array(given) - expected.value))
    # Of some elements the oracle claims nothing.
    unclaimed = np.isinf(expected.error)
    if np.isfinite(distance).all() and not unclaimed.any():
        return np.asarray(distance)
    wanted = expected.floats
    # A number that may be beyond the range may be the infinity of its sign.
    beyond = False if expected.infinite is None else expected.infinite
    infinite = beyond & (given == np.copysign(np.inf, wanted))
    same = (np.isnan(wanted) & np.isnan(given)) | (wanted == given) | infinite
    special = ~np.isfinite(wanted) | ~np.isfinite(given)
    return np.where(same | unclaimed, 0.0, np.where(special, np.inf, distance))


def fractions(distance: Array, bound: Array) -> Array:
    """Return distance / bound: 0 where equal; NaN never passes for small."""
    # The bound itself was computed in float64.
    fraction = np.where(distance == 0, 0.0, distance / (bound * (1 + 2.0**-40)))
    return np.where(np.isnan(fraction), np.inf, fraction)


def ulps_of(distance: Array, magnitude: Array, dtype: str) -> Array:
    """Return distances in ULPs; below the normal numbers in the smallest one."""
    found = limits(dtype)
    with np.errstate(all="ignore"):
        clipped = np.clip(magnitude, found.tiny, found.largest)
        rounded = np.nan_to_num(clipped, nan=1.0).astype(numpy_dtype(dtype))
        _, exponent = np.frexp(rounded.astype(np.float64))
        ulp = np.ldexp(found.unit, exponent)
        return np.asarray(np.where(distance == 0, 0.0, distance / ulp))


def _octaves(fraction: Array) -> tuple[int, ...]:
    """Return how many fractions are in each octave below 1 (first: exact)."""
    used = fraction[fraction > 0]
    bins = np.zeros(OCTAVES + 2, int)
    bins[0] = fraction.size - used.size
    octave = np.floor(np.log2(np.minimum(used, 2.0))) + OCTAVES
    np.add.at(bins, np.clip(octave + 1, 1, OCTAVES + 1).astype(int), 1)
    return tuple(int(n) for n in bins)


def median(octaves: Iterable[int]) -> float:
    """Return the median fraction, to a factor of 2: the middle of its octave."""
    counts = np.asarray(list(octaves))
    if not counts.sum():
        return 0.0
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return 0.0 if middle == 0 else float(2.0 ** (middle - 1 - OCTAVES + 0.5))


def around(stage: Stage, got: Array, index: tuple[int, ...]) -> dict[str, Array]:
    """Return the values next to an element: the tensor's, then its inputs'."""
    shown = {stage.tensor: _near(got, index)}
    for name, tensor in stage.inputs.items():
        if tensor.shape == got.shape:
            shown[name] = _near(tensor, index)
        elif tensor.ndim == 1:  # a bias, or labels: along the last or first axis
            at = index[-1:] if got.ndim and len(tensor) == got.shape[-1] else index[:1]
            shown[name] = _near(tensor, at) if at else tensor[: 2 * AROUND + 1]
        else:
            shown[name] = tensor[
                tuple(slice(0, 2 * AROUND + 1) for _ in range(tensor.ndim))
            ]
    return shown


def _near(tensor: Array, index: tuple[int, ...]) -> Array:
    at = tuple(slice(max(0, i - AROUND), i + AROUND + 1) for i in index)
    return np.array(tensor[at])
