"""Elements of HTML and SVG as strings, escaped by construction."""

import re
from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """Text that is markup already; every other string is escaped."""

    __slots__ = ()


def element(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element; `class_` is class, `stroke_width` is stroke-width.

    An attribute that is None or False is left out, one that is True has no
    value.

    >>> element("a", "1 < 2", Markup("&nbsp;"), href="#top", class_="up")
    '<a href="#top" class="up">1 &lt; 2&nbsp;</a>'
    """
    named = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{named}>{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """Return the children one after the other; None is nothing."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(str(child), quote=False)
            for child in children
            if child is not None
        )
    )


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


# What the parts of the page share.


def place(*words: str) -> str:
    """Return an id that people can read, the same in every report.

    >>> place("cell", "loss/bce on logits", "numpy")
    'cell/loss-bce-on-logits/numpy'
    """
    return "/".join(re.sub(r"[^A-Za-z0-9_.-]", "-", word) for word in words)


def link(to: str, *children: object) -> Markup:
    """Return a link to a place of the page."""
    return element("a", *children, href=f"#{to}")


def section(where: str, heading: str, *children: object) -> Markup:
    """Return a part of the page with its heading."""
    return element("section", element("h2", heading), *children, id=where)


def mark(good: bool) -> Markup:
    """Return a sign for the eye, and a word for who has it read out."""
    sign, word, kind = ("✓", "agrees", "good") if good else ("✗", "differs", "bad")
    return element("span", sign, role="img", aria_label=word, class_=kind)


def cell(*children: object) -> Markup:
    """Return a cell of words."""
    return element("td", *children)


def number(*children: object) -> Markup:
    """Return a cell of digits."""
    return element("td", *children, class_="number")


def row(name: object, *cells: Markup, class_: str | None = None) -> Markup:
    """Return a table's row, which `name` is the heading of."""
    return element("tr", element("th", name, scope="row"), *cells, class_=class_)


def table(
    titles: Sequence[object],
    rows: Iterable[Markup],
    class_: str = "plain",
    caption: Markup | None = None,
) -> Markup:
    """Return a table that scrolls by itself where it is wider than the page."""
    head = (element("th", t, scope="col") if t else element("td") for t in titles)
    whole = element(
        "table",
        caption,
        element("thead", element("tr", *head)) if titles else None,
        element("tbody", *rows),
        class_=class_,
    )
    return element("div", whole, class_="wide")
