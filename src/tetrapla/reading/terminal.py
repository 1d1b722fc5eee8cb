"""Side by side in a terminal: columns aligned by step, as many as fit."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tetrapla.reading import differences
from tetrapla.reading.concepts import CONCEPTS, Concept
from tetrapla.reading.source import Block, Column, rows

GAP = 3  # between columns
THEME = "ansi_dark"  # the terminal's own colours


def contents(console: Console) -> Iterator[RenderableType]:
    """Yield what there is to read, group by group."""
    for group in dict.fromkeys(each.group for each in CONCEPTS.values()):
        table = Table.grid(padding=(0, GAP))
        table.add_column(min_width=22, style="bold")
        table.add_column()
        for each in CONCEPTS.values():
            if each.group == group:
                table.add_row(each.name, each.title)
        yield Group(Text(group.capitalize(), style="underline"), table, Text(""))
    yield Text("tetrapla read adam: one of them, side by side")


def page(
    concept: Concept, columns: Sequence[Column], width: int
) -> Iterator[RenderableType]:
    """Yield a concept: its definition, then its columns."""
    yield Rule(concept.title, style="bold")
    if concept.definition:
        yield Padding(Text(concept.definition, style="dim"), (1, 2))
    for part in fitting(columns, width):
        yield _side_by_side(part)
        yield Text("")


def fitting(columns: Sequence[Column], width: int) -> Iterator[Sequence[Column]]:
    """Yield as many columns as fit beside each other, then the rest."""
    rest = list(columns)
    while rest:
        count = 1
        while (
            count < len(rest)
            and sum(each.width + GAP for each in rest[: count + 1]) <= width + GAP
        ):
            count += 1
        yield rest[:count]
        rest = rest[count:]


def _side_by_side(columns: Sequence[Column]) -> Table:
    table = Table.grid(padding=(0, GAP, 0, 0))
    for each in columns:
        table.add_column(min_width=each.width, no_wrap=False, overflow="fold")
    table.add_row(*(Text(each.backend, style="bold reverse") for each in columns))
    table.add_row(*(Text(_place(each), style="dim") for each in columns))
    table.add_row(*("" for _ in columns))
    for row in rows(columns):
        table.add_row(*(_code(_blocks(each, row)) for each in columns))
    return table


def _place(column: Column) -> str:
    first = column.blocks[0]
    return f"{first.path}:{first.first}"


def _blocks(column: Column, row: str) -> list[Block]:
    return [block for block in column.blocks if block.row == row]


def _code(blocks: Sequence[Block]) -> RenderableType:
    lines = [line for block in blocks for line in block.lines]
    if not lines:
        return ""
    text = "\n".join(lines)
    code = Syntax("", "python", theme=THEME, background_color="default").highlight(text)
    code.rstrip()
    code.append("\n" * (len(lines) - 1 - code.plain.count("\n")))
    return code


def difference(concept: Concept, one: Column, other: Column) -> Iterator[RenderableType]:
    """Yield how one column has to be changed to be the other, step by step."""
    yield Rule(f"{concept.title}: {one.backend} and {other.backend}", style="bold")
    styles = {"-": "red", "+": "green", "@": "cyan"}
    for line in differences.lines(one, other):
        yield Text(line, style=styles.get(line[:1], ""))
