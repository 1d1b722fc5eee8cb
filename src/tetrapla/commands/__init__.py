"""The commands of the command line, a module each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

HELP: Final = {"help_option_names": ["-h", "--help"]}
FILE: Final = click.Path(dir_okay=False, path_type=Path)


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


def _batch_size(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    try:
        return "all" if value == "all" else int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number or 'all'") from None


batch_size = click.option(
    "--batch-size",
    default="32",
    metavar="N|all",
    callback=_batch_size,
    help="Examples per step.",
)
json_file = click.option(
    "--json",
    "path",
    type=FILE,
    metavar="FILE",
    help="Write everything that was measured to FILE.",
)


def check_folders(*files: Path | None) -> None:
    """Refuse files that cannot be written: before the work, and not after it."""
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise Refusal(f"there is no folder {str(file.parent)!r} for {file.name}")


@contextmanager
def written(file: Path) -> Iterator[None]:
    """Say in one line why a file could not be written."""
    try:
        yield
    except OSError as error:
        raise Refusal(f"cannot write {file}: {error.strerror}") from error
