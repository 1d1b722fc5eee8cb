"""Side by side in a terminal: columns aligned by step, as many as fit."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.syntax import Syntax
from rich.text import Text

from tetrapla.reading import differences
from tetrapla.reading.concepts import CONCEPTS, Concept
from tetrapla.reading.source import LIBRARY, Block, Column, rows

GAP = 3  # between columns
LEAST = 56  # so narrow a column may be beside others: four of five lines fit
THEME = "ansi_dark"  # the terminal's own colours


def contents(width: int) -> Iterator[Text]:
    """Yield what there is to read, group by group."""
    wide = max(map(len, CONCEPTS)) + GAP
    for group in dict.fromkeys(each.group for each in CONCEPTS.values()):
        yield Text(group.capitalize(), style="underline")
        for each in CONCEPTS.values():
            if each.group == group:
                line = Text.assemble((each.name.ljust(wide), "bold"), each.title)
                yield from _folded(line, width, wide)
        yield Text("")
    yield from _folded(Text("tetrapla read adam: one of them, side by side"), width, 4)


def page(
    concept: Concept, columns: Sequence[Column], width: int, note: str = ""
) -> Iterator[Text]:
    """Yield a concept: its formula and definition, a note, then its columns."""
    yield from _head(concept.title, width)
    yield Text("")
    yield from _definition(concept.opening, width)
    if note:
        yield Text("")
        yield from _folded(Text(note), width, 0)
    for part in fitting(columns, width):
        yield Text("")
        yield from _side_by_side(part, width)


def without_library(concept: Concept) -> str:
    """Return why none of the columns is one that calls a library."""
    reason = concept.no_library or "NumPy is all that the column numpy has"
    return f"No column here calls a library ({', '.join(LIBRARY.values())} do): {reason}."


def difference(concept: Concept, one: Column, other: Column, width: int) -> Iterator[Text]:
    """Yield how one column has to be changed to be the other, step by step."""
    yield from _head(f"{concept.title}: {one.backend} and {other.backend}", width)
    styles = {"-": "red", "+": "green", "@": "cyan"}
    for line in differences.lines(one, other):
        sign, code = line[:2], Text(line[2:])
        for part in _folded(code, width - 2, _indent(code) + 4):  # each with its sign
            yield Text(f"{sign}{part.plain}".rstrip(), style=styles.get(line[:1], ""))


def fitting(columns: Sequence[Column], width: int) -> Iterator[Sequence[Column]]:
    """Yield as many columns as fit beside each other, then the rest.

    What calls a library stays beside what does not, if two fit.
    """
    rest = list(columns)
    while rest:
        count = 1
        while count < len(rest) and _least(rest[: count + 1]) <= width:
            count += 1
        if 1 < count < len(rest) and _calls(rest[count - 1], rest[count]):
            count -= 1
        yield rest[:count]
        rest = rest[count:]


def _head(title: str, width: int) -> Iterator[Text]:
    yield from _folded(Text(title, style="bold"), width, 4)
    yield Text("=" * min(len(title), width))


def _calls(one: Column, other: Column) -> bool:
    return LIBRARY.get(one.backend) == other.backend


def _least(columns: Sequence[Column]) -> int:
    return sum(min(_wide(each), LEAST) + GAP for each in columns) - GAP


def _wide(column: Column) -> int:
    return max(column.width, len(_place(column)))


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Return each column's width: its own, or a fair share where that is less."""
    widths = [_wide(each) for each in columns]
    left = width - GAP * (len(columns) - 1)
    narrow_first = sorted(range(len(columns)), key=widths.__getitem__)
    for count, place in enumerate(narrow_first):
        widths[place] = min(widths[place], left // (len(columns) - count))
        left -= widths[place]
    return widths


def _side_by_side(columns: Sequence[Column], width: int) -> Iterator[Text]:
    widths = _widths(columns, width)
    yield _line([Text(each.backend, style="bold reverse") for each in columns], widths)
    yield from _beside([[Text(_place(each), style="dim")] for each in columns], widths)
    yield Text("")
    lines: list[Text] = []
    for row in rows(columns):
        lines += _beside([_code(_blocks(each, row)) for each in columns], widths)
    while not lines[-1]:
        lines.pop()
    yield from lines


def _beside(cells: Sequence[Sequence[Text]], widths: Sequence[int]) -> Iterator[Text]:
    folded = [
        [part for line in cell for part in _folded(line, width, _indent(line) + 4)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for parts in zip_longest(*folded, fillvalue=Text("")):
        yield _line(parts, widths)


def _line(parts: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text("")
    for part, width in zip(parts, widths, strict=True):
        line.append_text(part)
        line.append(" " * (width - len(part) + GAP))
    line.rstrip()
    return line


def _folded(line: Text, width: int, indent: int) -> Iterator[Text]:
    """Yield the line in parts that fit: from the second on further in."""
    indent = min(indent, width // 2)
    margin = _indent(line)
    while len(line) > width:
        places = (
            line.plain.find("  # ", margin),  # a comment goes on below as a whole
            line.plain.rfind(" ", margin, width + 1),
            line.plain.rfind("(", margin, width) + 1,
        )
        cut = next((place for place in places if margin < place <= width), width)
        first, rest = line.divide([cut])
        yield first
        line = Text(" " * indent).append_text(rest[_indent(rest) :])
        margin = indent
    yield line


def _indent(line: Text) -> int:
    return len(line.plain) - len(line.plain.lstrip())


def _place(column: Column) -> str:
    first = column.blocks[0]
    return f"{first.path}:{first.first}"


def _blocks(column: Column, row: str) -> list[Block]:
    return [block for block in column.blocks if block.row == row]


def _code(blocks: Sequence[Block]) -> list[Text]:
    text = "".join(f"{line}\n" for block in blocks for line in block.lines)
    syntax = Syntax("", "python", theme=THEME, background_color="default")
    return list(syntax.highlight(text).split("\n")) if text else []


def _definition(text: str, width: int) -> Iterator[Text]:
    """Yield the specification's lines; where they do not fit, paragraphs anew."""
    width -= 4  # two at each side
    if max(map(len, text.splitlines())) > width:
        # a line that ends as prose does in the middle goes on in the next
        text = re.sub(r"^(\S.*[^.:;\n])\n(?=\S)", r"\1 ", text, flags=re.MULTILINE)
    for line in map(Text, text.splitlines()):
        for part in _folded(line, width, _indent(line)):
            yield Text(f"  {part.plain}".rstrip())
