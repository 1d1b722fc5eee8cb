"""docs/notebooks.py: each chapter is a notebook that Jupyter shows as a whole.

No kernel is started: that the cells run is what test_chapters is for.
"""

import html
import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import support
from test_chapters import CELL, SOLUTION, chapters, text_of

from tetrapla.reading.concepts import concept
from tetrapla.reading.notebook import SideBySide
from tetrapla.spec import InvalidInputError

DOCS = Path(__file__).parent.parent / "docs"
every_chapter = pytest.mark.parametrize("chapter", chapters())


@pytest.fixture(scope="module")
def notebooks():
    """The script, with drawings that say their names: some take frameworks, and long."""
    for package in ("jupytext", "nbclient"):
        if importlib.util.find_spec(package) is None:
            support.missing(f"the notebooks need {package}: pip install 'tetrapla[docs]'")
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.real = module.drawing
    module.drawing = lambda name: SimpleNamespace(
        ALT=f"The drawing {name}.", CAPTION=f"It is {name}.", svg=lambda: "<svg/>"
    )
    return module


@pytest.fixture(scope="module")
def made(notebooks, tmp_path_factory):
    """Return the folder of the notebooks, and their cells by chapter."""
    out = tmp_path_factory.mktemp("build") / "notebooks"
    cells = {}
    for chapter in chapters():
        notebook = notebooks.notebook(chapter, out, "numpy", execute=False)
        notebooks.write(notebook, out / f"{chapter}.ipynb")  # an invalid one is refused
        cells[chapter] = notebook.cells
    return out, cells


def text(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def test_every_chapter_is_one(notebooks, made):
    assert chapters() == notebooks.CHAPTERS
    out, _ = made
    assert sorted(path.stem for path in out.glob("*.ipynb")) == notebooks.CHAPTERS


@every_chapter
def test_no_directive_is_left(made, chapter):
    shown = text(made[1][chapter])
    assert not re.findall(r"^(?:```+|:::+)\{.*|^:::.*|^```.*|#columns-.*", shown, re.M)
    assert "**Exercise.** " in shown
    assert "<summary>Solution" in shown


@every_chapter
def test_every_link_leads_somewhere(made, chapter):
    out, cells = made
    shown = text(cells[chapter])
    titles = re.findall(r"^#+ (.*)", shown, re.M)
    links = re.findall(r"\]\(([^)\s]+)\)", shown)
    for link in links:
        page, _, anchor = link.partition("#")
        assert page == "" or (out / page).is_file(), link
        assert page or anchor in [title.replace(" ", "-") for title in titles], link
    assert all(Path(link).suffix in (".ipynb", ".md", ".svg", "") for link in links)


@every_chapter
def test_every_drawing_is_there_and_described(made, chapter):
    drawn = re.findall(r"^```\{drawn\} (\w+)", text_of(chapter), re.M)
    image = r"^!\[The drawing (\w+)\.\]\(images/\1\.svg\)\n\n\*It is \1\.\*$"
    assert re.findall(image, text(made[1][chapter]), re.M) == drawn


def test_a_drawing_is_drawn(notebooks, monkeypatch, tmp_path):
    if importlib.util.find_spec("matplotlib") is None:
        support.missing("the drawings need matplotlib: pip install 'tetrapla[docs]'")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(notebooks, "drawing", notebooks.real)
    shown = notebooks.image("perceptron", tmp_path)
    module = notebooks.real("perceptron")
    assert module.ALT in shown
    assert module.CAPTION in shown
    drawn = (tmp_path / "images" / "perceptron.svg").read_text(encoding="utf-8")
    assert drawn == module.svg()


@every_chapter
def test_the_code_is_the_chapters(made, chapter):
    """All of it, in order, the columns' cells aside; the solution's is hidden."""
    cells = code(made[1][chapter])
    for cell in cells:
        compile(cell.source, chapter, "exec")
    (solution,) = SOLUTION.findall(text_of(chapter))
    shown = [cell.source for cell in cells if "jupyter" not in cell.metadata]
    hidden = [cell.source for cell in cells if cell.metadata.get("jupyter")]
    assert [source for source in shown if "SideBySide" not in source] == [
        block.strip() for block in CELL.findall(text_of(chapter))
    ]
    assert hidden == [
        f"# Solution\n{block.strip()}" for block in support.blocks_of(solution, "python")
    ]


@every_chapter
def test_columns_are_a_cell_that_shows_them(made, chapter):
    named = re.findall(r"^```\{columns\} (\w+)", text_of(chapter), re.M)
    cells = [cell.source for cell in code(made[1][chapter]) if "SideBySide" in cell.source]
    assert len(cells) == len(named)
    for name, source in zip(named, cells, strict=True):
        start, _, last = source.rpartition("\n")
        names = {}
        exec(start, names)
        assert eval(last, names).concept.name == name


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_the_first_cell_chooses_a_backend(notebooks, tmp_path, monkeypatch, backend):
    monkeypatch.delenv("TETRAPLA_BACKEND", raising=False)
    cells = notebooks.notebook("03-perceptron", tmp_path, backend, execute=True).cells
    first, *_, solution = code(cells)
    last = first.source.splitlines()[-1]
    others = [f'"{name}"' for name in support.BACKENDS if name != backend]
    assert last.endswith(f'"{backend}"))  # or {", ".join(others)}')
    names = {}
    exec(first.source.replace(f'"{backend}"))', '"numpy"))'), names)
    assert names["b"].name == "numpy"
    assert solution.metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}


def read(shown):
    """Return the code in a table's cells, by its text."""
    cells = re.findall(r"<pre[^>]*>(.*?)</pre>", shown._repr_html_(), re.S)
    return [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in cells]


@pytest.mark.parametrize("name", ["adam", "training", "identity"])
def test_side_by_side_is_the_code(name):
    shown = SideBySide(name)
    assert repr(shown) == f"{concept(name).title}: numpy, torch, tf, jax"
    cells = read(shown)
    for at, column in enumerate(shown.columns):
        found = "\n".join(cell for cell in cells[at::4] if cell)
        assert re.sub(r"\n+", "\n", found).strip() == re.sub(r"\n+", "\n", column.text)


def test_a_library_stands_beside_its_framework():
    shown = SideBySide("dense", "torch", "jax", library=True)
    assert repr(shown).endswith(": torch, torch.nn, jax, jax.flax")
    assert shown._repr_html_().count("<table") == 2
    assert "nnx.Linear(" in "".join(read(shown))
    with pytest.raises(InvalidInputError, match="unknown backend 'mxnet'"):
        SideBySide("dense", "mxnet")
