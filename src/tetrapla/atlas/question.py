"""Answer one question: two libraries, and an optimizer or another word."""

from ast import literal_eval
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tetrapla.atlas.code import PRESETS, written
from tetrapla.atlas.row import BACKENDS, Observed, observe, plain
from tetrapla.atlas.rows import about
from tetrapla.backends import load
from tetrapla.spec import OPTIMIZERS, InvalidInputError, Optimizer, Support

# What readers call the libraries.
NAMES = {
    "torch": "torch",
    "pytorch": "torch",
    "torch.nn": "torch",
    "keras": "keras",
    "tf": "keras",
    "tensorflow": "keras",
    "tf.keras": "keras",
    "jax": "jax",
    "optax": "jax",
    "flax": "jax",
    "jax.flax": "jax",
}

# Fields that matter only beside another: velocity beside momentum ...
ONLY_WITH = {
    "velocity": "momentum",
    "nesterov": "momentum",
    "decay": "weight_decay",
    "amsgrad_max": "amsgrad",
}
STEPS = 20


@dataclass(frozen=True)
class Difference:
    """A field of the specification in which two presets differ."""

    field: str
    values: tuple[str, str]
    only_with: str = ""  # the setting without which it does not matter


@dataclass(frozen=True)
class Way:
    """How one library does what the other does by default."""

    library: str
    status: str  # "native", "composed" or "no"
    code: str
    reason: str
    apart: float | None  # relative, after some steps of both


@dataclass(frozen=True)
class Optimizers:
    """The answer to a question about an optimizer."""

    name: str
    libraries: tuple[str, str]
    code: tuple[str, str]
    presets: tuple[str, str]
    differences: tuple[Difference, ...]
    ways: tuple[Way, Way]
    own: tuple[Support, Support]  # of each library for its own preset, so given

    @property
    def same(self) -> bool:
        """Whether both do the same where nothing but the name is written."""
        return all(d.only_with for d in self.differences)


def optimizers(
    name: str, libraries: tuple[str, str], settings: Mapping[str, Any] | None = None
) -> Optimizers:
    """Return how two libraries' optimizers of a name differ, and what to write.

    `settings` are fields of the specification, given to both.
    """
    kind = OPTIMIZERS[name]
    given = dict(settings or {})
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for field in given:
        if field not in known:
            raise InvalidInputError(
                f"{name} has no setting {field!r}; it has {', '.join(known)}"
            )
    a, b = (getattr(kind, PRESETS[library])(**given) for library in libraries)
    said = ", ".join(f"{field}={value!r}" for field, value in given.items())
    return Optimizers(
        name,
        libraries,
        (written(libraries[0], a), written(libraries[1], b)),
        tuple(f"tp.{kind.__name__}.{PRESETS[library]}({said})" for library in libraries),  # type: ignore[arg-type]
        tuple(_differences(a, b)),
        (way(libraries[0], libraries[1], b), way(libraries[1], libraries[0], a)),
        tuple(
            load(BACKENDS[x]).supports(y) for x, y in zip(libraries, (a, b), strict=True)
        ),  # type: ignore[arg-type]
    )


def setting(text: str) -> tuple[str, Any]:
    """Return what a word such as momentum=0.9 says.

    >>> setting("amsgrad=True"), setting("decay=coupled")
    (('amsgrad', True), ('decay', 'coupled'))
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidInputError(f"a setting is NAME=VALUE, as momentum=0.9; got {text!r}")
    try:
        return name, literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _differences(a: Optimizer, b: Optimizer) -> Iterator[Difference]:
    for field in fields(a):  # type: ignore[arg-type]
        values = getattr(a, field.name), getattr(b, field.name)
        if values[0] != values[1]:
            beside = ONLY_WITH.get(field.name, "")
            needed = beside and not any(getattr(x, beside) for x in (a, b))
            yield Difference(
                field.name, (str(values[0]), str(values[1])), beside if needed else ""
            )


def way(library: str, other: str, spec: Optimizer) -> Way:
    """Return how a library does what the other does: its code, tried beside it."""
    backend = load(BACKENDS[library], dtype="float64")
    support = backend.supports(spec)
    if support.status == "no":
        return Way(library, "no", "", support.reason, None)
    return Way(
        library,
        support.status,
        written(library, spec),
        support.reason,
        _apart(spec, library, other),
    )


def _apart(spec: Optimizer, library: str, other: str) -> float:
    """Return the largest relative difference after some steps of both."""
    draws = np.random.default_rng(0).standard_normal((STEPS, 8))
    ends = []
    for name in (library, other):
        backend = load(BACKENDS[name], dtype="float64")
        weights = {"w": np.linspace(-1.0, 1.0, 8)}
        state = backend.init_optimizer(spec, weights)
        for g in draws:
            weights, state = backend.update(spec, weights, {"w": g}, state)
        ends.append(weights["w"])
    return float(np.max(np.abs(ends[0] - ends[1]) / np.abs(ends[1])))


def rows(word: str, libraries: tuple[str, str]) -> list[Observed]:
    """Return the rows about a word that ask both libraries, with their answers."""
    wanted = [row for row in about(word) if all(lib in row.ask for lib in libraries)]
    return [observe(row, libraries) for row in wanted]


def optimizer_named(word: str) -> str | None:
    """Return the optimizer that a word names, if it names one."""
    name = plain(word)
    return name if name in OPTIMIZERS else None
