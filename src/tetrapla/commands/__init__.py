"""The commands of the command line, a module each."""

from collections.abc import Sequence
from typing import Final

import click

HELP: Final = {"help_option_names": ["-h", "--help"]}


class Refusal(click.ClickException):
    """What the user asked for cannot be done: one line, exit code 2."""

    exit_code = 2


def words(
    ctx: click.Context, param: click.Parameter, value: Sequence[str]
) -> tuple[str, ...]:
    """Return the words of a repeatable option, each of which may be a list."""
    found = [word.strip() for text in value for word in text.split(",")]
    if value and not all(found):
        raise Refusal(f"--{param.name} has an empty name in {','.join(value)!r}")
    return tuple(dict.fromkeys(found))


def batch_size(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    """Read a number of examples, or "all"."""
    try:
        return "all" if value == "all" else int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number or 'all'") from None
