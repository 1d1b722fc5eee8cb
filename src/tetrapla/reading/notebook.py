"""Side by side in a Jupyter notebook: a table with a row for each step.

    SideBySide("adam")
    SideBySide("dense", "torch", "jax", library=True)

as the last line of a cell shows the columns; what is too wide scrolls sideways.
The colours are its own: it is light in a dark notebook too.
"""

from collections.abc import Iterator, Sequence
from html import escape

from tetrapla.reading import html, source
from tetrapla.reading.concepts import concept
from tetrapla.spec import InvalidInputError

TABLE = "border-collapse: collapse; margin: 0 0 1em 0;"
CELL = "padding: 0 1.5em 0 0.5em; text-align: left; vertical-align: top; font-size: 12px;"
CELL += " color: #1b1f24; background: "
BANDS = ("#ffffff", "#f3f5f7")  # one step and the next
CODE = "margin: 0; padding: 0; line-height: 1.4; white-space: pre; color: inherit;"
CODE += " background: none;"


class SideBySide:
    """A concept in these columns, by default the four from scratch.

    `library` shows beside each the column that calls its library.
    """

    def __init__(self, name: str, *backends: str, library: bool = False) -> None:
        names: Sequence[str] = backends or source.COLUMNS
        for each in names:
            if each not in source.FOLDERS:
                there = ", ".join(source.FOLDERS)
                raise InvalidInputError(f"unknown backend {each!r}; there are {there}")
        if library:
            names = source.beside(n for n in names if n in source.LIBRARY)
        self.concept = concept(name)
        self.columns = self.concept.of(names)
        self.library = library

    def __repr__(self) -> str:
        names = ", ".join(each.backend for each in self.columns)
        return f"{self.concept.title}: {names}"

    def _repr_html_(self) -> str:
        return "\n".join(line for part in self._parts() for line in _table(part))

    def _parts(self) -> list[list[source.Column]]:
        """Return what is in one table: all, or what belongs to one framework."""
        if not self.library:
            return [self.columns]
        parts: list[list[source.Column]] = []
        for each in self.columns:
            if each.backend in source.LIBRARY.values() and parts:
                parts[-1].append(each)
            else:
                parts.append([each])
        return parts


def _table(columns: Sequence[source.Column]) -> Iterator[str]:
    yield f'<div style="overflow-x: auto"><table style="{TABLE}"><tr>'
    for each in columns:
        first = each.blocks[0]
        place = escape(f"{first.path}:{first.first}")
        yield f'<th style="{CELL}{BANDS[1]}">{each.backend} <small>{place}</small></th>'
    yield "</tr>"
    code = {each.backend: html.highlighted(each, noclasses=True) for each in columns}
    for i, row in enumerate(source.rows(columns)):
        cell = CELL + BANDS[i % 2]
        yield "<tr>"
        for each in columns:
            blocks = [block for block in each.blocks if block.row == row]
            lines = "\n".join(line for b in blocks for line in code[each.backend][b])
            yield f'<td style="{cell}"><pre style="{CODE}">{lines}</pre></td>'
        yield "</tr>"
    yield "</table></div>"
