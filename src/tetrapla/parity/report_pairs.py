"""Backends against each other, for people: which pairs are furthest apart, and where.

A row for each pair and one for each component, so that it stays as wide where
there are many backends. What a known deviation explains is counted (≈) and
does not hide what else sets two backends apart.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tetrapla.parity.pairwise import Pair
from tetrapla.parity.report import Report, short


@dataclass(frozen=True)
class Apart:
    """How far two backends, or any two, are apart in some tensors.

    `known` counts the tensors that are more than both bounds apart where one of
    the two deviates in a known way; `worst` is of the others.
    """

    worst: Pair | None = None
    known: int = 0

    @property
    def fraction(self) -> float:
        """The worst share of the sum of both bounds; -1 where there is none."""
        return -1.0 if self.worst is None else self.worst.fraction

    def beside(self, pair: Pair, known: bool) -> "Apart":
        """Return the same with one tensor more."""
        if known:
            return replace(self, known=self.known + 1)
        further = self.worst is None or pair.fraction > self.worst.fraction
        return replace(self, worst=pair) if further else self


def furthest(report: Report, key: Callable[[Pair], Hashable]) -> Mapping[Hashable, Apart]:
    """Return how far backends are apart, of the pairs that have a key in common."""
    deviating = {
        (v.case, v.backend, v.dtype, c.tensor)
        for v in report.verdicts
        for c in v.comparisons
        if c.known
    }
    found: dict[Hashable, Apart] = defaultdict(Apart)
    for pair in in_order(report):
        known = pair.fraction > 1 and any(
            (pair.case, name, pair.dtype, pair.tensor) in deviating
            for name in (pair.left, pair.right)
        )
        found[key(pair)] = found[key(pair)].beside(pair, known)
    return found


def in_order(report: Report) -> Iterator[Pair]:
    """Yield the pairs, each with its backends in the report's order."""
    place = {name: i for i, name in enumerate(report.backends)}
    for p in report.pairs:
        if place.get(p.left, 0) > place.get(p.right, 0):
            p = replace(p, left=p.right, right=p.left, values=p.values[::-1])
        yield p


def show_pairs(report: Report, console: Console) -> None:
    """Print how far each two backends are apart, and in which components."""
    names = list(combinations(report.backends, 2))
    if not names:
        console.print("No pairs: it takes two backends.")
        return
    of_pairs = furthest(report, lambda p: (p.dtype, p.left, p.right))
    of_components = furthest(report, lambda p: (p.dtype, p.component))
    for dtype in report.dtypes:
        pairs = {", ".join(both): of_pairs.get((dtype, *both), Apart()) for both in names}
        components = {
            name: of_components[dtype, name]
            for name in report.components
            if (dtype, name) in of_components
        }
        title = f"{dtype}: share of the sum of both bounds, and ULPs; the worst pair first"
        console.print(Text(title, "bold"), soft_wrap=True)
        first = sorted(pairs.items(), key=lambda item: -item[1].fraction)
        console.print(_table("pair", "furthest apart in", dict(first), _component))
        console.print(Text(f"{dtype}: the same by component", "bold"), soft_wrap=True)
        console.print(_table("component", "furthest apart", components, _both))
        for line in _outside(pairs.values()):
            console.print(line, soft_wrap=True)
    for said in _closing(report, of_pairs):
        console.print(said, soft_wrap=True, markup=False, highlight=False)


def _component(p: Pair) -> str:
    return p.component


def _both(p: Pair) -> str:
    return f"{p.left}, {p.right}"


def _table(
    title: str, where: str, rows: Mapping[str, Apart], shown: Callable[[Pair], str]
) -> Table:
    table = Table()
    # A pair may go on in the next line; a component's name has no space.
    for name in (title, "share", "ULP", where, "≈"):
        table.add_column(
            name,
            justify="right" if name in ("ULP", "≈") else "left",
            no_wrap=name not in ("pair", "furthest apart"),
        )
    for name, apart in rows.items():
        table.add_row(Text(name), *_cells(apart, shown))
    return table


def _cells(apart: Apart, shown: Callable[[Pair], str]) -> Iterator[Text]:
    p = apart.worst
    if p is None:
        yield from (Text("-", "dim"), Text(""))
        yield Text("" if apart.known else "nothing compared", "dim")
    else:
        right = p.fraction <= 1
        style = "green" if right else "bold red"
        yield Text(f"{'✓' if right else '✗'} {short(p.fraction)}", style)
        yield Text(short(p.ulps), style)
        equal = "all others equal" if apart.known else "all equal"
        yield Text(shown(p) if p.fraction else equal)
    yield Text(str(apart.known) if apart.known else "", "yellow")


def _outside(found: Iterable[Apart]) -> Iterator[Text]:
    """Yield the pairs that are more than both bounds apart, each at its worst."""
    for apart in found:
        p = apart.worst
        if p is not None and not p.fraction <= 1:
            at = list(p.index) if p.index else ""
            (a, b), where = p.values, f"{p.dtype} {p.case}: {p.tensor}{at}"
            share = f"{p.fraction:.3g} of the sum of both bounds, {p.ulps:.3g} ULP"
            line = f"{p.left} {a:.17g}, {p.right} {b:.17g}: {share}"
            yield Text.assemble((f"✗ {where}: ", "bold red"), line)


def _closing(report: Report, found: Mapping[Hashable, Apart]) -> Iterator[str]:
    shown = sum(p.dtype in report.dtypes for p in report.pairs)
    yield f"{shown} comparisons of two backends; --json has each, --html maps of all pairs"
    if any(apart.known for apart in found.values()):
        yield "≈ so many tensors are further apart, for a known deviation of one of the two"
