"""Samples that stay in a memory-mapped file: read as they are needed.

What numpy.load(..., mmap_mode="r") and numpy.memmap return may be larger than
memory. A fast loop reads a stretch's rows at once, in the order of its batches.
"""

import mmap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NUMBERS = 2**20  # of a stretch's inputs, that are read at once
PIECE = 2**14  # samples that are measured at once


def in_file(array: object) -> bool:
    """Return whether an array's memory is a memory-mapped file's.

    >>> in_file(np.zeros(3))
    False
    """
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array is not None


class Stored:
    """An array in a file, of which rows are read as arrays of a dtype.

    `tensor` makes what is read the implementation's.
    """

    def __init__(
        self, array: Array, dtype: object, tensor: Callable[[Array], Any] = np.asarray
    ) -> None:
        self.array = array
        self.dtype: np.dtype[Any] = np.dtype(dtype)  # type: ignore[call-overload]
        self.tensor = tensor
        self.shape, self.ndim = array.shape, array.ndim

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: slice | Array) -> Any:
        return self.tensor(self.read(rows))

    def read(self, rows: slice | Array) -> Array:
        """Return these rows, in memory."""
        found = self.array[rows]
        with np.errstate(over="ignore"):  # beyond the dtype's range is inf
            return np.array(found, self.dtype, copy=isinstance(rows, slice) or None)

    def padded(self, rows: Array, room: int) -> Any:
        """Return these rows, and zeros where there is room for more."""
        found = np.empty((room, *self.shape[1:]), self.dtype)
        if self.array.dtype == self.dtype:  # "raise", the default, would copy
            np.take(self.array, rows, axis=0, out=found[: len(rows)], mode="clip")
        else:
            found[: len(rows)] = self.read(rows)
        found[len(rows) :] = 0
        return self.tensor(found)


def samples(given: Array | Stored, tensor: Callable[[Array], Any]) -> Any:
    """Return the implementation's tensor, or what reads such."""
    if isinstance(given, Stored):
        return Stored(given.array, given.dtype, tensor)
    return tensor(given)


def pieces(*arrays: Array | Stored) -> Iterator[tuple[Array, ...]]:
    """Yield arrays of equal length piece by piece, in memory."""
    for i in range(0, len(arrays[0]), PIECE):
        rows = slice(i, i + PIECE)
        yield tuple(a.read(rows) if isinstance(a, Stored) else a[rows] for a in arrays)
