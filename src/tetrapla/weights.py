"""Weights in files: the safetensors format, with the network beside them.

A file holds the arrays under their names ("0.weight", ...) and, in its
metadata, the network's specification as JSON: what one backend wrote any
other can load, and other software can read the arrays without tetrapla.
Nothing in a file is ever executed.

Weights of models that were trained elsewhere: `from_model` reads a model of
PyTorch, Keras or Flax, `to_model` makes one, `convert` goes from one to the
other; `optimizer_state` and `to_optimizer` take the optimizer along.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from tetrapla import __version__, validation
from tetrapla.conversion import (
    convert,
    from_model,
    optimizer_state,
    to_model,
    to_optimizer,
    translate_state,
)
from tetrapla.files import write_atomically
from tetrapla.spec.config import from_config, to_config
from tetrapla.spec.contract import Arrays
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.layers import Sequential

__all__ = [
    "convert",
    "from_model",
    "load",
    "optimizer_state",
    "save",
    "to_model",
    "to_optimizer",
    "translate_state",
]

FORMAT = 1  # counts up when older versions could no longer read the file

DTYPES = ("F16", "F32", "F64")  # as safetensors names them


def save(path: str | os.PathLike[str], net: Sequential, weights: Arrays) -> None:
    """Write the network and its weights to a file, whole or not at all.

    Parameters
    ----------
    path
        Usually ends in ".safetensors"; what is there is replaced.
    net
        The network.
    weights
        Arrays of the names and shapes of `net.shapes`, each in its own
        floating-point dtype, which the file keeps.

    Raises
    ------
    InvalidInputError
        If the weights are not those of the network.
    OSError
        If the file cannot be written.
    """
    validation.network(net)
    validation.weights(net, weights, "float64")  # for its checks alone
    # safetensors writes the memory as it lies, whatever the strides say.
    arrays = {label: np.ascontiguousarray(weights[label]) for label in net.shapes}
    about = {"format": FORMAT, "version": __version__, "network": to_config(net)}
    # One entry alone: safetensors writes several in no fixed order.
    write_atomically(path, safetensors.numpy.save(arrays, {"tetrapla": json.dumps(about)}))


def load(path: str | os.PathLike[str]) -> tuple[Sequential, Arrays]:
    """Return the network and the weights that `save` wrote.

    The weights have the dtypes of the file and the order of `net.shapes`.

    Raises
    ------
    InvalidInputError
        If the file is damaged, of another kind, written in a newer format,
        or its arrays are not those of its network; names the file.
    OSError
        If the file is missing or cannot be read.
    """
    with open(path, "rb"):  # the system's own error, before safetensors' words
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            net = _network(file.metadata() or {})
            slices = {label: file.get_slice(label) for label in file.keys()}  # noqa: SIM118
            _check(net, {k: (s.get_dtype(), s.get_shape()) for k, s in slices.items()})
            return net, {label: file.get_tensor(label) for label in net.shapes}
    except SafetensorError as error:
        raise InvalidInputError(
            f"{Path(path)} is not a safetensors file, or it is damaged: {error}"
        ) from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{Path(path)}: {error}") from error


def _network(metadata: Mapping[str, str]) -> Sequential:
    if "tetrapla" not in metadata:
        raise InvalidInputError("a safetensors file, but not one that tetrapla wrote")
    try:
        about = json.loads(metadata["tetrapla"])
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"its description is not JSON: {error}") from error
    if not isinstance(about, dict) or type(about.get("format")) is not int:
        raise InvalidInputError("its description does not say in which format it is")
    if about["format"] > FORMAT:
        raise InvalidInputError(
            f"in format {about['format']}, written by tetrapla {about.get('version')}; "
            f"this is tetrapla {__version__}, which reads formats up to {FORMAT}"
        )
    net = from_config(about.get("network"))
    if not isinstance(net, Sequential):
        raise InvalidInputError(f"its network must be a Sequential, got {net!r}")
    return net


def _check(net: Sequential, found: Mapping[str, tuple[str, list[int]]]) -> None:
    if set(found) != set(net.shapes):
        raise InvalidInputError(
            f"its network has the weights {list(net.shapes)}, the file {list(found)}"
        )
    for label, expected in net.shapes.items():
        dtype, shape = found[label]
        if tuple(shape) != expected:
            raise InvalidInputError(
                f"{label} must have shape {expected}, got {tuple(shape)}"
            )
        if dtype not in DTYPES:
            raise InvalidInputError(
                f"{label} must be in {' or '.join(DTYPES)}, got {dtype}"
            )
