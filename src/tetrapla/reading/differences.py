"""Two columns line by line, step by step: what one says otherwise."""

import difflib
from collections.abc import Iterator

from tetrapla.reading.source import Column, rows


def lines(one: Column, other: Column) -> Iterator[str]:
    """Yield what differs: "-" one's, "+" the other's, " " both's, "@" where."""
    yield f"--- {one.backend}  {one.blocks[0].path}"
    yield f"+++ {other.backend}  {other.blocks[0].path}"
    for row in rows((one, other)):
        mine, theirs = _of(one, row), _of(other, row)
        if mine == theirs:
            continue
        yield f"@ {_title(one, other, row)}"
        for line in difflib.ndiff(mine, theirs):
            if not line.startswith("?"):
                yield line[0] + line[1:].rstrip()


def _of(column: Column, row: str) -> list[str]:
    every = [line for block in column.blocks if block.row == row for line in block.lines]
    while every and not every[-1]:
        every.pop()
    return every


def _title(one: Column, other: Column, row: str) -> str:
    for block in (*one.blocks, *other.blocks):
        if block.row == row and block.title:
            return f"{row}. {block.title}"
    return row.replace("head ", "before step ")
