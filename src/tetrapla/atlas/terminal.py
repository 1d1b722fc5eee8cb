"""The atlas as lines for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

import click

from tetrapla.atlas.question import STEPS, Optimizers
from tetrapla.atlas.row import Observed, alike, listed, shown

WIDTH = 88


def optimizer(found: Optimizers) -> Iterator[str]:
    """Yield the answer to a question about an optimizer."""
    a, b = found.libraries
    verdict = "the same" if found.same else "not the same"
    yield click.style(f"{found.name} of {a} and of {b}: {verdict}", bold=True)
    for library, code, preset, own in zip(
        found.libraries, found.code, found.presets, found.own, strict=True
    ):
        yield f"  {library:6} {code}  = {preset}"
        if own.status != "native":
            yield f"         {own.status}: {own.reason}"
    if "jax" in found.libraries:
        yield "  Optax has no default learning rate: what stands here is tetrapla's"
    for d in found.differences:
        beside = f"  (only with {d.only_with})" if d.only_with else ""
        yield f"  {d.field}: {a} {d.values[0]}, {b} {d.values[1]}{beside}"
    yield click.style("What to write", bold=True)
    for way, other, preset in zip(found.ways, (b, a), reversed(found.presets), strict=True):
        if way.status == "no":
            yield f"  {way.library} as {other}'s: no. {way.reason}: {preset}"
            continue
        how = f" ({way.reason})" if way.status == "composed" else ""
        yield f"  {way.library} as {other}'s: {way.code}{how}"
        tried = f"{way.apart:.1e} apart after {STEPS} steps in float64"
        yield f"         tried beside it: {tried}"


def row(o: Observed, brief: bool = False) -> Iterator[str]:
    """Yield a row for people; `brief` says only what one screen has room for."""
    answers = ", ".join(f"{name} {shown(a)}" for name, a in o.answers.items())
    yield click.style(f"{o.sign} {o.row.title}", bold=True)
    yield f"    {o.row.example}: {answers}" + (
        f"; {o.apart:.3g} apart" if o.apart and not brief else ""
    )
    why = o.row.why
    yield from _wrapped(f"{why.split('. ')[0].rstrip('.')}." if brief else why, "    ")
    if len(o.aligned) > 1:
        equal = "equal" if alike(o.aligned.values()) else "NOT equal"
        yield f"    {equal} with: " + "; ".join(
            f"{name}: {o.row.write[name]}" if name in o.row.write else f"{name} as it comes"
            for name in o.aligned
        )
    elif o.row.write:
        yield "    write: " + "; ".join(
            f"{name}: {code}" for name, code in o.row.write.items() if name in o.answers
        )
    if o.row.never and not (brief and o.row.write):
        yield from _wrapped(f"else: {o.row.never}", "    ")
    yield click.style(
        f"    {'  '.join(o.row.links[:1] if brief else o.row.links)}", dim=True
    )


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def lines(found: Sequence[Observed], versions: Mapping[str, str]) -> Iterator[str]:
    """Yield the whole atlas."""
    for topic in dict.fromkeys(o.row.topic for o in found):
        yield click.style(topic.upper(), bold=True)
        for o in found:
            if o.row.topic == topic:
                yield from row(o)
        yield ""
    differ = sum(not o.same for o in found)
    yield f"{len(found)} rows, {differ} of them differ. Seen with {listed(versions)}."
