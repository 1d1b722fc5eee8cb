"""The page's first part: where each backend goes wrong."""

from collections.abc import Iterator, Sequence

import numpy as np

from tetrapla.parity.comparison import AROUND, Comparison
from tetrapla.parity.engine import FORMULA, UNSTABLE, Verdict
from tetrapla.parity.markup import (
    Markup,
    cell,
    element,
    joined,
    link,
    number,
    place,
    row,
    section,
    table,
)
from tetrapla.parity.report import Report, short
from tetrapla.spec.contract import Array

CAUSES = {
    FORMULA: "float64 is wrong too, by more than its roundings explain: something else "
    "is computed.",
    UNSTABLE: "the formula is right, and written in a form that loses digits.",
}


def failures(report: Report) -> Markup | None:
    """Return the first failure of each backend, and a list of all."""
    if not report.failures:
        return None
    cards = [_card(report, *first) for first in report.firsts()]
    said = element(
        "p",
        "Cases go from primitives to whole runs, and tensors come in the order of "
        "computation: the first that is outside its bound is where the fault is.",
    )
    return section("failures", "What is wrong", said, *cards)


def of_case(v: Verdict) -> str:
    """Return the place of a case on the page."""
    return place("case", v.case, v.backend, v.dtype)


def at(c: Comparison) -> str:
    """Return the tensor with the index of its worst element."""
    return c.place + (str(list(c.index)) if c.index else "")


def digits(x: float | None) -> str:
    """Return a number to its last digit."""
    return "" if x is None else f"{x:.17g}"


def why(v: Verdict) -> Iterator[Markup]:
    """Yield what is known of a verdict's cause."""
    if v.message:
        yield element("pre", v.message)
    if v.cause:
        known = CAUSES.get(v.cause)
        yield element("p", element("b", v.cause), f": {known}" if known else None)


def _card(report: Report, v: Verdict, c: Comparison | None) -> Markup:
    name = link(of_case(v), v.case)
    parts = [element("h3", f"✗ {v.backend} goes wrong first in ", name, f" ({v.dtype})")]
    parts += why(v)
    if c is not None:
        formula = joined(" = ", element("code", c.formula)) if c.formula else None
        problem = element("span", f": {c.problem}", class_="bad") if c.problem else None
        parts.append(element("p", element("code", at(c)), formula, problem))
        if c.got is not None:
            parts.append(element("dl", *_measured(c), class_="facts"))
        parts += _around(c)
    others = [w for w in report.failures if w.backend == v.backend]
    runs = f"{len(others)} run{'s' * (len(others) != 1)}"
    summary = element("summary", f"all of {v.backend} that is wrong: {runs}")
    return element("article", *parts, element("details", summary, _listed(others)))


def _measured(c: Comparison) -> Iterator[Markup]:
    values = {
        "got": digits(c.got),
        "expected": f"{digits(c.expected)} ± {c.bound:.2g}",
        "off by": f"{short(c.fraction)} of the bound, {short(c.ulps)} ULP",
    }
    for name, value in values.items():
        yield joined(element("dt", name), element("dd", value, class_="number"))


def _listed(verdicts: Sequence[Verdict]) -> Markup:
    titles = ("case", "dtype", "first wrong", "share of the bound", "ULP", "cause")
    rows = []
    for v in verdicts:
        c = v.first
        where = v.message if c is None else at(c)
        numbers = ("", "") if c is None else (short(c.fraction), short(c.ulps))
        cells = (cell(v.dtype), cell(where), *map(number, numbers))
        rows.append(row(link(of_case(v), v.case), *cells, cell(v.cause or v.status)))
    return table(titles, rows)


def _around(c: Comparison) -> Iterator[Markup]:
    """Yield the values next to the worst element, each tensor as a table."""
    if not c.around:
        return
    tables = []
    shape = np.shape(next(iter(c.around.values())))  # the tensor's own are first
    for name, values in c.around.items():
        near = np.asarray(values)
        marked = _within(c, near) if near.shape == shape else None
        if near.ndim == 3 and marked:  # steps first: the one in question
            near, marked = near[marked[0]], marked[1:]
        tables.append(_values(name, near, marked))
    yield element("p", "The values around it, the worst one marked:", class_="soft")
    yield element("div", *tables, class_="side")


def _within(c: Comparison, near: Array) -> tuple[int, ...] | None:
    """Return where the worst element is among its neighbours."""
    index = c.index
    if c.step is not None and near.ndim == len(index) + 1:
        index = (c.step - 1, *index)
    if near.ndim != len(index):
        return None
    return tuple(min(i, AROUND) for i in index)


def _values(name: str, near: Array, marked: tuple[int, ...] | None) -> Markup:
    if near.ndim > 2:
        text = np.array2string(near, precision=9, threshold=30)
        return element("div", element("code", name), element("pre", text))
    spot = None if marked is None else (0,) * (2 - len(marked)) + marked
    rows = []
    for i, line in enumerate(np.atleast_2d(near)):
        printed = (f"{x:.9g}" for x in line)
        cells = (
            number(element("mark", x) if (i, j) == spot else x)
            for j, x in enumerate(printed)
        )
        rows.append(element("tr", *cells))
    return table((), rows, caption=element("caption", element("code", name)))
