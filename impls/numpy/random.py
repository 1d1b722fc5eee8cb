"""Threefry-2x32: the specification's own code, which is in NumPy."""

from tetrapla.spec.threefry import (
    bernoulli,
    bits,
    fold_in,
    key,
    permutation,
    split,
    threefry2x32,
    uniform,
    words,
)

__all__ = [
    "bernoulli",
    "bits",
    "fold_in",
    "key",
    "permutation",
    "split",
    "threefry2x32",
    "uniform",
    "words",
]
