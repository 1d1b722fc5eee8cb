"""Sphinx directives: `columns` shows a concept's code, `drawn` a figure.

    ```{columns} adam
    :backends: torch, jax
    :library:
    ```

shows the formula, the columns, and below them the concept's figures of parity
and rows of the atlas; `:bare:` leaves those out. A page that shows a concept
twice needs its formula once: `:no-formula:` leaves it out. A page is built again
when a file that it shows has changed. Both are registered by `setup`: put
"tetrapla.reading.directives" among the extensions of conf.py.
"""

import importlib.util
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from mdit_py_plugins.anchors.index import slugify
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from tetrapla.reading import html, measured, source
from tetrapla.reading.concepts import Concept, concept
from tetrapla.spec import InvalidInputError

HERE = Path(__file__).parent
ATLAS = "_generated/atlas.md"  # the atlas as a page, in the documentation


class Columns(SphinxDirective):
    """A concept side by side."""

    required_arguments = 1
    option_spec: ClassVar[Any] = {
        "backends": directives.unchanged,
        "library": directives.flag,
        "bare": directives.flag,
        "no-formula": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        try:
            found = concept(self.arguments[0])
        except InvalidInputError as error:
            raise self.error(str(error)) from error
        named = self.options.get("backends", ", ".join(source.COLUMNS))
        names = [name.strip() for name in named.split(",")]
        if "library" in self.options:
            names = list(source.beside(n for n in names if n in source.LIBRARY))
        if unknown := [name for name in names if name not in source.FOLDERS]:
            raise self.error(f"there is no column {', '.join(unknown)}")
        shown = found.of(names)
        files = {source.path_of(block) for each in shown for block in each.blocks}
        for path in files.union(HERE.glob("*.py")):
            self.env.note_dependency(str(path))
        formula: list[nodes.Node] = []
        if "no-formula" not in self.options:
            text = f"```{{math}}\n{found.formula}\n```"
            formula = self.parse_text_to_nodes(text)
        code = html.columns(found, shown, self._key(found.name))
        below = [] if "bare" in self.options else self._below(found, names)
        return [*formula, nodes.raw("", code, format="html"), *below]

    def _key(self, name: str) -> str:
        """Return what tells this one from those before it on the page."""
        count = int(self.env.temp_data.get(f"tetrapla {name}") or 0) + 1
        self.env.temp_data[f"tetrapla {name}"] = count
        return "" if count == 1 else f"-{count}"

    def _below(self, found: Concept, names: list[str]) -> list[nodes.Node]:
        made: list[nodes.Node] = []
        if path := self._file("tetrapla_parity"):
            table = measured.parity(measured.opened(path), found, names)
            made += [nodes.raw("", table, format="html")] if table else []
        if path := self._file("tetrapla_atlas"):
            text = _listed(measured.atlas(measured.opened(path), found))
            made += self.parse_text_to_nodes(text) if text else []
        return made

    def _file(self, setting: str) -> Path | None:
        given = self.config[setting]
        if not given:
            return None
        path = Path(self.env.srcdir, given)
        if not path.is_file():
            raise self.error(f"{setting}: there is no file {given}: build with `make site`")
        self.env.note_dependency(str(path))
        return path


def _listed(rows: Iterable[measured.Seen]) -> str:
    """Return rows of the atlas as Markdown: what differs, then what does not."""
    differ, same = [], []
    for row in rows:
        link = f"[{row.title}](/{ATLAS}#{slugify(row.title)})"
        if row.same:
            same.append(link)
        else:
            said = f"{_safe(row.example)}: **{_safe(row.answers)}**. {_safe(row.why)}"
            differ.append(f"- {link}, {said}")
    lines = ["Where the libraries differ:", "", *differ, ""] if differ else []
    lines += [f"The libraries do the same here: {'; '.join(same)}."] if same else []
    return "\n".join(lines)


def _safe(text: str) -> str:
    return re.sub(r"[\\`*_\[<]", r"\\\g<0>", text)


class Drawn(SphinxDirective):
    """A figure that a module of the documentation draws, as SVG."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        folder = Path(self.env.srcdir, self.config["tetrapla_drawings"])
        path = folder / f"{name}.py"
        if not path.is_file():
            raise self.error(f"there is no drawing {name}: {path} is missing")
        # what it shares with others, and what it runs
        for each in (path, *folder.glob("_*.py"), *source.folder().glob("*/*.py")):
            self.env.note_dependency(str(each))
        spec = importlib.util.spec_from_file_location(f"tetrapla_drawing_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        target = Path(self.env.app.outdir, "_images", f"{name}.svg")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(module.svg(), encoding="utf-8")
        to_root = "../" * self.env.docname.count("/")
        image = nodes.raw(
            "",
            '<figure class="tp-drawing"><img class="tp-drawn" '
            f'src="{to_root}_images/{name}.svg" alt="{escape(module.ALT)}">'
            f"<figcaption>{escape(module.CAPTION)}</figcaption></figure>",
            format="html",
        )
        return [image]


def add_static(app: Sphinx) -> None:
    """Let the page's style and script be found."""
    if not (HERE / "static" / "columns.js").is_file():
        raise ExtensionError("tetrapla was installed without its columns.js")
    app.config.html_static_path.append(str(HERE / "static"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives, their settings, style and script."""
    app.add_directive("columns", Columns)
    app.add_directive("drawn", Drawn)
    app.add_config_value("tetrapla_parity", "", "env")
    app.add_config_value("tetrapla_atlas", "", "env")
    app.add_config_value("tetrapla_drawings", "drawings", "env")
    app.connect("builder-inited", add_static)
    app.add_css_file("columns.css")
    app.add_js_file("columns.js")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
