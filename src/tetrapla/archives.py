"""Files of arrays with a description: the safetensors format.

Other software can read the arrays without tetrapla; what they are is JSON
in the file's metadata, under "tetrapla". Nothing in a file is ever executed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from tetrapla import __version__
from tetrapla.spec.contract import Arrays
from tetrapla.spec.errors import InvalidInputError

KEY = "tetrapla"
SEAL = "sha256"


class NewerFormatError(InvalidInputError):
    """A file that a newer version of tetrapla wrote: whole, and not for this one."""


def packed(
    arrays: Arrays, about: Mapping[str, Any], version: int, *, sealed: bool = False
) -> bytes:
    """Return a file's content: the same bytes for the same arrays and words.

    `version` is that of the file's format; it counts up when older versions
    of tetrapla could no longer read the file. `sealed` adds the SHA-256 of
    all that the file holds.
    """
    # safetensors writes the memory as it lies, whatever the strides say.
    lying = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    described = {"format": version, "version": __version__, **about}
    if sealed:
        described[SEAL] = _digest(arrays, described)
    # One entry alone: safetensors writes several in no fixed order.
    return safetensors.numpy.save(lying, {KEY: json.dumps(described)})


@contextmanager
def opened(
    path: str | os.PathLike[str], version: int
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Open a file, and give its description and safetensors' view of it.

    Raises
    ------
    InvalidInputError
        If the file is damaged, of another kind, or written in a newer
        format; and whatever InvalidInputError is raised while it is open.
        Names the file.
    OSError
        If the file is missing or cannot be read.
    """
    with open(path, "rb"):  # the system's own error, before safetensors' words
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            yield _description(file.metadata() or {}, version), file
    except SafetensorError as error:
        raise InvalidInputError(
            f"{Path(path)} is not a safetensors file, or it is damaged: {error}"
        ) from error
    except InvalidInputError as error:
        raise type(error)(f"{Path(path)}: {error}") from error


def check_seal(arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Raise InvalidInputError if this is not what was packed, and sealed."""
    rest = {name: value for name, value in about.items() if name != SEAL}
    if _digest(arrays, rest) != about.get(SEAL):
        raise InvalidInputError("damaged: it is not what was written (SHA-256)")


def _digest(arrays: Arrays, about: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, a in sorted(arrays.items()):
        digest.update(f"{name} {a.dtype.str} {a.shape}".encode())
        digest.update(np.ascontiguousarray(a).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _description(metadata: Mapping[str, str], version: int) -> dict[str, Any]:
    if KEY not in metadata:
        raise InvalidInputError("a safetensors file, but not one that tetrapla wrote")
    try:
        about = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"its description is not JSON: {error}") from error
    if not isinstance(about, dict) or type(about.get("format")) is not int:
        raise InvalidInputError("its description does not say in which format it is")
    if about["format"] > version:
        raise NewerFormatError(
            f"in format {about['format']}, written by tetrapla {about.get('version')}; "
            f"this is tetrapla {__version__}, which reads formats up to {version}"
        )
    return about
