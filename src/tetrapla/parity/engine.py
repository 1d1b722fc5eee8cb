"""Run cases on backends: a verdict for every pair, in both dtypes.

The float64 backend runs beside the float32 one, from the same
float32-valued inputs. It judges what is computed, float32 judges how
stably: see `cause`. An exception in one case is that case's failure and
hides no other.

What a library has not is no failure of its backend, and neither is what the
known-deviations table foresees: both have a status of their own.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tetrapla.backends import Backend
from tetrapla.data import MissingExtraError
from tetrapla.oracle.arithmetic import admitting
from tetrapla.parity import deviations, differences  # noqa: F401 - registers its checks
from tetrapla.parity.cases import Case
from tetrapla.parity.comparison import Comparison, compare
from tetrapla.parity.verification import Check, checks, forget
from tetrapla.spec.errors import UnsupportedError

AGREES = "agrees"
KNOWN = "known deviation"
DIFFERS = "differs"
ERROR = "error"
NO = "no"  # the library has no such thing
NOT_RUN = "not run"

# Each status, and the word for how many there are.
STATUSES = {
    AGREES: "agree",
    KNOWN: "known deviations",
    DIFFERS: "differ",
    ERROR: "raised",
    NO: "not in the library",
    NOT_RUN: "not run",
}

FORMULA = "another formula"
UNSTABLE = "an unstable form"
LOWER = "less precise than its dtype allows"

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
    status: str  # one of STATUSES
    comparisons: tuple[Comparison, ...] = ()
    message: str = ""  # of an error, or why the case was not run, or is not there
    cause: str = ""

    @property
    def failed(self) -> bool:
        """Whether the backend is wrong, as far as this case can tell."""
        return self.status in (DIFFERS, ERROR)

    @property
    def ran(self) -> bool:
        """Whether the backend was asked at all."""
        return self.status not in (NO, NOT_RUN)

    @property
    def known(self) -> list[str]:
        """The habits of the library without which the case would differ."""
        names = (name for c in self.comparisons for name in c.known.split("; ") if name)
        return list(dict.fromkeys(names))

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
    return in_order(examined(case, backend, on_check))


@dataclass(frozen=True)
class Examined:
    """A comparison, its place among the checks, and whether it holds many steps."""

    comparison: Comparison
    part: int
    position: int
    many: bool

    @property
    def place(self) -> tuple[int, int, int]:
        """Where the comparison belongs in the order of computation."""
        # A tensor that holds all the steps of a run comes before the next
        # tensor only up to the step where it is wrong.
        c = self.comparison
        step = c.step if self.many and c.step and not c.agrees else 0
        return self.part, step, self.position


def examined(
    case: Case, backend: Backend, on_check: OnCheck | None = None
) -> list[Examined]:
    """Return the comparisons in the order of the checks."""
    found = []
    with np.errstate(all="ignore"):  # infinities are answers here
        for position, check in enumerate(checks(case, backend)):
            c = compare(check.stage, check.got, steps=check.steps)
            if check.step is not None:
                c = replace(c, step=check.step)
            found.append(Examined(c, check.part, position, bool(check.steps)))
            if on_check is not None:
                on_check(case, backend, check)
    return found


def in_order(found: Iterable[Examined]) -> tuple[Comparison, ...]:
    """Return the comparisons in the order of computation."""
    return tuple(e.comparison for e in sorted(found, key=lambda e: e.place))


def verdict(case: Case, backend: Backend, on_check: OnCheck | None = None) -> Verdict:
    """Return the case's verdict on the backend; raises nothing of the backend's."""

    def give(status: str, found: tuple[Comparison, ...] = (), message: str = "") -> Verdict:
        name, dtype = backend.label, backend.dtype
        return Verdict(case.id, case.component, name, dtype, status, found, message)

    try:
        found = in_order(with_known(case, backend, examined(case, backend, on_check)))
    except UnsupportedError as error:
        return give(NO, message=str(error))
    except MissingExtraError as error:
        return give(NOT_RUN, message=str(error))
    except Exception as error:  # a backend may raise anything
        return give(ERROR, message=f"{type(error).__name__}: {error}")
    if not all(c.agrees for c in found):
        return give(DIFFERS, found)
    return give(KNOWN if any(c.known for c in found) else AGREES, found)


def with_known(case: Case, backend: Backend, found: list[Examined]) -> list[Examined]:
    """Return the comparisons, those that a known deviation explains as such.

    Each row of the table is tried by itself, then all of them together.
    """
    whose = backend.name, backend.dtype, backend.device
    rows = [row.habit for row in deviations.of(*whose)]
    attempts = [[habit] for habit in rows] + ([rows] if len(rows) > 1 else [])
    for habits in attempts:
        if all(e.comparison.agrees for e in found):
            break
        with admitting(habits):
            again = examined(case, backend)
        found = [
            replace(there, comparison=replace(there.comparison, known="; ".join(habits)))
            if there.comparison.agrees and not e.comparison.agrees
            else e
            for e, there in zip(found, again, strict=True)
        ]
    return found


def judged(wide: Verdict | None, narrow: Verdict | None) -> list[Verdict]:
    """Return the float64 and the float32 verdict, each with its cause."""
    reason = cause(wide, narrow)
    pair = [v for v in (wide, narrow) if v is not None]
    return [replace(v, cause=reason) if v.status == DIFFERS else v for v in pair]


def lower(wide: Verdict | None, verdict: Verdict) -> Verdict:
    """Return the verdict of a lower precision with its cause, beside float64's."""
    if verdict.status != DIFFERS or wide is None:
        return verdict
    reason = FORMULA if wide.status == DIFFERS else LOWER
    return replace(verdict, cause=reason)


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
    names = list(dict.fromkeys(b.label for b in backends))

    def judge(case: Case, name: str) -> list[Verdict]:
        of_dtype = {
            b.dtype: verdict(case, b, on_check)
            for b in sorted(backends, key=lambda b: b.dtype, reverse=True)
            if b.label == name and b.dtype in case.dtypes
        }
        wide, narrow = of_dtype.pop("float64", None), of_dtype.pop("float32", None)
        return [*judged(wide, narrow), *(lower(wide, v) for v in of_dtype.values())]

    try:
        for case in cases:
            found = [v for name in names for v in judge(case, name)]
            for v in sorted(found, key=lambda v: v.dtype):
                on_verdict(v)
                yield v
    finally:
        forget()
