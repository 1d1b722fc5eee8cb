"""Draws under many keys at once: what training needs of a whole epoch.

Row i of each result is what threefry.py draws under keys[i], to the bit. A
call under one key costs some hundred NumPy operations, however little it
draws; here they are paid once for all keys.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import threefry

Keys = NDArray[np.uint32]  # (keys, 2)

AT_ONCE = 2**16  # words: three arrays of them stay in the cache


def fold_in(key: threefry.Key, data: NDArray[np.integer]) -> Keys:
    """Return fold_in(key, d) for each d of an array, shape (len(data), 2).

    >>> fold_in(threefry.key(7), np.array([3]))
    array([[ 276534068, 1641862660]], dtype=uint32)
    """
    word = data.astype(np.uint32)
    return np.stack(threefry.threefry2x32(key, np.zeros_like(word), word), axis=1)


def fold_each(keys: Keys, data: int) -> Keys:
    """Return fold_in(key, data) for each of the keys, shape (keys, 2)."""
    x0, x1 = np.zeros(len(keys), np.uint32), np.full(len(keys), data, np.uint32)
    threefry.encrypt(keys[:, 0], keys[:, 1], x0, x1)
    return np.stack([x0, x1], axis=1)


def bits(keys: Keys, n: int) -> NDArray[np.uint32]:
    """Return n random words under each key, shape (keys, n)."""
    drawn = np.empty((len(keys), n), np.uint32)
    for piece, words in _pieces(keys, n):
        drawn[piece] = words
    return drawn


def _pieces(keys: Keys, n: int) -> Iterator[tuple[tuple[slice, slice], Keys]]:
    """Yield the words of `bits` piece by piece, each with its place.

    A piece is to be used before the next one, which is written over it.
    """
    width = min(max(n, 1), AT_ONCE)
    height = max(1, min(AT_ONCE // width, len(keys)))
    arrays = np.empty((3, height, width), np.uint32)
    for j in range(0, n, width):
        index = np.arange(j, min(j + width, n))
        high, low = (index >> 32).astype(np.uint32), index.astype(np.uint32)
        for i in range(0, len(keys), height):
            some = keys[i : i + height]
            x0, x1, scratch = arrays[:, : len(some), : len(index)]
            x0[...], x1[...] = high, low
            threefry.encrypt(some[:, :1], some[:, 1:], x0, x1, scratch)
            x0 ^= x1
            yield (slice(i, i + height), slice(j, j + width)), x0


def bernoulli(keys: Keys, p: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return bernoulli(key, p, shape) for each key, shape (keys, *shape)."""
    # uniform is k 2^-23 for the upper 23 bits k: it is < p where k is < 2^23 p,
    # which is exact, and so where the word is below that and nine bits 0
    n, limit = math.prod(shape), math.ceil(float(np.float32(p)) * 2**23)
    drawn = np.full((len(keys), n), limit >= 2**23)
    if 0 < limit < 2**23:
        for piece, words in _pieces(keys, n):
            np.less(words, np.uint32(limit << 9), out=drawn[piece])
    return drawn.reshape(len(keys), *shape)


def masks(keys: Keys, place: int, p: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return what the dropout layer at `place` keeps under each batch's key."""
    return bernoulli(fold_each(keys, place), p, shape)


def permutation(keys: Keys, n: int) -> NDArray[np.int64]:
    """Return permutation(key, n) for each key, shape (keys, n)."""
    order = np.tile(np.arange(n, dtype=np.int64), (len(keys), 1))
    place = np.arange(n, dtype=np.uint64)
    for _ in range(sum(n > limit for limit in threefry.ROUNDS)):
        keys, subkeys = fold_each(keys, 0), fold_each(keys, 1)  # split
        # A word and its place in one number: sorting those is stable.
        words = bits(subkeys, n).astype(np.uint64) << np.uint64(32) | place
        words.sort(axis=1)
        by_word = (words & np.uint64(0xFFFFFFFF)).astype(np.int64)
        order = np.take_along_axis(order, by_word, axis=1)
    return order
