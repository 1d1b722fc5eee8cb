"""Weights in files: the safetensors format, with the network beside them.

A file holds the arrays under their names ("0.weight", ...) and, in its
metadata, the network's specification as JSON: what one backend wrote any
other can load, and other software can read the arrays without tetrapla.
Nothing in a file is ever executed.

Weights of models that were trained elsewhere: `from_model` reads a model of
PyTorch, Keras or Flax, `to_model` makes one, `convert` goes from one to the
other; `optimizer_state` and `to_optimizer` take the optimizer along.
"""

import os
from collections.abc import Mapping

import numpy as np

from tetrapla import validation
from tetrapla.archives import opened, packed
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
    arrays = {label: np.asarray(weights[label]) for label in net.shapes}
    write_atomically(path, packed(arrays, {"network": to_config(net)}, FORMAT))


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
    with opened(path, FORMAT) as (about, file):
        if "training" in about:
            raise InvalidInputError(
                "a checkpoint: read it with tetrapla.Checkpoints(folder).latest()"
            )
        net = from_config(about.get("network"))
        if not isinstance(net, Sequential):
            raise InvalidInputError(f"its network must be a Sequential, got {net!r}")
        slices = {label: file.get_slice(label) for label in file.keys()}  # noqa: SIM118
        _check(net, {k: (s.get_dtype(), s.get_shape()) for k, s in slices.items()})
        return net, {label: file.get_tensor(label) for label in net.shapes}


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
