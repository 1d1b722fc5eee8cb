"""`tetrapla read`: a concept's implementations side by side.

Exit code 0: shown; 2: misuse.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tetrapla.commands import HELP, Refusal, words

if TYPE_CHECKING:
    from tetrapla.reading.concepts import Concept
    from tetrapla.reading.source import Column


@click.command(context_settings=HELP)
@click.argument("name", required=False, metavar="[CONCEPT]")
@click.option(
    "--backends",
    multiple=True,
    callback=words,
    metavar="NAME,...",
    help="Which columns, in which order: numpy, torch, tf, jax, torch.nn, tf.keras, "
    "jax.flax; by default the first four.",
)
@click.option(
    "--library", is_flag=True, help="Beside each column the one that calls its library."
)
@click.option(
    "--diff",
    "pair",
    nargs=2,
    metavar="A B",
    help="Two columns line by line: what they say otherwise.",
)
@click.option(
    "--width", type=click.IntRange(min=20), help="Columns of the terminal to use."
)
@click.option(
    "--pager", is_flag=True, help="Show it in the pager that $PAGER names, else less."
)
def read(
    name: str | None,
    backends: tuple[str, ...],
    library: bool,
    pair: tuple[str, str] | None,
    width: int | None,
    pager: bool,
) -> None:
    """Read the implementations of a concept side by side.

    The code is that of the files that the tests run, as they are now; the
    columns are aligned by the steps of the algorithm. Without CONCEPT: what
    there is to read. Colours are left out in a pipe; FORCE_COLOR=1 keeps them,
    as in `FORCE_COLOR=1 tetrapla read adam --width 300 | less -RS`.
    """
    from rich.console import Console

    from tetrapla.reading import terminal
    from tetrapla.reading.concepts import concept
    from tetrapla.reading.source import LIBRARY
    from tetrapla.spec import InvalidInputError

    console = Console(width=width, highlight=False)
    if name is None:
        if backends or library or pair:
            raise Refusal("say what to read: `tetrapla read` lists it")
        shown = terminal.contents(console.width)
    else:
        try:
            found = concept(name)
        except InvalidInputError as error:
            raise Refusal(str(error)) from error
        if pair and (backends or library):
            raise Refusal("--diff names its two columns itself")
        columns = _columns(found, pair or _named(backends, library), pair or backends)
        if pair:
            one, other = columns
            shown = terminal.difference(found, one, other, console.width)
        else:
            alone = library and not any(c.backend in LIBRARY.values() for c in columns)
            note = terminal.without_library(found) if alone else ""
            shown = terminal.page(found, columns, console.width, note)
    if not pager:
        console.print(*shown, sep="\n")
        return
    with console.capture() as captured:
        console.print(*shown, sep="\n")
    # by itself click colours what goes to less, if LESS lets it
    color = False if console.no_color else "FORCE_COLOR" in os.environ or None
    with _less():
        click.echo_via_pager(captured.get().rstrip("\n"), color)


@contextmanager
def _less() -> Iterator[None]:
    """Let less show colours, and not fold lines; what the user has set stays."""
    if "LESS" in os.environ:
        yield
        return
    os.environ["LESS"] = "-RS"
    try:
        yield
    finally:
        del os.environ["LESS"]


def _named(backends: tuple[str, ...], library: bool) -> tuple[str, ...]:
    from tetrapla.reading.source import COLUMNS, LIBRARY, beside

    if library:
        return beside(backends or LIBRARY)
    return backends or COLUMNS


def _columns(
    concept: "Concept", names: tuple[str, ...], asked: tuple[str, ...]
) -> "list[Column]":
    """Return the columns; refuses one that was asked for and is not there."""
    from tetrapla.reading.source import FOLDERS

    for name in names:
        if name not in FOLDERS:
            raise Refusal(f"unknown backend {name!r}; there are {', '.join(FOLDERS)}")
    columns = concept.of(names)
    there = {each.backend for each in columns}
    if lacking := [name for name in asked if name not in there]:
        raise Refusal(f"{concept.name} is not in the columns of {', '.join(lacking)}")
    return columns
