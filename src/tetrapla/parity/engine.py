"""Runs cases on backends: one verdict per backend and case.

An exception in one case is that case's failure and hides no other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tetrapla.backends import Backend
from tetrapla.data import MissingExtraError
from tetrapla.parity import differences, reference
from tetrapla.parity.arithmetic import judge
from tetrapla.parity.cases import Case, DifferenceCase
from tetrapla.parity.comparison import Comparison, compare
from tetrapla.parity.observation import observe

AGREES = "agrees"
DIFFERS = "differs"
ERROR = "error"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Verdict:
    """What became of one case on one backend in one dtype."""

    case: str
    component: str
    backend: str
    dtype: str
    status: str  # AGREES, DIFFERS, ERROR or NOT_RUN
    comparisons: tuple[Comparison, ...] = ()
    message: str = ""  # of an error, or why the case was not run

    @property
    def failed(self) -> bool:
        """Whether the backend is wrong, as far as this case can tell."""
        return self.status in (DIFFERS, ERROR)

    @property
    def fraction(self) -> float:
        """The largest share of a tolerance that was used."""
        return max((c.fraction for c in self.comparisons), default=0.0)

    @property
    def ulps(self) -> float:
        """The distance of that element in units in the last place."""
        return max(((c.fraction, c.ulps) for c in self.comparisons), default=(0.0, 0.0))[1]


def comparisons(case: Case, backend: Backend) -> tuple[Comparison, ...]:
    """Return how the backend does in the case, tensor by tensor.

    Whatever the backend raises is passed on.
    """
    if isinstance(case, DifferenceCase):
        expected = differences.expect(case, backend)
        got = differences.observe(case, backend)
    else:
        expected = reference.expect(case, judge(backend.dtype))
        got = observe(case, backend)
    return compare(got, expected, case.rule, backend.dtype)


def verdict(case: Case, backend: Backend) -> Verdict:
    """Return the case's verdict on the backend; raises nothing of the backend's."""

    def give(status: str, found: tuple[Comparison, ...] = (), message: str = "") -> Verdict:
        name, dtype = backend.name, backend.dtype
        return Verdict(case.id, case.component, name, dtype, status, found, message)

    try:
        found = comparisons(case, backend)
    except MissingExtraError as error:
        return give(NOT_RUN, message=str(error))
    except Exception as error:  # a backend may raise anything
        return give(ERROR, message=f"{type(error).__name__}: {error}")
    return give(AGREES if all(c.agrees for c in found) else DIFFERS, found)


def run(
    cases: Iterable[Case],
    backends: Sequence[Backend],
    on_case: Callable[[Case, str], None] = lambda case, dtype: None,
) -> Iterator[Verdict]:
    """Yield the verdicts, case by case, each on every backend of its dtypes."""
    for case in cases:
        for dtype in case.dtypes:
            judged = [b for b in backends if b.dtype == dtype]
            if judged:
                on_case(case, dtype)
            for backend in judged:
                yield verdict(case, backend)
