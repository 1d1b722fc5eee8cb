"""A concept's source in one column, cut into the steps of its algorithm.

The steps are in the source: a comment `# 2. shuffle` begins step 2, on a line
of its own or behind the first line of the step. A column is the same text,
line by line, as the file.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

FOLDERS: Mapping[str, str] = {
    "numpy": "numpy",
    "torch": "torch",
    "tf": "tf",
    "jax": "jax",
    "torch.nn": "torch/library",
    "tf.keras": "tf/library",
    "jax.flax": "jax/library",
}
COLUMNS = ("numpy", "torch", "tf", "jax")
LIBRARY = {"torch": "torch.nn", "tf": "tf.keras", "jax": "jax.flax"}

STEP = re.compile(r"\s*# (\d+)\. (.+)$")


@dataclass(frozen=True)
class Block:
    """Consecutive lines of a column.

    `row` is what they are aligned by: "2" for step 2, "head 2" for what stands
    before it in its function, or the name of a function without steps.
    """

    row: str
    title: str  # of a step, else empty
    path: str  # in the repository
    first: int  # its first line there
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A concept in one backend."""

    backend: str
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """All of it, functions two lines apart."""
        return "\n".join("\n".join(block.lines) for block in self.blocks).strip("\n")

    @property
    def width(self) -> int:
        """The length of its longest line."""
        return max(len(line) for block in self.blocks for line in block.lines)

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """The steps' numbers and titles, in the order of the source."""
        return tuple((block.row, block.title) for block in self.blocks if block.title)


def beside(names: Iterable[str]) -> tuple[str, ...]:
    """Return these columns, each followed by the one that calls its library."""
    pairs = ((name, LIBRARY.get(name, name)) for name in names)
    return tuple(dict.fromkeys(name for pair in pairs for name in pair))


def column(backend: str, symbols: Sequence[str]) -> Column | None:
    """Return what a backend has of these symbols, in their order; None if nothing.

    A symbol is a file and a name in it: "optimizers.Adam", and may be a
    method: "layers.Dense.backward".
    """
    blocks: list[Block] = []
    for symbol in symbols:
        blocks += _cut(symbol, FOLDERS[backend])
    return Column(backend, tuple(blocks)) if blocks else None


def level(columns: Sequence[Column]) -> list[Column]:
    """Return the columns, all beginning where the first one does.

    What calls a library begins with a function that no other column has: else
    it would stand above all that the others have.
    """
    made: list[Column] = []
    for each in columns:
        first, *rest = each.blocks
        start = columns[0].blocks[0].row
        own = first.row not in (block.row for block in columns[0].blocks)
        if own and start not in (block.row for block in rest):
            first = replace(first, row=start)
        made.append(replace(each, blocks=(first, *rest)))
    return made


def rows(columns: Sequence[Column]) -> list[str]:
    """Return the rows that columns have together, each in its place.

    A row that some columns lack stands where the others have it.
    """
    merged: list[str] = []
    for each in columns:
        place = 0
        for block in each.blocks:
            if block.row in merged:
                place = merged.index(block.row) + 1
            else:
                merged.insert(place, block.row)
                place += 1
    return merged


def folder() -> Path:
    """Return where the implementations are; imports none of them."""
    found = find_spec("tetrapla.impls")
    assert found is not None
    assert found.submodule_search_locations
    return Path(next(iter(found.submodule_search_locations)))


@cache
def _read(path: Path, changed: float) -> tuple[list[str], ast.Module]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines(), ast.parse(text)


def _parsed(path: Path) -> tuple[list[str], ast.Module]:
    return _read(path, path.stat().st_mtime)


def _cut(symbol: str, place: str) -> Iterator[Block]:
    file, _, name = symbol.partition(".")
    path = folder() / place / f"{file}.py"
    if not path.is_file():
        return
    lines, tree = _parsed(path)
    node = _find(tree, name)
    shown = f"impls/{place}/{file}.py"
    if node is None and (source := _imported(tree, name)):  # NumPy's random.py
        path = _module(source)
        lines, tree = _parsed(path)
        node = _find(tree, name)
        shown = f"src/{source.replace('.', '/')}.py"
    if node is None:
        return
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    assert node.end_lineno is not None
    body = lines[first - 1 : node.end_lineno]
    margin = len(body[0]) - len(body[0].lstrip())
    body = [line[margin:] for line in body]
    yield from _steps(name, shown, first, body)


def _steps(name: str, path: str, first: int, body: list[str]) -> Iterator[Block]:
    marks = [(i, found) for i, line in enumerate(body) if (found := _mark(line))]
    if not marks:
        yield Block(name, "", path, first, (*body, "", ""))
        return
    head = f"head {marks[0][1][0]}"
    starts = [(0, head, ""), *((i, number, title) for i, (number, title) in marks)]
    ends = [i for i, _, _ in starts[1:]] + [len(body)]
    for (start, row, title), end in zip(starts, ends, strict=True):
        if start == end:  # it begins with its first step
            continue
        after = ("", "") if end == len(body) else ()
        yield Block(row, title, path, first + start, (*body[start:end], *after))


def _mark(line: str) -> tuple[str, str] | None:
    before, hash_, after = line.partition("# ")
    found = STEP.fullmatch(f"# {after}") if hash_ else None
    quoted = before.count('"') % 2 or before.count("'") % 2
    return None if found is None or quoted else (found[1], found[2])


def _find(tree: ast.Module, name: str) -> ast.FunctionDef | ast.ClassDef | None:
    body: list[ast.stmt] = tree.body
    found: ast.FunctionDef | ast.ClassDef | None = None
    for part in name.split("."):
        found = None
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part:
                found, body = node, node.body
                break
        if found is None:
            return None
    return found


def _imported(tree: ast.Module, name: str) -> str | None:
    """Return the specification's module that a column takes a name from."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(a.name == name for a in node.names):
            module = node.module or ""
            return module if module.startswith("tetrapla.spec.") else None
    return None


def _module(name: str) -> Path:
    found = find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def path_of(block: Block) -> Path:
    """Return where a block's file is on this machine."""
    package, _, rest = block.path.partition("/")
    if package == "impls":
        return folder() / rest
    return _module(rest.removesuffix(".py").replace("/", "."))
