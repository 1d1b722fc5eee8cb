"""Run cases on backends: a verdict for every pair, in both dtypes.

The float64 backend runs beside the float32 one, from the same
float32-valued inputs. It judges what is computed, float32 judges how
stably: see `cause`. An exception in one case is that case's failure and
hides no other.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tetrapla.backends import Backend
from tetrapla.data import MissingExtraError
from tetrapla.parity import differences  # noqa: F401 - registers its checks
from tetrapla.parity.cases import Case
from tetrapla.parity.comparison import Comparison, compare
from tetrapla.parity.verification import Check, checks, forget

AGREES = "agrees"
DIFFERS = "differs"
ERROR = "error"
NOT_RUN = "not run"

FORMULA = "another formula"
UNSTABLE = "an unstable form"

SHRINKS = 2.0**-14.5  # between 1 and 2^-29, the ratio of the units


@dataclass(frozen=True)
class Verdict:
    """What became of one case on one backend in one dtype.

    `comparisons` are in the order of computation; `cause` says of a failure
    whether it is another formula or an unstable form of the right one.
    """

    case: str
    component: str
    backend: str
    dtype: str
    status: str  # AGREES, DIFFERS, ERROR or NOT_RUN
    comparisons: tuple[Comparison, ...] = ()
    message: str = ""  # of an error, or why the case was not run
    cause: str = ""

    @property
    def failed(self) -> bool:
        """Whether the backend is wrong, as far as this case can tell."""
        return self.status in (DIFFERS, ERROR)

    @property
    def first(self) -> Comparison | None:
        """The first tensor outside its bound, in the order of computation."""
        return next((c for c in self.comparisons if not c.agrees), None)

    @property
    def worst(self) -> Comparison | None:
        """The tensor that used the largest share of its bound."""
        return max(self.comparisons, key=lambda c: c.fraction, default=None)

    @property
    def fraction(self) -> float:
        """The largest share of a bound that was used."""
        return 0.0 if self.worst is None else self.worst.fraction


OnCheck = Callable[[Case, Backend, Check], None]


def examine(
    case: Case, backend: Backend, on_check: OnCheck | None = None
) -> tuple[Comparison, ...]:
    """Return how the backend does in the case, in the order of computation.

    Whatever the backend raises is passed on.
    """
    found: list[tuple[tuple[int, int, int], Comparison]] = []
    with np.errstate(all="ignore"):  # infinities are answers here
        for position, check in enumerate(checks(case, backend)):
            c = compare(check.stage, check.got, backend.dtype, steps=check.steps)
            if check.step is not None:
                c = replace(c, step=check.step)
            # A tensor that holds all the steps of a run comes before the next
            # tensor only up to the step where it is wrong.
            step = c.step if check.steps and c.step and not c.agrees else 0
            found.append(((check.part, step, position), c))
            if on_check is not None:
                on_check(case, backend, check)
    return tuple(c for _, c in sorted(found, key=lambda pair: pair[0]))


def verdict(case: Case, backend: Backend, on_check: OnCheck | None = None) -> Verdict:
    """Return the case's verdict on the backend; raises nothing of the backend's."""

    def give(status: str, found: tuple[Comparison, ...] = (), message: str = "") -> Verdict:
        name, dtype = backend.name, backend.dtype
        return Verdict(case.id, case.component, name, dtype, status, found, message)

    try:
        found = examine(case, backend, on_check)
    except MissingExtraError as error:
        return give(NOT_RUN, message=str(error))
    except Exception as error:  # a backend may raise anything
        return give(ERROR, message=f"{type(error).__name__}: {error}")
    return give(AGREES if all(c.agrees for c in found) else DIFFERS, found)


def judged(wide: Verdict | None, narrow: Verdict | None) -> list[Verdict]:
    """Return the float64 and the float32 verdict, each with its cause."""
    reason = cause(wide, narrow)
    pair = [v for v in (wide, narrow) if v is not None]
    return [replace(v, cause=reason) if v.status == DIFFERS else v for v in pair]


def cause(wide: Verdict | None, narrow: Verdict | None) -> str:
    """Return why a case differs: another formula, or an unstable form.

    float64 within its bound and float32 not: the formula is right and its
    form unstable. float64 outside: another formula; unless float32 is
    outside too and the errors shrank with the unit roundoff, as those of an
    unstable form do.
    """
    if wide is None or wide.status != DIFFERS:
        return UNSTABLE if wide is not None and wide.status == AGREES else ""
    if narrow is None or wide.first is None or narrow.status == ERROR:
        return FORMULA
    return UNSTABLE if _shrank(wide.first, _twin(wide.first, narrow)) else FORMULA


def _twin(first: Comparison, narrow: Verdict) -> Comparison | None:
    """Return float32's comparison of the same tensor, if it can be of the same step."""
    same = [c for c in narrow.comparisons if c.tensor == first.tensor]
    there = [c for c in same if c.step == first.step]
    return next(iter(there or same), None)


def _shrank(wide: Comparison, narrow: Comparison | None) -> bool:
    """Return whether float64's errors are float32's, made smaller by its unit."""
    if not wide.outside or narrow is None:
        return False  # a shape, or a missing tensor
    if any(not math.isfinite(e.expected) for e in wide.outside):
        return False  # an infinity or NaN was due
    there = {e.index: e.distance for e in narrow.outside}
    largest = max((d for d in there.values() if math.isfinite(d)), default=0.0)
    finite = [e for e in wide.outside if math.isfinite(e.got)]
    if len(finite) == len(wide.outside) and wide.fraction == math.inf:
        return False  # nothing may be rounded there
    if not finite:  # only NaN and infinities: where they are depends on rounding
        return {e.index for e in wide.outside} != there.keys()
    return all(
        e.distance <= SHRINKS * max(largest, there.get(e.index, 0.0)) for e in finite
    )


def run(
    cases: Iterable[Case],
    backends: Sequence[Backend],
    on_verdict: Callable[[Verdict], None] = lambda verdict: None,
    on_check: OnCheck | None = None,
) -> Iterator[Verdict]:
    """Yield the verdicts, case by case, each on every backend of its dtypes."""
    names = list(dict.fromkeys(b.name for b in backends))

    def judge(case: Case, name: str) -> list[Verdict]:
        of_dtype = {
            b.dtype: verdict(case, b, on_check)
            for b in sorted(backends, key=lambda b: b.dtype, reverse=True)
            if b.name == name and b.dtype in case.dtypes
        }
        return judged(of_dtype.get("float64"), of_dtype.get("float32"))

    try:
        for case in cases:
            found = [v for name in names for v in judge(case, name)]
            for v in sorted(found, key=lambda v: v.dtype):
                on_verdict(v)
                yield v
    finally:
        forget()
