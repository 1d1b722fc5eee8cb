"""`tetrapla atlas`: how the installed libraries differ, and what to write.

Exit code 0: answered; 1: with --check, a library is not what it was; 2: misuse.
"""

import json

import click

from tetrapla.commands import HELP, Refusal


@click.command(context_settings=HELP)
@click.argument("first", required=False, metavar="[LIBRARY")
@click.argument("second", required=False, metavar="LIBRARY")
@click.argument("word", required=False, metavar="WORD")
@click.argument("settings", nargs=-1, metavar="NAME=VALUE ...]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--check", is_flag=True, help="Say what is no longer as it was.")
@click.option("--record", is_flag=True, hidden=True, help="Write it down as it is.")
def atlas(
    first: str | None,
    second: str | None,
    word: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    as_markdown: bool,
    check: bool,
    record: bool,
) -> None:
    """Show how PyTorch, Keras and JAX's libraries differ.

    Every number is the installed library's own, asked for now. `tetrapla
    atlas` prints all rows; `tetrapla atlas torch keras adam` answers one
    question: same or not, why, and what to write to make them equal. WORD is an
    optimizer, a loss, a layer, an activation, or what a row is about. An
    optimizer may have settings: `tetrapla atlas torch jax adam weight_decay=1e-4`.
    """
    if (as_json, as_markdown, check, record).count(True) > 1:
        raise Refusal("--json, --markdown and --check are three answers: choose one")
    if first is not None:
        if as_json or as_markdown or check or record:
            raise Refusal("--json, --markdown and --check print the whole atlas")
        _one(first, second, word, settings)
        return
    from tetrapla.atlas import markdown, seen, terminal
    from tetrapla.atlas.row import observe
    from tetrapla.atlas.rows import ROWS

    libraries = seen.installed()
    if not libraries:
        raise Refusal("none of PyTorch, Keras and JAX is here: pip install 'tetrapla[all]'")
    found = [o for row in ROWS if (o := observe(row, libraries)).answers]
    if check:
        changed = list(seen.changes(found))
        for line in changed:
            click.echo(line)
        click.echo(f"{len(found)} rows, {len(changed)} answers have changed")
        click.get_current_context().exit(1 if changed else 0)
    if record:  # for who maintains the atlas: make atlas
        seen.record(found, libraries)
        return
    if as_json:
        click.echo(json.dumps(seen.document(found, libraries), indent=2))
        return
    page = markdown if as_markdown else terminal
    for line in page.lines(found, seen.versions(libraries)):
        click.echo(line)


def _libraries(first: str, second: str | None) -> tuple[str, str]:
    from tetrapla.atlas.question import NAMES
    from tetrapla.atlas.seen import installed

    if second is None:
        raise Refusal("ask about two libraries, as in: tetrapla atlas torch keras adam")
    pair = []
    for name in (first, second):
        if name.lower() not in NAMES:
            raise Refusal(f"unknown library {name!r}; there are {', '.join(NAMES)}")
        pair.append(NAMES[name.lower()])
        if pair[-1] not in installed():
            raise Refusal(f"{name} is not installed: pip install 'tetrapla[all]'")
    if pair[0] == pair[1]:
        raise Refusal(f"{first} and {second} are one library here: name two")
    return pair[0], pair[1]


def _one(
    first: str, second: str | None, word: str | None, settings: tuple[str, ...]
) -> None:
    from tetrapla.atlas import question, terminal
    from tetrapla.atlas.row import listed
    from tetrapla.atlas.rows import words
    from tetrapla.atlas.seen import versions
    from tetrapla.spec import OPTIMIZERS, InvalidInputError

    libraries = _libraries(first, second)
    if word is None:
        raise Refusal("ask about something, as in: tetrapla atlas torch keras adam")
    name = question.optimizer_named(word)
    found = question.rows(word, libraries)
    if name is None and not found:
        known = ", ".join(dict.fromkeys([*OPTIMIZERS, *words()]))
        raise Refusal(f"no row is about {word!r}; there are {known}")
    if settings and name is None:
        raise Refusal(f"settings are an optimizer's, and {word!r} is none")
    if name is not None:
        try:
            given = dict(question.setting(text) for text in settings)
            answer = question.optimizers(name, libraries, given)
        except InvalidInputError as error:
            raise Refusal(str(error)) from error
        for line in terminal.optimizer(answer):
            click.echo(line)
        if found:
            click.echo()
    for o in found:
        for line in terminal.row(o, brief=name is not None):
            click.echo(line)
    click.secho(f"Seen with {listed(versions(libraries))}.", dim=True)
