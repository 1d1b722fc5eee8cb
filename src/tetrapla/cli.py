"""The command `tetrapla`: a table of commands, each imported when it runs.

`tetrapla --help` imports neither NumPy nor rich nor a framework: what it
prints about the commands is in the table.
"""

import os
from importlib import import_module
from typing import Any

import click

from tetrapla import __version__
from tetrapla.commands import HELP, Refusal

# name -> (module, one line of help); the module has a click command `name`
COMMANDS = {
    "parity": ("tetrapla.commands.parity", "Check that the implementations agree."),
    "read": ("tetrapla.commands.read", "Read the implementations side by side."),
    "atlas": ("tetrapla.commands.atlas", "Show how the frameworks' libraries differ."),
    "drift": ("tetrapla.commands.drift", "Measure how far whole runs drift apart."),
    "bench": ("tetrapla.commands.bench", "Measure how fast training is."),
    "sweep": ("tetrapla.commands.sweep", "Measure an activation over float32's numbers."),
    "train": ("tetrapla.commands.train", "Train a network on real data."),
    "rates": ("tetrapla.commands.rates", "Try many learning rates at once."),
    "info": ("tetrapla.commands.info", "Show versions, devices and precision settings."),
}

INTERRUPTED = 130  # 128 + SIGINT, as shells count


class LazyGroup(click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except (ValueError, ImportError) as error:
            if isinstance(error, _expected()):
                raise Refusal(str(error)) from error
            raise


def _expected() -> tuple[type[Exception], ...]:
    from tetrapla.data import MissingExtraError
    from tetrapla.spec import BackendUnavailableError, InvalidInputError

    return InvalidInputError, BackendUnavailableError, MissingExtraError


@click.group(cls=LazyGroup, context_settings=HELP)
@click.version_option(__version__, prog_name="tetrapla", message="%(prog)s %(version)s")
def main() -> None:
    """One specification, implemented in NumPy, PyTorch, TensorFlow and JAX."""
    # TensorFlow's C++ greets on stderr. The process is ours, the user's wish comes first.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
