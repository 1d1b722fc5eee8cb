"""The site's directives: a page shows the file as it is, and is built again with it."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import support

import tetrapla.impls
from tetrapla.reading import concepts, measured

ROOT = Path(tetrapla.impls.__file__).parent
CONF = """
import pathlib
from tetrapla.reading import source

source.folder = lambda: pathlib.Path(__file__).parents[1] / "impls"
extensions = ["myst_parser", "sphinx.ext.mathjax", "tetrapla.reading.directives"]
myst_heading_anchors = 3
"""
PAGE = """
# A page

```{columns} adam
:backends: torch, jax
```
"""
ATLAS = """---
orphan: true
---
# Atlas

## Where epsilon stands

## Adam's rate
"""


class Site:
    """A site of one page, of a copy of the implementations."""

    def __init__(self, folder):
        self.folder, self.docs = folder, folder / "docs"
        copied = folder / "impls"
        shutil.copytree(ROOT, copied, ignore=shutil.ignore_patterns("__pycache__"))
        self.file = copied / "torch" / "optimizers.py"
        self.docs.mkdir()
        (self.docs / "conf.py").write_text(CONF)
        (self.docs / "index.md").write_text(PAGE)

    def build(self, *settings):
        """Return the page, and what was complained of."""
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", "-q", "-b", "html", "--no-color"]
            + [f"-D{setting}" for setting in settings]
            + [str(self.docs), str(self.folder / "out")],
            capture_output=True,
            text=True,
            check=False,
        )
        page = self.folder / "out" / "index.html"
        return page.read_text(encoding="utf-8") if page.is_file() else "", done.stderr


@pytest.fixture
def site(tmp_path):
    if find_spec("sphinx") is None or find_spec("myst_parser") is None:
        support.missing("the site needs Sphinx: pip install 'tetrapla[docs]'")
    return Site(tmp_path)


def test_a_changed_line_changes_the_page(site):
    page, complaints = site.build()
    assert (complaints, page.count("changed_line")) == ("", 0)
    for row in map(str, range(1, 7)):  # the steps of Adam, in both columns
        assert page.count(f'data-row="{row}"') == 2
    assert 'id="columns-adam-torch"' in page
    text = site.file.read_text(encoding="utf-8")
    site.file.write_text(text.replace("m_hat, v_hat = m / c1", "changed_line = m / c1"))
    page, complaints = site.build()
    assert (complaints, page.count("changed_line")) == ("", 1)


def test_parity_and_the_atlas_stand_below(site):
    cell = {"component": "optimizer/adam", "backend": "torch", "dtype": "float32"}
    cell |= {"status": "agrees", "worst": 0.875, "median": 0.01, "ulps": 0.5}
    report = {"tetrapla": "9", "date": "2001-02-03", "backends": {"torch": "7.7"}}
    report["components"] = [cell]
    row = {"title": "Where epsilon stands", "answers": {"torch": 1.0, "keras": 2.0}}
    row |= {"example": "the first_step", "why": "Because m*v.", "same": False}
    alike = {"title": "Adam's rate", "answers": {"torch": 1.0, "keras": 1.0}}
    alike |= {"example": "none", "why": "All have it.", "same": True}
    rows = {"rows": {"adam-epsilon-place": row, "adam-amsgrad": alike}}
    (site.docs / "parity.json").write_text(json.dumps(report))
    (site.docs / "atlas.json").write_text(json.dumps(rows))
    (site.docs / "_generated").mkdir()
    (site.docs / "_generated" / "atlas.md").write_text(ATLAS)
    settings = "tetrapla_parity=parity.json", "tetrapla_atlas=atlas.json"
    page, complaints = site.build(*settings)
    assert complaints == ""
    assert "0.88 of the bound, 0.5 ULP" in page
    assert "2001-02-03" in page
    assert "torch 7.7" in page
    assert 'href="_generated/atlas.html#where-epsilon-stands"' in page
    assert "the first_step: <strong>torch 1, keras 2</strong>. Because m*v." in page
    assert "The libraries do the same here: " in page


def test_a_figure_that_would_alarm_is_explained():
    concept, names = concepts.concept("relu"), ["torch", "tf", "torch.nn"]
    figures = [("agrees", 0.25, 0.5), ("agrees", 0.9999999, 8.8e6)]
    figures.append(("known deviation", 0.5, 2.0))
    report = {"tetrapla": "9", "date": "2001-02-03", "backends": {}, "components": []}
    for name, (status, worst, ulps) in zip(names, figures, strict=True):
        cell = {"component": "activation/relu", "backend": name, "dtype": "float32"}
        cell |= {"status": status, "worst": worst, "ulps": ulps}
        report["components"].append(cell)
    table = measured.parity(report, concept, names)
    assert "<td>just below 1 of the bound, 8.8e+06 ULP</td>" in table
    assert "<td>≈ 0.5 of the bound" in table
    assert "≈: a known deviation" in table
    assert "flush subnormals" in table
    table = measured.parity(report, concept, names[:1])
    assert "≈" not in table
    assert "flush" not in table


def test_a_page_needs_a_formula_once(site):
    again = PAGE.replace("# A page", "").replace("\n```\n", "\n:no-formula:\n```\n")
    (site.docs / "index.md").write_text(PAGE + again)
    page, complaints = site.build()
    assert complaints == ""
    assert page.count('<div class="math') == 1
    assert 'id="columns-adam-2"' in page


def test_what_is_not_there_is_named(site):
    blocks = {
        "```{columns} adm\n```": "did you mean adam",
        "```{columns} adam\n:backends: mxnet\n```": "there is no column mxnet",
        "```{drawn} nothing\n```": "there is no drawing nothing",
    }
    (site.docs / "index.md").write_text("\n\n".join(["# A page", *blocks]))
    _, complaints = site.build()
    for message in blocks.values():
        assert message in complaints
