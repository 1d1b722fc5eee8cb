"""The chapters of docs/lecture: their solutions run, and what they quote is there.

The site runs the cells of a chapter when it is built. The code of its solution,
which nobody sees at first, goes on here where they end, with NumPy.
"""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import support

from tetrapla.reading.concepts import concept

CHAPTERS = Path(__file__).parent.parent / "docs" / "lecture"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::[^\n]*\n)*(.*?)^```$", re.M | re.S)
SOLUTION = re.compile(r"^:::\{dropdown\} Solution\n(.*?)^:::$", re.M | re.S)
SOLVED = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
STEP = re.compile(r'<a href="#columns-(\w+)-([a-z]+)-(\d+)">')


def text_of(chapter: str) -> str:
    return (CHAPTERS / f"{chapter}.md").read_text(encoding="utf-8")


def chapters() -> list[str]:
    return sorted(path.stem for path in CHAPTERS.glob("[0-2]*.md"))


every_chapter = pytest.mark.parametrize("chapter", chapters())


@every_chapter
def test_a_solution_says_what_it_prints(chapter, monkeypatch):
    text = text_of(chapter)
    for name in set(re.findall(r"tp\.data\.(\w+)\(", text)):
        support.dataset(name.replace("_", "-"))  # skips where it is missing
    (solution,) = SOLUTION.findall(text)
    solved = SOLVED.findall(solution)
    assert len(solved) == len(support.blocks_of(solution, "python"))
    said = [output for _, output in solved if output]
    assert said == support.blocks_of(solution, "text")  # each under its code
    monkeypatch.delenv("TETRAPLA_BACKEND", raising=False)
    names = {"__name__": chapter}
    for cell in CELL.findall(text):
        support.printed(cell, chapter, names)
    for code, output in solved:
        assert support.printed(code, f"the solution of {chapter}", names) == output


def linked() -> list[tuple[str, ...]]:
    """Return the links to a step: chapter, concept, column, step."""
    return [(name, *found) for name in chapters() for found in STEP.findall(text_of(name))]


@pytest.mark.parametrize(("chapter", "name", "column", "step"), linked())
def test_a_step_that_is_linked_is_there(chapter, name, column, step):
    assert f"```{{columns}} {name}\n" in text_of(chapter)
    (shown,) = concept(name).of([column])
    assert step in dict(shown.steps)


@pytest.mark.parametrize(("library", "name"), [("PyTorch", "torch"), ("Keras", "tf.keras")])
def test_a_librarys_line_on_epsilon_is_in_its_source(library, name):
    row = rf"^\| {library} \| `(\S+)\.py` \| `(.+)` \|$"
    ((file, line),) = re.findall(row, text_of("21-optimizers"), re.M)
    support.backend(name)  # skips where it is missing
    module = importlib.import_module(file.replace("/", "."))
    assert " ".join(line.split()) in " ".join(inspect.getsource(module).split())
