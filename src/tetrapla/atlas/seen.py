"""What the rows said when they were last written down, to notice a change."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tetrapla.atlas.row import BACKENDS, DISTRIBUTIONS, LIBRARIES, Answer, Observed, of_here
from tetrapla.backends import available
from tetrapla.files import write_atomically

FILE = Path(__file__).with_name("seen.json")


def installed() -> tuple[str, ...]:
    """Return the libraries that are here; imports none."""
    here = available()
    return tuple(name for name in LIBRARIES if BACKENDS[name] in here)


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of the libraries' distributions."""
    return {
        d: metadata.version(d).partition("+")[0]  # which build is no difference
        for name in libraries
        for d in DISTRIBUTIONS[name]
    }


def document(found: Iterable[Observed], libraries: Iterable[str]) -> dict[str, Any]:
    """Return the atlas as plain values; NaN and infinities are words."""
    return {
        "versions": versions(libraries),
        "rows": {
            o.row.name: {
                "topic": o.row.topic,
                "title": o.row.title,
                "example": o.row.example,
                "answers": _plain(o.answers),
                "same": o.same,
                "aligned": _plain(o.aligned),
                "why": o.row.why,
                "write": dict(o.row.write),
                "never": o.row.never,
                "links": list(o.row.links),
            }
            for o in found
        },
    }


def _plain(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    return {
        name: a if isinstance(a, str) or math.isfinite(a) else str(a)
        for name, a in answers.items()
    }


def record(found: Iterable[Observed], libraries: Iterable[str]) -> None:
    """Write down what the rows say now; of a GPU's answers, what was there before."""
    before = json.loads(FILE.read_text())["rows"]
    rows = {
        o.row.name: {
            kind: {
                name: before[o.row.name][kind][name] if of_here(a) else a
                for name, a in _plain(now).items()
            }
            for kind, now in (("answers", o.answers), ("aligned", o.aligned))
        }
        for o in found
    }
    text = json.dumps({"versions": versions(libraries), "rows": rows}, indent=1)
    write_atomically(FILE, (text + "\n").encode())


def changes(found: Iterable[Observed]) -> Iterator[str]:
    """Yield what is no longer as it was written down, which was without a GPU."""
    seen = json.loads(FILE.read_text())
    for o in found:
        name = o.row.name
        if name not in seen["rows"]:
            yield f"the atlas is out of date: {name} was never written down"
            continue
        for kind, now in (("answers", o.answers), ("aligned", o.aligned)):
            before = seen["rows"][name][kind]
            for library, answer in _plain(now).items():
                if of_here(answer):
                    continue
                if not _close(before.get(library), answer):
                    yield (
                        f"the atlas is out of date: {name}: {library} answered "
                        f"{before.get(library)}, now {answer}"
                    )


def _close(before: Any, now: Answer) -> bool:
    """Return whether two answers are one, but for the machine's rounding."""
    if isinstance(before, str) or isinstance(now, str) or before is None:
        return bool(before == now)
    # Some answers are themselves rounding, 6.7e-6 for one: their last digits are
    # the machine's. A changed default or formula moves more.
    return math.isclose(before, now, rel_tol=1e-3, abs_tol=1e-15)
