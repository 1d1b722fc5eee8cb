"""The chapters of the lecture as Jupyter notebooks: `make notebooks`.

    python docs/notebooks.py build/notebooks
    python docs/notebooks.py build/notebooks --backend torch --execute

Jupyter knows none of the site's directives. So columns become a cell that shows
them, and drawings images beside the notebooks. A solution is text that unfolds,
and a cell that runs, its code hidden. Links between chapters lead to notebooks,
others to the documentation's files.
"""

import argparse
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext
from mdit_py_plugins.anchors.index import slugify
from nbclient import NotebookClient
from nbformat import NotebookNode, v4, write

from tetrapla.reading.concepts import concept

DOCS = Path(__file__).resolve().parent
LECTURE, DRAWINGS = DOCS / "lecture", DOCS / "drawings"
CHAPTERS = sorted(path.stem for path in LECTURE.glob("[0-2]*.md"))
BACKENDS = ("numpy", "torch", "tf", "jax")

DRAWN = re.compile(r"^```\{drawn\} (\w+)\n```$", re.M)
EXERCISE = re.compile(r"^:::\{admonition\} Exercise\n:class: tip\n(.*?)\n:::$", re.M | re.S)
COLUMNS = r"^```\{columns\} (?P<name>\w+)\n(?P<options>(?::[^\n]*\n)*)```$"
SOLUTION = r"^:::\{dropdown\} Solution\n(?P<solution>.*?)\n:::$"
WITH_CODE = re.compile(f"{COLUMNS}|{SOLUTION}", re.M | re.S)
SOLVED = re.compile(r"^```python\n(.*?)\n```$(?:\n\n```text\n.*?^```$)?", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]*\.md)?(#[^)\s]*)?\)")
STEP = re.compile(r'<a href="#columns-[^"]*">(.*?)</a>')
CHOSEN = re.compile(r'"TETRAPLA_BACKEND", "numpy"\)\)  # or .*')


@cache
def drawing(name: str) -> ModuleType:
    """Return the module that draws it."""
    spec = importlib.util.spec_from_file_location(name, DRAWINGS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(DRAWINGS) not in sys.path:  # for what drawings share
        sys.path.append(str(DRAWINGS))
    spec.loader.exec_module(module)
    return module


def image(name: str, out: Path) -> str:
    """Draw it beside the notebooks, and return the image with its caption."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "images" / f"{name}.svg").write_text(drawing(name).svg(), encoding="utf-8")
    return f"![{drawing(name).ALT}](images/{name}.svg)\n\n*{drawing(name).CAPTION}*"


def link(to: re.Match[str], text: str, out: Path) -> str:
    """Return a link as it is from a notebook in this folder."""
    page, anchor = to[1] or "", to[2] or ""
    if not page:  # Jupyter's anchors are the headings, with hyphens
        titles = re.findall(r"^#+ (.*)", text, re.M)
        (title,) = (t for t in titles if anchor == f"#{slugify(t)}")
        return f"](#{title.replace(' ', '-')})"
    if Path(page).stem in CHAPTERS:
        return f"]({Path(page).with_suffix('.ipynb')}{anchor})"
    path = os.path.relpath(LECTURE / page, out.resolve())
    return f"]({Path(path).as_posix()}{anchor})"


def folded(prose: str, summary: str) -> Iterator[NotebookNode]:
    """Yield text that unfolds, if there is any."""
    if prose := prose.strip():
        text = f"<details>\n<summary>{summary}</summary>\n\n{prose}\n\n</details>"
        yield v4.new_markdown_cell(text)


def solution(text: str, spoils: bool) -> Iterator[NotebookNode]:
    """Yield a solution's text and code; its output is hidden where it `spoils`."""
    before, *parts = SOLVED.split(text)
    yield from folded(before, "Solution")
    for code, prose in zip(parts[::2], parts[1::2], strict=True):
        hidden = {"source_hidden": True} | ({"outputs_hidden": True} if spoils else {})
        yield v4.new_code_cell(f"# Solution\n{code}", metadata={"jupyter": hidden})
        yield from folded(prose, "Solution: what it shows")


def columns(name: str, options: str) -> Iterator[NotebookNode]:
    """Yield a concept's formula, and a cell that shows its columns."""
    given = dict(re.findall(r"^:([\w-]+): ?(.*)", options, re.M))
    if "no-formula" not in given:
        yield v4.new_markdown_cell(f"$$\n{concept(name).formula}\n$$")
    names = [name, *re.findall(r"[\w.]+", given.get("backends", ""))]
    words = [f'"{each}"' for each in names] + ["library=True"] * ("library" in given)
    shown = f"SideBySide({', '.join(words)})"
    yield v4.new_code_cell(f"from tetrapla.reading.notebook import SideBySide\n\n{shown}")


def cells(text: str, out: Path, spoils: bool) -> Iterator[NotebookNode]:
    """Yield what a Markdown cell of a chapter is in a notebook."""
    start = 0
    for found in WITH_CODE.finditer(text):
        if before := text[start : found.start()].strip():
            yield v4.new_markdown_cell(before)
        if found["name"]:
            yield from columns(found["name"], found["options"])
        else:
            yield from solution(found["solution"], spoils)
        start = found.end()
    if after := text[start:].strip():
        yield v4.new_markdown_cell(after)


def notebook(chapter: str, out: Path, backend: str, execute: bool) -> NotebookNode:
    """Return a chapter as a notebook, and write its images."""
    page = (LECTURE / f"{chapter}.md").read_text(encoding="utf-8")
    others = ", ".join(f'"{name}"' for name in BACKENDS if name != backend)
    made: list[Any] = []
    for cell in jupytext.reads(page, "md:myst").cells:
        if cell.cell_type == "code":
            chosen = f'"TETRAPLA_BACKEND", "{backend}"))  # or {others}'
            cell.source = CHOSEN.sub(chosen, cell.source)
            made.append(cell)
            continue
        text = LINK.sub(lambda to: link(to, page, out), STEP.sub(r"\1", cell.source))
        text = EXERCISE.sub(r"**Exercise.** \1", text)
        text = DRAWN.sub(lambda name: image(name[1], out), text)
        made += cells(text, out, spoils=execute)
    for i, cell in enumerate(made):
        cell.id = f"cell-{i}"  # the same each time
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=made, metadata={"kernelspec": kernel})


def run(made: NotebookNode) -> None:
    """Run the cells; like the site, hear no messages of those that say so."""
    NotebookClient(made, timeout=600, record_timing=False).execute()
    for cell in made.cells:
        if "remove-stderr" in cell.metadata.get("tags", []):
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]


def main() -> None:
    """Write the notebooks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="where the notebooks go")
    parser.add_argument("--backend", default="numpy", help="the name in the first cell")
    parser.add_argument("--execute", action="store_true", help="run them, too")
    parser.add_argument("--chapters", nargs="+", choices=CHAPTERS, default=CHAPTERS)
    given = parser.parse_args()
    os.environ["TETRAPLA_BACKEND"] = given.backend  # for the kernel, whatever was set
    given.out.mkdir(parents=True, exist_ok=True)
    for chapter in given.chapters:
        made = notebook(chapter, given.out, given.backend, given.execute)
        if given.execute:
            print(chapter, flush=True)
            run(made)
        write(made, given.out / f"{chapter}.ipynb")


if __name__ == "__main__":
    main()
