"""Backends against each other: what they made of the same inputs.

Two correct results are at most the sum of their bounds apart. Only tensors
of which every backend had the same inputs are compared (Check.shared); later
stages of a pass start from numbers that already differ by their rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from tetrapla.backends import Backend, of_label
from tetrapla.parity.cases import Case
from tetrapla.parity.comparison import fractions, ulps_of
from tetrapla.parity.verification import Check
from tetrapla.spec.contract import Array

LARGEST = 2**18  # elements: of larger tensors nothing is kept


@dataclass(frozen=True)
class Pair:
    """How far two backends are apart in one tensor, at its worst element.

    `fraction` is of the sum of both bounds.
    """

    case: str
    component: str
    tensor: str
    dtype: str
    left: str
    right: str
    fraction: float
    ulps: float
    index: tuple[int, ...]
    values: tuple[float, float]


@dataclass(frozen=True)
class _Shared:
    component: str
    dtype: str  # the tensor's own
    magnitude: Array
    bounds: dict[bool, Array] = field(default_factory=dict)  # on a GPU, or not
    got: dict[str, Array] = field(default_factory=dict)

    def bound(self, label: str) -> Array:
        """Return the bound of what a backend made."""
        return self.bounds[on_gpu(label)]


class Pairwise:
    """Keeps the tensors that can be compared, while a suite runs."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], _Shared] = {}

    def __call__(self, case: Case, backend: Backend, check: Check) -> None:
        """Keep a backend's tensor: an `on_check` of engine.run."""
        if not check.shared or check.got is None or check.got.shape != check.stage.shape:
            return
        if check.got.size > LARGEST:
            return
        key = (case.id, backend.dtype, check.stage.tensor)
        where = on_gpu(backend.label)
        if key not in self._kept or where not in self._kept[key].bounds:
            error, magnitude = np.empty(check.got.shape), np.empty(check.got.shape)
            dtype = "float64"
            for index, expected in check.stage.blocks():
                error[index], magnitude[index] = expected.error, expected.magnitude
                dtype = expected.ar.dtype
            kept = _Shared(case.component, dtype, magnitude)
            self._kept.setdefault(key, kept).bounds[where] = error
        self._kept[key].got[backend.label] = check.got

    def add(self, other: "Pairwise") -> None:
        """Take over what another suite kept of other backends."""
        for key, kept in other._kept.items():
            mine = self._kept.setdefault(key, kept)
            mine.got.update(kept.got)
            mine.bounds.update(kept.bounds)

    def sort(self, ids: Sequence[str]) -> None:
        """Put the tensors in this order of their cases."""
        place = {name: i for i, name in enumerate(ids)}
        kept = sorted(self._kept.items(), key=lambda item: place[item[0][0]])
        self._kept = dict(kept)

    def pairs(self) -> Iterator[Pair]:
        """Yield every pair of backends in every tensor."""
        for (case, dtype, tensor), kept in self._kept.items():
            for left, right in combinations(sorted(kept.got), 2):
                yield _pair(case, dtype, tensor, kept, left, right)


def on_gpu(label: str) -> bool:
    """Return whether a backend is on a GPU, which has bounds of its own."""
    return of_label(label)[1] != "cpu"


def _pair(case: str, dtype: str, tensor: str, kept: _Shared, left: str, right: str) -> Pair:
    a, b = (kept.got[name].astype(np.float64) for name in (left, right))
    with np.errstate(all="ignore"):
        bound = kept.bound(left) + kept.bound(right)
        same = (a == b) | (np.isnan(a) & np.isnan(b)) | np.isinf(bound)
        distance = np.where(same, 0.0, np.abs(a - b))
        fraction = fractions(distance, bound)
    index = np.unravel_index(np.argmax(fraction), fraction.shape)
    return Pair(
        case=case,
        component=kept.component,
        tensor=tensor,
        dtype=dtype,
        left=left,
        right=right,
        fraction=float(fraction[index]),
        ulps=float(ulps_of(distance[index], kept.magnitude[index], kept.dtype)),
        index=tuple(int(i) for i in index),
        values=(float(a[index]), float(b[index])),
    )
