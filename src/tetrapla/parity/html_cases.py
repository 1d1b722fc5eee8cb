"""The page's last part: component, backend and dtype, case, tensor."""

from collections.abc import Sequence

from tetrapla.parity.comparison import Comparison, median
from tetrapla.parity.engine import DIFFERS, Verdict
from tetrapla.parity.html_failures import at, digits, of_case, why
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
from tetrapla.parity.report import Report, octaves, short

WORST = 3  # tensors shown of a case that agrees
WRONG = 4000  # tensors outside their bounds, shared by all cases that have some

TITLES = (
    "tensor",
    "formula",
    "share of the bound",
    "likely",
    "median",
    "ULP",
    "index",
    "got",
    "expected",
    "bound",
)


def cases(report: Report) -> Markup:
    """Return every case, folded by component, then by backend and dtype."""
    wrong = sum(v.status == DIFFERS for v in report.verdicts)
    most = max(WORST, WRONG // max(wrong, 1))
    said = element(
        "p",
        "Component, then backend and dtype, then case, then tensor. Of each case those "
        f"outside their bounds and the {WORST} with the largest shares, in the order of "
        "computation; ",
        element("code", "--json"),
        " writes all.",
    )
    parts = [_component(report, component, most) for component in report.components]
    return section("cases", "Every case", said, *parts)


def _component(report: Report, component: str, most: int) -> Markup:
    cells = [
        report.of(component, name, dtype)
        for dtype in report.dtypes
        for name in report.backends
    ]
    verdicts = [v for each in cells for v in each]
    count = len({v.case for v in verdicts})
    summary = element(
        "summary",
        element("span", component, class_="name"),
        mark(not any(v.failed for v in verdicts)),
        f" {count} case{'s' * (count != 1)}",
    )
    inside = [_cell(each, most) for each in cells if each]
    return element("details", summary, element("div", *inside, class_="inside"))


def _cell(verdicts: Sequence[Verdict], most: int) -> Markup:
    """Return the cases of one cell of the map."""
    v = max(verdicts, key=lambda v: v.fraction)
    summary = element(
        "summary",
        element("span", f"{v.backend} {v.dtype}", class_="name"),
        mark(not any(v.failed for v in verdicts)),
        _summed(v.worst, verdicts),
    )
    inside = element(
        "div",
        element("p", link("components", "↑ back to the components"), class_="screen"),
        *(_case(each, most, opened=len(verdicts) == 1) for each in verdicts),
        class_="inside",
        id=place("cell", v.component, v.backend, v.dtype),
    )
    return element("details", summary, inside)


def _summed(worst: Comparison | None, verdicts: Sequence[Verdict]) -> str:
    if worst is None:
        return ""
    middle = _middle(octaves(verdicts))
    return (
        f" {short(worst.fraction)} of the bound, median {middle}, "
        f"{short(worst.ulps)} ULP at {at(worst)}"
    )


def _middle(counted: Sequence[int]) -> str:
    """Return the median share; of those above 1 no more is known."""
    middle = median(counted)
    return "above 1" if middle > 1 else short(middle) if counted else ""


def _case(v: Verdict, most: int, opened: bool) -> Markup:
    summary = element(
        "summary",
        element("span", v.case, class_="name"),
        mark(not v.failed) if v.ran else element("span", v.status, class_="soft"),
        _summed(v.worst, [v]),
        element("span", f" with {'; '.join(v.known)}", class_="soft") if v.known else None,
    )
    tensors = _tensors(v, most) if v.comparisons else None
    inside = element("div", *why(v), tensors, class_="inside", id=of_case(v))
    return element("details", summary, inside, open=opened or v.failed)


def _tensors(v: Verdict, most: int) -> Markup:
    """Return the tensors that tell, in the order of computation."""
    order = range(len(v.comparisons))
    wrong = [i for i in order if not v.comparisons[i].agrees][:most]
    worst = sorted(order, key=lambda i: -v.comparisons[i].fraction)[:WORST]
    chosen = {*wrong, *worst}
    shown = table(TITLES, (_tensor(v.comparisons[i]) for i in sorted(chosen)))
    rest = [c for i, c in enumerate(v.comparisons) if i not in chosen]
    if not rest:
        return shown
    bad = sum(not c.agrees for c in rest)
    more = f"{bad} of them outside their bounds" if bad else "all with smaller shares"
    noun = f"tensor{'s' * (len(rest) != 1)}"
    return joined(
        shown, element("p", f"and {len(rest)} more {noun}, {more}", class_="soft")
    )


def _tensor(c: Comparison) -> Markup:
    formula = c.formula + (f" ({c.unclaimed} unclaimed)" if c.unclaimed else "")
    numbers = [
        f"{'' if c.agrees else '✗ '}{short(c.fraction)}",
        short(c.likely),
        _middle(c.octaves),
        short(c.ulps),
    ]
    if c.got is None:
        places = [element("td", c.problem, colspan=4, class_="bad")]
    else:
        index = str(list(c.index)) if c.index else ""
        places = [
            number(x) for x in (index, digits(c.got), digits(c.expected), f"{c.bound:.2g}")
        ]
    wrong = None if c.agrees else "wrong"
    return row(c.place, cell(formula), *map(number, numbers), *places, class_=wrong)
