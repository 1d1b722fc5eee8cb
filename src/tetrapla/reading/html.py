"""Side by side on a page: columns that scripts can switch, align and light.

The page's own style and script are columns.css and columns.js. Without them,
or on paper, the columns are there all the same.
"""

from collections.abc import Iterator, Sequence
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tetrapla.reading.concepts import Concept
from tetrapla.reading.source import COLUMNS, Block, Column, rows


def columns(concept: Concept, shown: Sequence[Column], key: str = "") -> str:
    """Return a concept's columns; `key` tells several of one page apart."""
    name = f"columns-{concept.name}{key}"
    return "\n".join(_section(concept, shown, name))


def _section(concept: Concept, shown: Sequence[Column], name: str) -> Iterator[str]:
    every = rows(shown)
    label = escape(f"{concept.title}: {', '.join(c.backend for c in shown)}")
    style = f"--columns: {len(shown)}; --rows: {len(every) + 1}"
    kind = "tp-columns tp-pairs" if len(shown) > len(COLUMNS) else "tp-columns"
    yield f'<section class="{kind}" id="{name}" aria-label="{label}" style="{style}">'
    yield '<div class="tp-bar">'
    yield '<div class="tp-switches" role="group" aria-label="Columns">'
    for each in shown:
        yield (
            f'<button type="button" class="tp-switch" data-backend="{each.backend}" '
            f'aria-pressed="true">{each.backend}</button>'
        )
    yield "</div>"
    yield '<div class="tp-tabs" role="tablist" aria-label="Backend">'
    for i, each in enumerate(shown):
        place = _id(name, each)
        yield (
            '<button type="button" role="tab" class="tp-tab" '
            f'data-backend="{each.backend}" id="{place}-tab" aria-controls="{place}" '
            f'aria-selected="{"true" if i == 0 else "false"}">{each.backend}</button>'
        )
    yield "</div>"
    yield (
        f'<a class="tp-link" href="#{name}" title="Link to {escape(concept.title)}" '
        f'aria-label="Link to {escape(concept.title)}">#</a>'
    )
    yield "</div>"
    yield '<div class="tp-grid">'
    for at, each in enumerate(shown, start=1):
        yield from _column(each, name, every, at)
    yield "</div>"
    yield "</section>"


def _id(name: str, column: Column) -> str:
    return f"{name}-{column.backend.replace('.', '-')}"


def _column(column: Column, name: str, every: Sequence[str], at: int) -> Iterator[str]:
    place, first = _id(name, column), column.blocks[0]
    yield (
        f'<div class="tp-column" id="{place}" data-backend="{column.backend}" '
        f'style="--place: {at}">'
    )
    yield (
        f'<div class="tp-head"><a href="#{place}">{column.backend}</a> '
        f'<span class="tp-path" title="{escape(first.path)}">'
        f"{escape(_short(first))}</span> "
        f'<button type="button" class="tp-copy" aria-label="Copy {column.backend}">copy'
        "</button></div>"
    )
    code = highlighted(column)
    for down, row in enumerate(every, start=2):  # the name is the first
        lines, title = [], ""
        for block in column.blocks:
            if block.row == row:
                lines += code[block]
                title = block.title or title
        if not lines:
            continue
        step, link = f"{place}-{row}", ""
        if title:
            about = escape(f"Step {row} in {column.backend}: {title}")
            link = f'<a class="tp-anchor" href="#{step}" aria-label="{about}">#</a>'
        body = "".join(f"{_line(line)}\n</span>" for line in lines)
        named = f' id="{step}"' if title else ""
        yield (
            f'<div class="tp-step" data-row="{escape(row)}" style="--down: {down}"{named}>'
            f'{link}<pre class="highlight"><code>{body}</code></pre></div>'
        )
    yield "</div>"


def highlighted(column: Column, noclasses: bool = False) -> dict[Block, list[str]]:
    """Return each block's lines as HTML; the whole is read as one text.

    With `noclasses`, the colours are in it and not in a page's style.
    """
    text = "\n".join("\n".join(block.lines) for block in column.blocks)
    lexer = PythonLexer(stripnl=False, ensurenl=False)
    formatter = HtmlFormatter(nowrap=True, noclasses=noclasses)
    lines = iter(highlight(text, lexer, formatter).split("\n"))
    return {block: [next(lines, "") for _ in block.lines] for block in column.blocks}


def _line(code: str) -> str:
    """Begin a line; where it does not fit it goes on below, further in."""
    indent = len(code) - len(code.lstrip(" "))
    return f'<span class="tp-line" style="--in: {indent + 4}ch">{code}'


def _short(block: Block) -> str:
    return f"{block.path.rpartition('/')[2]}:{block.first}"
