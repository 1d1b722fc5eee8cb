"""The atlas as Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from tetrapla.atlas.row import Observed, alike, listed, shown


def lines(found: Sequence[Observed], versions: Mapping[str, str]) -> Iterator[str]:
    """Yield the whole atlas."""
    yield "# How the libraries differ"
    yield ""
    yield f"Observed by `tetrapla atlas` with {listed(versions)}."
    for topic in dict.fromkeys(o.row.topic for o in found):
        yield ""
        yield f"## {topic.capitalize()}"
        for o in found:
            if o.row.topic == topic:
                yield ""
                yield from _row(o)


def _row(o: Observed) -> Iterator[str]:
    answers = (shown(a).replace("|", r"\|") for a in o.answers.values())
    yield f"### {o.row.title}"
    yield ""
    yield f"On {o.row.example}:"
    yield ""
    yield f"| {' | '.join(o.answers)} |"
    yield "|" + "---|" * len(o.answers)
    yield f"| {' | '.join(answers)} |"
    yield ""
    yield o.row.why
    if len(o.aligned) > 1:
        equal = "Equal" if alike(o.aligned.values()) else "Not equal"
        codes = (_code(o, name) for name in o.aligned)
        yield f"{equal} with: {'; '.join(codes)}."
    elif o.row.write:
        yield (
            "Write: "
            + "; ".join(f"{name}: `{code}`" for name, code in o.row.write.items())
            + "."
        )
    if o.row.never:
        yield f"Else: {o.row.never}"
    yield ""
    yield ", ".join(f"<{link}>" for link in o.row.links)


def _code(o: Observed, name: str) -> str:
    code = o.row.write.get(name)
    return f"{name}: `{code}`" if code else f"{name} as it comes"
