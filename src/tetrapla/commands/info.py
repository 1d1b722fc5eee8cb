"""`tetrapla info`: what is installed, and how it computes."""

import json
import platform

import click
from rich.console import Console

import tetrapla
from tetrapla.backends import BUILT_IN, available, label_of, labelled
from tetrapla.commands import HELP

Facts = dict[str, str]


@click.command(context_settings=HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Show versions, devices and precision settings.

    Every installed backend is loaded and asked, on a GPU too where it has
    one. A missing one is shown with the command that installs it.
    """
    here = {
        "tetrapla": tetrapla.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    backends = {}
    with Console(stderr=True).status("") as status:  # a spinner, on a terminal only
        for name in dict.fromkeys([*BUILT_IN, *available()]):
            status.update(f"asking {name}")
            backends[name] = _ask(name)
            if "gpu" in backends[name].get("devices", ""):
                on_gpu = label_of(name, "gpu")
                backends[on_gpu] = _ask(on_gpu)
    if as_json:
        click.echo(json.dumps({**here, "backends": backends}, indent=2))
        return
    _print(here)
    for name, facts in backends.items():
        click.secho(f"\n{name}", bold=True)
        _print(facts)


def _ask(label: str) -> Facts:
    try:
        return labelled(label).info()
    except Exception as error:  # a broken installation is what people come to find
        return {"not usable": str(error) or repr(error)}


def _print(facts: Facts) -> None:
    width = max(map(len, facts), default=0)
    for fact, value in facts.items():
        colour = "yellow" if fact == "not usable" else "cyan"
        click.echo(f"  {click.style(fact.ljust(width), fg=colour)}  {value}")
