"""An activation and its derivative over the numbers of float32, all of them.

There are 2^32 float32 numbers, of which 4,278,190,080 are finite: few enough
to try each. A sweep goes through them in chunks, keeps the worst of what it
saw, and can be stopped and taken up again at any chunk.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tetrapla.backends import Backend
from tetrapla.files import write_atomically
from tetrapla.oracle import activations
from tetrapla.oracle.arithmetic import judge
from tetrapla.oracle.bounded import Bounded, given
from tetrapla.parity.comparison import distances, fractions, ulps_of
from tetrapla.parity.samples import MAGNITUDES
from tetrapla.spec.activations import Activation, Softmax
from tetrapla.spec.contract import Array
from tetrapla.spec.errors import InvalidInputError

CHUNK = 2**20  # numbers at a time
EVERY = 2**32 // CHUNK  # chunks of all float32 numbers, by their bits
QUANTITIES = ("a", "dz")


@dataclass(frozen=True)
class Worst:
    """Where an error was largest so far."""

    size: float = 0.0
    z: float = 0.0
    got: float = 0.0
    expected: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What a sweep knows of one quantity: "a" is g(z), "dz" is g'(z)."""

    fraction: Worst = Worst()  # of the bound
    ulps: Worst = Worst()  # where the exact value is a normal number
    outside: int = 0
    unclaimed: int = 0


@dataclass(frozen=True)
class Sweep:
    """A sweep as far as it went: chunks `next` to `chunks` are still to do."""

    activation: str
    backend: str
    version: str
    every: bool
    next: int
    chunks: int
    numbers: int
    a: Measured = Measured()
    dz: Measured = Measured()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.next >= self.chunks


def begin(activation: Activation, backend: Backend, version: str, *, every: bool) -> Sweep:
    """Return a sweep that has not begun: of every number, or of a sample.

    Raises
    ------
    InvalidInputError
        For softmax, which is no function of one number, and for a backend
        that is not float32.
    """
    if isinstance(activation, Softmax):
        raise InvalidInputError("softmax is no function of one number: it has no sweep")
    if backend.dtype != "float32":
        raise InvalidInputError(f"a sweep is of float32's numbers, got {backend.dtype}")
    chunks = EVERY if every else 1
    return Sweep(repr(activation), backend.name, version, every, 0, chunks, 0)


def steps(sweep: Sweep, activation: Activation, backend: Backend) -> Iterator[Sweep]:
    """Yield the sweep after each further chunk."""
    while not sweep.done:
        z = chunk(sweep.next) if sweep.every else sample()
        found = measure(activation, backend, z)
        sweep = replace(
            sweep,
            next=sweep.next + 1,
            numbers=sweep.numbers + z.size,
            a=_worse(sweep.a, found["a"]),
            dz=_worse(sweep.dz, found["dz"]),
        )
        yield sweep


def chunk(i: int) -> Array:
    """Return the finite numbers of chunk i, in the order of their bits."""
    bits = np.arange(i * CHUNK, (i + 1) * CHUNK, dtype=np.uint64).astype(np.uint32)
    z = bits.view(np.float32)
    return z[np.isfinite(z)]


def sample() -> Array:
    """Return numbers of every exponent and both signs, and what lies at the seams.

    A thousand significands of every exponent, the first and last among them,
    and the neighbours of the numbers where libraries change their formula.
    """
    significands = np.unique(
        np.concatenate([np.arange(0, 2**23, 2**13), 2**23 - 1 - np.arange(0, 2**23, 2**15)])
    ).astype(np.uint32)
    exponents = np.arange(255, dtype=np.uint32) << np.uint32(23)
    strata = (exponents[:, None] | significands).ravel()
    seams = np.array(MAGNITUDES, np.float32).view(np.uint32)
    near = seams[:, None] + np.arange(64, dtype=np.uint32)
    bits = np.concatenate([strata, near.ravel() - np.uint32(32)])
    z = np.concatenate([bits, bits | np.uint32(2**31)]).view(np.float32)
    return z[np.isfinite(z)]


def measure(activation: Activation, backend: Backend, z: Array) -> dict[str, Measured]:
    """Return the worst errors of g and g' over the numbers z."""
    ar = judge("float32")
    one = np.ones_like(z)
    with np.errstate(all="ignore"):
        exact = given(ar, z)
        value = activations.activation(activation, exact)
        slope = activations.gradient(activation, exact, given(ar, one))
        return {
            "a": _measured(z, backend.activation(activation, z), value),
            "dz": _measured(z, backend.activation_gradient(activation, z, one), slope),
        }


def _measured(z: Array, got: Array, expected: Bounded) -> Measured:
    distance = distances(got, expected)
    fraction = fractions(distance, expected.error)
    # Below the normal numbers, an error is one of flushing and no ULP tells.
    normal = expected.magnitude >= expected.ar.tiny
    ulps = np.where(normal, ulps_of(distance, expected.magnitude, "float32"), 0.0)
    return Measured(
        _worst(fraction, z, got, expected),
        _worst(ulps, z, got, expected),
        int((fraction > 1).sum()),
        int(np.isinf(expected.error).sum()),
    )


def _worst(sizes: Array, z: Array, got: Array, expected: Bounded) -> Worst:
    if not sizes.size:
        return Worst()
    i = int(np.argmax(sizes))
    return Worst(float(sizes[i]), float(z[i]), float(got[i]), float(expected.floats[i]))


def _worse(a: Measured, b: Measured) -> Measured:
    return Measured(
        max(a.fraction, b.fraction, key=lambda w: w.size),
        max(a.ulps, b.ulps, key=lambda w: w.size),
        a.outside + b.outside,
        a.unclaimed + b.unclaimed,
    )


def save(sweep: Sweep, path: Path) -> None:
    """Write a sweep, whole or not at all."""
    write_atomically(path, (json.dumps(asdict(sweep), indent=1) + "\n").encode())


def load(path: Path, like: Sweep) -> Sweep:
    """Return the sweep in the file, which must be of the same thing as `like`.

    Raises
    ------
    InvalidInputError
        If the file is no sweep, or of another activation, backend or version.
    """
    try:
        read = _read(json.loads(path.read_text()))
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(f"{path} is not a sweep: {error}") from error
    for name in ("activation", "backend", "version", "every", "chunks"):
        if getattr(read, name) != getattr(like, name):
            raise InvalidInputError(
                f"{path} is a sweep of {name} {getattr(read, name)!r}, "
                f"not {getattr(like, name)!r}"
            )
    return read


def _read(values: dict[str, Any]) -> Sweep:
    for name in QUANTITIES:
        of = values[name]
        worst = {kind: Worst(**of[kind]) for kind in ("fraction", "ulps")}
        values[name] = Measured(**(of | worst))
    return Sweep(**values)
