"""The site: `make site` builds it into build/site, which opens from a folder."""

import hashlib
import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "drawings"))  # what the drawings share

project = "tetrapla"
author = "the tetrapla authors"
copyright = "the tetrapla authors"
version = release = version_of("tetrapla")
html_title = "tetrapla"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx-mathjax-offline",
    "tetrapla.reading.directives",
]
exclude_patterns = ["drawings", "checks"]
suppress_warnings = ["mystnb.unknown_mime_type"]


def code():
    """Return a name for the code as it is now: another line, another name."""
    every = hashlib.sha256()
    for folder in ("src", "impls"):
        for path in sorted((HERE.parent / folder).rglob("*.py")):
            every.update(path.read_bytes())
    return every.hexdigest()[:16]


# Chapters are notebooks, and run when the site is built, if they or the code
# have changed. One that fails shows where, and is a warning: an error of make.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "notebooks-cache" / code())
nb_execution_timeout = 300
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3

tetrapla_parity = "_generated/parity.json"
tetrapla_atlas = "_generated/atlas.json"

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": [],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_show_search_summary = False  # a page from a folder may not fetch others
html_show_sourcelink = False
html_show_sphinx = False
html_sidebars = {"**": ["sidebar-nav-bs"], "index": []}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = False
nitpicky = False


# The specification's docstrings are formulas, laid out as text: as they stand.
LAID_OUT = ("activations", "layers", "losses", "optimizers", "schedules")


def as_it_stands(app, what, name, obj, options, lines):
    """Make the docstring of a formula a literal block."""
    module = name if what == "module" else getattr(obj, "__module__", "") or ""
    if what in ("module", "class") and module.rpartition(".")[2] in LAID_OUT:
        lines[:] = [".. code-block:: text", "", *(f"    {line}" for line in lines), ""]


def setup(app):
    """Connect the above before napoleon looks at the text."""
    app.connect("autodoc-process-docstring", as_it_stands, priority=400)
