"""One row of the atlas: a question, and what each library answers."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tetrapla.backends import load
from tetrapla.spec import BackendUnavailableError

# PyTorch; Keras on TensorFlow; JAX with Flax and Optax.
LIBRARIES = ("torch", "keras", "jax")
BACKENDS = {"torch": "torch.nn", "keras": "tf.keras", "jax": "jax.flax"}
DISTRIBUTIONS = {
    "torch": ("torch",),
    "keras": ("keras", "tensorflow"),
    "jax": ("jax", "flax", "optax"),
}

MEASURED = "measured on "  # in an answer: before the name of this machine's GPU

Answer = float | str
Probe = Callable[..., Answer]


@dataclass(frozen=True)
class Row:
    """What differs, on which example, why, and what makes it equal.

    `ask` is one function per library, which runs the library: without
    arguments with its defaults, or with the settings that `align` names for
    it. Where `align` has settings for several libraries, their answers are
    the same; `never` says why there are none. `words` are what a reader may
    ask by.
    """

    name: str
    topic: str
    title: str
    example: str
    why: str
    ask: Mapping[str, Probe]
    links: tuple[str, ...]
    words: tuple[str, ...] = ()
    align: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    write: Mapping[str, str] = field(default_factory=dict)  # the settings, as code
    never: str = ""

    def matches(self, word: str) -> bool:
        """Return whether a reader who asks for the word means this row."""
        wanted = plain(word)
        known = {plain(k) for k in (self.name, self.topic, *self.words)}
        known |= {k.removesuffix("s") for k in known} | {plain(self.topic)[:-2]}
        parts = {plain(part) for part in self.name.split("-")}
        return wanted in known | parts or wanted.removesuffix("loss") in known


def plain(word: str) -> str:
    """Return a word as it is compared: RMSProp, rmsprop and RMSprop are one.

    >>> plain("Leaky_ReLU"), plain("eps")
    ('leakyrelu', 'epsilon')
    """
    squashed = "".join(c for c in word.lower() if c.isalnum())
    return {"eps": "epsilon", "lr": "learningrate", "wd": "weightdecay"}.get(
        squashed, squashed
    )


@dataclass(frozen=True)
class Observed:
    """A row with what the libraries answered."""

    row: Row
    answers: Mapping[str, Answer]
    aligned: Mapping[str, Answer]

    @property
    def same(self) -> bool:
        """Whether all libraries answer alike, as they come."""
        return len(self.answers) < 2 or alike(self.answers.values())

    @property
    def sign(self) -> str:
        """The mark of the row: = equal, ≈ but for rounded hyper-parameters, ≠ not."""
        answers = list(self.answers.values())
        if self.same:
            return "="
        return "≈" if alike(answers, 1e-4) else "≠"

    @property
    def apart(self) -> float | None:
        """The largest difference of two answers, where they are finite numbers."""
        numbers = [a for a in self.answers.values() if isinstance(a, float)]
        if (
            len(numbers) < len(self.answers)
            or not numbers
            or not all(map(math.isfinite, numbers))
        ):
            return None
        return max(numbers) - min(numbers)


def alike(answers: Iterable[Answer], within: float = 2.0**-22) -> bool:
    """Return whether answers are the same: numbers within a float32's rounding.

    >>> alike([0.1 + 0.2, 0.3]), alike([0.3, "0.3"])
    (True, False)
    """
    first, *others = answers
    return all(_near(first, other, within) for other in others)


def _near(a: Answer, b: Answer, within: float) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return math.isclose(a, b, rel_tol=within) or (math.isnan(a) and math.isnan(b))


def of_here(answer: Answer) -> bool:
    """Return whether an answer is of this machine's GPU, and no other's.

    >>> of_here("1; 2.9e-04 off: measured on NVIDIA H100 80GB HBM3"), of_here(0.1)
    (True, False)
    """
    return isinstance(answer, str) and MEASURED in answer


def shown(answer: Answer, digits: int = 6) -> str:
    """Return an answer as it is printed.

    >>> shown(-0.2402519), shown(float("nan")), shown("(in, out)")
    ('-0.240252', 'nan', '(in, out)')
    """
    return f"{answer + 0.0:.{digits}g}" if isinstance(answer, float) else answer


def listed(versions: Mapping[str, str]) -> str:
    """Return versions as words.

    >>> listed({"torch": "2.13.0", "keras": "3.15.1"})
    'torch 2.13.0, keras 3.15.1'
    """
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def observe(row: Row, libraries: tuple[str, ...]) -> Observed:
    """Ask the libraries the row's question, as they come and aligned."""
    asked = [library for library in libraries if library in row.ask]
    for library in asked:
        _start(library)
    return Observed(
        row,
        {library: row.ask[library]() for library in asked},
        {
            library: row.ask[library](**row.align[library])
            for library in asked
            if library in row.align
        },
    )


@cache
def _start(library: str) -> None:
    """Start a library's framework as a backend does, which leaves others room on a GPU."""
    with suppress(BackendUnavailableError):
        load(BACKENDS[library])
