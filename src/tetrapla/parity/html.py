"""A report as one HTML file that opens from disk, without a network.

Styles and script are within it, and its policy forbids the browser every
request. All of it works without the script, which only helps older browsers
to open what a link leads into.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tetrapla.files import write_atomically
from tetrapla.parity import html_cases, html_failures, html_maps
from tetrapla.parity.drift import Drift
from tetrapla.parity.drift_figure import svg
from tetrapla.parity.engine import STATUSES
from tetrapla.parity.markup import (
    Markup,
    element,
    joined,
    link,
    mark,
    number,
    row,
    section,
    table,
)
from tetrapla.parity.report import Report, closing

READING = {
    "share of the bound": "|got - expected| over the rigorous bound of the roundings "
    "that the formula takes, at the tensor's worst element. Above 1 the backend is "
    "wrong. Near 1 is nothing bad: half a unit in the last place, from one correct "
    "rounding, is all of the bound of many.",
    "likely": "the worst share of the probabilistic bound, which roundings that are "
    "independent of each other very rarely exceed. It decides nothing.",
    "median": "the share at the median element, to a factor of 2.",
    "ULP": "units in the last place of the exact value, at the worst element. Large "
    "where larger terms cancelled, so it decides nothing.",
    "expected": "the formula in higher precision, of the numbers that the backend "
    "itself had.",
    "unclaimed": "elements of which nothing is expected: an intermediate result of "
    "theirs may overflow the dtype, or a divisor be 0.",
}


def write(
    report: Report, path: Path, date: datetime | None = None, drift: Drift | None = None
) -> None:
    """Write the page, whole or not at all."""
    write_atomically(path, page(report, date, drift).encode())


def page(report: Report, date: datetime | None = None, drift: Drift | None = None) -> str:
    """Return the page: the same for the same report, date and drift."""
    style, script = _data("page.css"), _data("page.js")
    title = f"Parity of {', '.join(report.backends)}"
    lines = list(closing(report))
    shown = _visible(report)
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'),
        Markup('<meta name="viewport" content="width=device-width,initial-scale=1">'),
        element("title", title),
        element("style", Markup(style)),
    )
    main = element(
        "main",
        html_failures.failures(shown),
        html_maps.components(shown),
        html_maps.pairs(shown),
        _drift(drift),
        html_cases.cases(shown),
        _reading(),
    )
    header = _header(shown, title, lines, date)
    body = element("body", header, main, element("script", Markup(script)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _visible(report: Report) -> Report:
    """Return the report without dtypes that nobody asked for, if they agree."""
    dtypes = {*report.dtypes, *(v.dtype for v in report.failures)}
    verdicts = [v for v in report.verdicts if v.dtype in dtypes]
    return replace(report, verdicts=verdicts, shown=sorted(dtypes))


def _data(name: str) -> str:
    return files("tetrapla.parity").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Return what the browser may do: run this script, and request nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _header(report: Report, title: str, lines: list[str], date: datetime | None) -> Markup:
    sign = mark(not report.failures)
    return element(
        "header",
        element("h1", title),
        *(element("p", sign, " ", line, class_="status") for line in lines[:1]),
        *(element("p", line) for line in lines[1:]),
        element("dl", *_facts(report, date), class_="facts"),
        element("nav", element("ul", *_contents(report)), aria_label="Contents"),
    )


def _facts(report: Report, date: datetime | None) -> Iterator[Markup]:
    from tetrapla import __version__

    statuses = [v.status for v in report.verdicts]
    counts = [
        f"{statuses.count(s)} {word}" for s, word in STATUSES.items() if s in statuses
    ]
    tensors = [c for v in report.verdicts for c in v.comparisons]
    unclaimed = sum(c.unclaimed for c in tensors)
    facts = {
        "date": "" if date is None else f"{date.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "tetrapla": __version__,
        "backends": ", ".join(f"{name} {v}" for name, v in report.versions.items()),
        "not here": ", ".join(report.missing),
        "dtypes": ", ".join(report.dtypes),
        "cases": f"{len({v.case for v in report.verdicts})}",
        "runs": ", ".join(counts),
        "tensors": f"{len(tensors)} compared with the specification, "
        f"{len(report.pairs)} between two backends",
        "unclaimed": f"{unclaimed} elements" if unclaimed else "",
    }
    for name, fact in facts.items():
        if fact:
            yield joined(element("dt", name), element("dd", fact))


def _contents(report: Report) -> Iterator[Markup]:
    places = {"components": "Components", "pairs": "Pairs", "drift": "Drift"}
    places |= {"cases": "Every case", "reading": "How to read it"}
    if report.failures:
        places = {"failures": "What is wrong"} | places
    for where, name in places.items():
        yield element("li", link(where, name))


def _drift(drift: Drift | None) -> Markup:
    heading = "How far whole runs drift apart"
    if drift is None:
        said = element("p", "Not drawn: it takes two backends, and scikit-learn's data.")
        return section("drift", heading, said)
    said = element(
        "p",
        element("b", "This is no verdict"),
        ": bounds that are carried through training are void after a few steps, since "
        "each step may multiply what the one before left; so runs are judged step by "
        "step above, and what the steps add up to is only shown.",
    )
    failed = [element("p", f"{n}: {why}", class_="bad") for n, why in drift.failed.items()]
    if not drift.curves:
        return section("drift", heading, said, *failed)
    caption = element("figcaption", _caption(drift))
    figure = element("figure", element("div", svg(drift), class_="wide"), caption)
    return section("drift", heading, said, *failed, figure, _numbers(drift))


def _caption(drift: Drift) -> Markup:
    first = drift.curves[0].left
    said = (
        f"The norm of the difference of all weights over that of {first}'s, after each "
        f"epoch of {drift.case}, from the same weights on. A rounding of float32 is 2",
        element("sup", "29"),
        " of float64's, and about so far apart are their lines.",
    )
    if all(d for c in drift.curves for d in c.distances):
        return joined(*said)
    return joined(
        *said,
        " 0 has no logarithm: where the weights are equal, bit by bit, a line is drawn "
        "below the axis' end and its marks are hollow.",
    )


def _numbers(drift: Drift) -> Markup:
    titles = ("epoch", *(f"{c.right} from {c.left}, {c.dtype}" for c in drift.curves))
    rows = [
        row(epoch, *(number(f"{c.distances[epoch - 1]:.3g}") for c in drift.curves))
        for epoch in range(1, drift.epochs + 1)
    ]
    return element(
        "details", element("summary", "The same in numbers"), table(titles, rows)
    )


def _reading() -> Markup:
    words = [joined(element("dt", w), element("dd", said)) for w, said in READING.items()]
    return section("reading", "How to read it", element("dl", *words, class_="facts"))
