"""The commands of the command line, a module each."""

from typing import Final

import click

HELP: Final = {"help_option_names": ["-h", "--help"]}


class Refusal(click.ClickException):
    """What the user asked for cannot be done: one line, exit code 2."""

    exit_code = 2
