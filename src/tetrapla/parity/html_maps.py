"""The page's heat maps: components x backends, and backends x backends."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations

from tetrapla.parity.engine import ERROR, Verdict
from tetrapla.parity.html_failures import digits
from tetrapla.parity.markup import (
    Markup,
    cell,
    element,
    joined,
    link,
    mark,
    number,
    place,
    row,
    section,
    table,
)
from tetrapla.parity.pairwise import Pair
from tetrapla.parity.report import Report, short
from tetrapla.parity.report_pairs import Apart, furthest

# The scale's limits and their names; page.css has a colour for each.
LEVELS = {
    0.0: "0: exact",
    1 / 8: "to 1/8",
    1 / 4: "to 1/4",
    1 / 2: "to 1/2",
    3 / 4: "to 3/4",
    1.0: "to 1",
}


def components(report: Report) -> Markup:
    """Return a map of components x backends for each dtype."""
    said = element(
        "p",
        "The worst share of the rigorous bound in each cell, and that element's distance "
        "in ULP. Up to 1 is within the bound. A cell leads to its cases and tensors.",
    )
    maps = [_components(report, dtype) for dtype in report.dtypes]
    return section(
        "components", "Components", said, _scale(), element("div", *maps, class_="side")
    )


def _scale() -> Markup:
    steps = [element("li", n, class_=f"h{i}") for i, n in enumerate(LEVELS.values())]
    over = element("li", "✗ above 1: wrong", class_="over")
    return element("ul", *steps, over, class_="scale", aria_label="Scale of the shares")


def level(share: float) -> str:
    """Return the class of a share's colour.

    >>> level(0.0), level(0.3), level(1.0), level(1.01), level(float("nan"))
    ('h0', 'h3', 'h5', 'over', 'over')
    """
    return f"h{sum(share > limit for limit in LEVELS)}" if share <= 1 else "over"


def _components(report: Report, dtype: str) -> Markup:
    rows = []
    for component in report.components:
        cells = [report.of(component, name, dtype) for name in report.backends]
        rows.append(row(_breaking(component), *map(_cell, cells)))
    return table(("component", *report.backends), rows, "heat", _caption(dtype))


def _breaking(component: str) -> Markup:
    """Return a name that may go on in the next line, where there is little room."""
    return Markup("/<wbr>".join(joined(part) for part in component.split("/")))


def _caption(dtype: str) -> Markup:
    return element("caption", dtype, element("small", ": share of the bound, ULP"))


def _cell(verdicts: Sequence[Verdict]) -> Markup:
    if not verdicts:
        return element("td", "no case", class_="none")
    v = verdicts[0]
    where = place("cell", v.component, v.backend, v.dtype)
    run = [v for v in verdicts if v.ran]
    if not run:
        return element("td", link(where, v.status), class_="none")
    if any(v.status == ERROR for v in run):
        return element("td", link(where, "✗ raised"), class_="over")
    worst = max(run, key=lambda v: v.fraction).worst
    share, ulps = (worst.fraction, worst.ulps) if worst else (0.0, 0.0)
    known = any(v.known for v in run)
    return element("td", link(where, *_shares(share, ulps, known)), class_=level(share))


def _shares(share: float, ulps: float, known: bool = False) -> Iterator[Markup]:
    sign = "✗ " if share > 1 else "≈ " if known else ""
    yield element("b", f"{sign}{short(share)}")
    yield element("small", short(ulps))


Worst = Mapping[Hashable, Apart]  # by dtype and pair; by dtype, pair and component


def pairs(report: Report) -> Markup:
    """Return a matrix of backends x backends for each component and dtype."""
    heading = "Backends against each other"
    if not report.pairs:
        said = element("p", "Nothing was compared: it takes two backends.")
        return section("pairs", heading, said)
    said = element(
        "p",
        "The worst share of the sum of both bounds, and that element's distance in ULP, "
        "where both had the same inputs. First over all components, each cell with the "
        "one that it is of; then by component. ≈ counts the tensors that are further "
        "apart for a known deviation of one of the two, which are left out else.",
    )
    worst = {
        **furthest(report, lambda p: (p.dtype, p.left, p.right)),
        **furthest(report, lambda p: (p.dtype, p.left, p.right, p.component)),
    }
    whole = [_matrix(report, worst, (), dtype) for dtype in report.dtypes]
    each = [_component(report, worst, component) for component in report.components]
    return section(
        "pairs", heading, said, _scale(), element("div", *whole, class_="side"), *each
    )


def _component(report: Report, worst: Worst, component: str) -> Markup | None:
    """Return a component's matrices, and under them where each pair's worst is."""
    keys = [
        (dtype, *both, component)
        for dtype in report.dtypes
        for both in combinations(report.backends, 2)
    ]
    there = [worst[key] for key in keys if key in worst]
    if not there:
        return None
    found = [apart.worst for apart in there if apart.worst is not None]
    known = sum(apart.known for apart in there)
    far = max(found, key=lambda p: p.fraction, default=None)
    most = " all equal"
    if far is None or not far.fraction:
        most = " all others equal" if known else most
    else:
        most = f" {short(far.fraction)}, {short(far.ulps)} ULP: "
        most += f"{far.left} and {far.right} in {far.dtype}"
    summary = element(
        "summary",
        element("span", component, class_="name"),
        mark(far is None or far.fraction <= 1),
        most + (f"; ≈ {known}" if known else ""),
    )
    matrices = [_matrix(report, worst, (component,), dtype) for dtype in report.dtypes]
    titles = ("pair", "dtype", "share", "ULP", "case", "tensor", "values")
    inside = element(
        "div",
        element("div", *matrices, class_="side"),
        table(titles, map(_pair, found)),
        class_="inside",
        id=place("pairs", component),
    )
    return element("details", summary, inside)


def _pair(p: Pair) -> Markup:
    tensor = p.tensor + (str(list(p.index)) if p.index else "")
    values = joined(digits(p.values[0]), Markup("<br>"), digits(p.values[1]))
    return row(
        f"{p.left}, {p.right}",
        cell(p.dtype),
        number(short(p.fraction)),
        number(short(p.ulps)),
        cell(p.case),
        cell(tensor),
        number(values),
    )


def _matrix(report: Report, worst: Worst, component: tuple[str, ...], dtype: str) -> Markup:
    names = report.backends
    order = {name: i for i, name in enumerate(names)}
    rows = []
    for left in names:
        keys = [
            (dtype, *sorted((left, right), key=order.__getitem__), *component)
            for right in names
        ]
        cells = (_pair_cell(worst.get(key), not component) for key in keys)
        rows.append(row(left, *cells))
    return table(("", *names), rows, "heat", _caption(dtype))


def _pair_cell(apart: Apart | None, named: bool) -> Markup:
    if apart is None:
        return element("td", class_="none")
    p = apart.worst
    known = element("small", f"≈ {apart.known}") if apart.known else None
    if p is None:
        return element("td", element("span", known, class_="cell"), class_="none")
    inside = _shares(p.fraction, p.ulps)
    if not named:
        shown = element("span", *inside, known, class_="cell")
        return element("td", shown, class_=level(p.fraction))
    leading = link(place("pairs", p.component), *inside)
    return element(
        "td", leading, element("small", p.component), known, class_=level(p.fraction)
    )
