"""What was measured and observed of a concept: from the commands' JSON.

`tetrapla parity --json` and `tetrapla atlas --json` write what is read here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from tetrapla.reading.concepts import CONCEPTS, Concept

DTYPES = ("float32", "float64")
KNOWN = "known deviation"
FAR = 1000  # ULPs that no few roundings make


@dataclass(frozen=True)
class Cell:
    """A component in one backend and dtype."""

    worst: float  # the largest share of a bound
    ulps: float  # of the worst element
    status: str


@cache
def read(path: Path, changed: float) -> Mapping[str, Any]:
    """Return a file's content; `changed` is when it was written."""
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def opened(path: Path) -> Mapping[str, Any]:
    """Return what is in the file now."""
    return read(path, path.stat().st_mtime)


def cells(report: Mapping[str, Any], concept: Concept) -> dict[tuple[str, str], Cell]:
    """Return the concept's cells by backend and dtype: the worst of its rows."""
    found: dict[tuple[str, str], Cell] = {}
    for row in report["components"]:
        mine = row["component"] == concept.component or (
            concept.component.endswith("/")
            and row["component"].startswith(concept.component)
        )
        if not mine:
            continue
        place = row["backend"], row["dtype"]
        cell = Cell(float(row["worst"]), float(row["ulps"]), row["status"])
        if place not in found or cell.worst > found[place].worst:
            found[place] = cell
    return found


def parity(report: Mapping[str, Any], concept: Concept, backends: Sequence[str]) -> str:
    """Return the concept's row of the parity table as HTML; empty if it has none."""
    found = cells(report, concept)
    columns = [name for name in backends if any((name, d) in found for d in DTYPES)]
    if not columns:
        return ""
    versions = report["backends"]
    about = ", ".join(f"{name} {versions[name]}" for name in columns if name in versions)
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = ""
    for dtype in DTYPES:
        values = "".join(f"<td>{_shown(found.get((name, dtype)))}</td>" for name in columns)
        body += f'<tr><th scope="row">{dtype}</th>{values}</tr>'
    shown = [cell for (name, _), cell in found.items() if name in columns]
    caption = (
        f"Parity, {escape(report['date'])}: the largest share of its proven bound that an "
        "element used (1 would be wrong), and that element's distance in units in the last "
        f"place. {_notes(shown)}{escape(about)}; "
        f"tetrapla {escape(report['tetrapla'])}."
    )
    return (
        '<div class="tp-scroll" tabindex="0" role="region" aria-label="Parity: '
        f'{escape(concept.title)}">'
        f'<table class="table tp-figures"><caption>{caption}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    if cell.status == "no":
        return "the library has none"
    if cell.status not in ("agrees", KNOWN):
        return f"✗ {cell.status}: {cell.worst:.3g} of the bound, {cell.ulps:.3g} ULP"
    mark = "≈ " if cell.status == KNOWN else ""
    # rounded it would be 1, which it is not
    share = "just below 1" if 0.995 <= cell.worst < 1 else f"{cell.worst:.2g}"
    return f"{mark}{share} of the bound, {cell.ulps:.3g} ULP"


def _notes(shown: Iterable[Cell]) -> str:
    """Return what explains the cells that would alarm."""
    cells = list(shown)
    notes = ""
    if any(cell.status == KNOWN for cell in cells):
        notes += "≈: a known deviation of the library, within its own bound. "
    if any(cell.status == "agrees" and cell.ulps > FAR for cell in cells):
        notes += (
            "Very many ULP: a result so near 0 that the absolute part of its bound "
            "counts, because tf and jax flush subnormals or because terms cancel. "
        )
    return notes


@dataclass(frozen=True)
class Seen:
    """A row of the atlas, as it was observed."""

    title: str
    example: str
    answers: str
    why: str
    same: bool


def atlas(document: Mapping[str, Any], concept: Concept) -> Iterator[Seen]:
    """Yield the rows of the atlas about the concept."""
    from tetrapla.atlas.row import plain, shown
    from tetrapla.atlas.rows import ROWS

    longer = tuple(map(plain, _longer(concept)))
    for row in ROWS:
        mine = any(map(row.matches, concept.words))
        mine = mine and not plain(row.name).startswith(longer)
        if row.name in document["rows"] and mine:
            seen = document["rows"][row.name]
            answers = ", ".join(f"{n} {shown(a)}" for n, a in seen["answers"].items())
            yield Seen(seen["title"], seen["example"], answers, seen["why"], seen["same"])


def _longer(concept: Concept) -> set[str]:
    """Return the words of other concepts in which the concept's own stand.

    Leaky ReLU's slope is found by "relu" too, but is none of ReLU's.
    """
    return {
        word
        for other in CONCEPTS.values()
        for word in other.words
        if word not in concept.words and any(own in word for own in concept.words)
    }
