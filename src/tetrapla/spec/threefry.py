"""Shared randomness: Threefry-2x32, laid out as jax.random lays it out.

A counter-based generator has no state: bits are a function of a key and
of each element's flat index, so that every framework, device and order of
evaluation draws the same ones.

Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as
1, 2, 3 (SC 2011), the 20-round Threefry-2x32. The layout is that of JAX's
default generator (threefry2x32, partitionable): the two outputs of counter
(high word, low word) are xored into 32-bit draws.

Streams: every use of a seed has a stream of its own, so that changing one
never moves another: `fold_in(key(seed), stream)`, then the step (or the
epoch, or for weights the layer), then the layer.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import checks
from tetrapla.spec.errors import InvalidInputError

Key = NDArray[np.uint32]

INIT: Final = 0  # the stream of initial weights
SHUFFLE: Final = 1  # the stream of the order of the samples
DROPOUT: Final = 2  # the stream of dropout masks
SPLIT: Final = 3  # the stream of a data set's split into training and test

ROTATIONS: Final = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY: Final = 0x1BD11BDA  # Skein's constant: no key word schedule is all zero
ROUNDS: Final = (1, 1625, 2642245)  # floor((2^32 - 1)^(k/3)), k = 0, 1, 2


def threefry2x32(
    key: Key, x0: NDArray[np.uint32], x1: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Encrypt the counters (x0, x1) under the key: 20 rounds.

    The key is uint32 of shape (2,). The counters are uint32 arrays of one
    shape, and so is what is returned. A round is x0 += x1, x1 = (x1 rotated
    left) ^ x0; before the first of them and after every fourth, words of
    the key and the number of the group are added.
    """
    if not isinstance(key, np.ndarray) or key.dtype != np.uint32 or key.shape != (2,):
        raise InvalidInputError(
            f"a key is an array of two uint32, as key() returns it; got {key!r}"
        )
    x0, x1 = np.array(x0), np.array(x1)
    encrypt(key[:1], key[1:], x0, x1)
    return x0, x1


def encrypt(
    k0: NDArray[np.uint32],
    k1: NDArray[np.uint32],
    x0: NDArray[np.uint32],
    x1: NDArray[np.uint32],
    scratch: NDArray[np.uint32] | None = None,
) -> None:
    """Encrypt x0 and x1 in place, under keys that broadcast to their shape.

    `scratch` is of that shape too, and written over.
    """
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(PARITY))
    x0 += schedule[0]
    x1 += schedule[1]
    left = np.empty_like(x1) if scratch is None else scratch
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 += x1
            np.left_shift(x1, np.uint32(r), out=left)
            np.right_shift(x1, np.uint32(32 - r), out=x1)
            x1 |= left
            x1 ^= x0
        x0 += schedule[(group + 1) % 3]
        x1 += schedule[(group + 2) % 3] + np.uint32(group + 1)


def words(key: Key, n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the two words of each of the counters 0 ... n - 1, shape (n,).

    Counter i is encrypted as (i >> 32, i mod 2^32).
    """
    index = np.arange(n, dtype=np.uint64)
    high = (index >> np.uint64(32)).astype(np.uint32)
    low = (index & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return threefry2x32(key, high, low)


def key(seed: int) -> Key:
    """Return the key of a seed, an integer in [0, 2^32): (0, seed).

    >>> key(7)
    array([0, 7], dtype=uint32)
    """
    return np.array([0, checks.integer("seed", seed, 0, 2**32)], dtype=np.uint32)


def fold_in(key: Key, data: int) -> Key:
    """Return the key that belongs to `data`, an integer in [0, 2^32).

    It is threefry2x32(key, 0, data). Keys of different data are as good as
    keys of different seeds, and none has to be drawn before another.

    >>> fold_in(key(7), 3)
    array([ 276534068, 1641862660], dtype=uint32)
    """
    word = checks.integer("data", data, 0, 2**32)
    zero = np.zeros(1, np.uint32)
    x0, x1 = threefry2x32(key, zero, np.array([word], np.uint32))
    return np.concatenate([x0, x1])


def split(key: Key, num: int = 2) -> NDArray[np.uint32]:
    """Return `num` new keys, uint32 of shape (num, 2).

    Key i is the two words of counter i. It is also fold_in(key, i).
    """
    return np.stack(words(key, checks.integer("num", num, 0, 2**32)), axis=1)


def bits(key: Key, shape: Sequence[int]) -> NDArray[np.uint32]:
    """Return random words, uint32 of the given shape.

    Element i, counted row by row, is the two words of counter i, xored.
    `shape` is a sequence of integers >= 0: () is one word, and a shape with
    a 0 has none.
    """
    size = checks.shape("shape", shape)
    x0, x1 = words(key, math.prod(size))
    return (x0 ^ x1).reshape(size)


def uniform(key: Key, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return draws from [0, 1), float32 of the given shape.

    The upper 23 bits of a word become the fraction of a number in [1, 2),
    less 1: a multiple of 2^-23, each as likely. 1 is never drawn.
    """
    one_to_two = (bits(key, shape) >> np.uint32(9)) | np.uint32(0x3F800000)
    return one_to_two.view(np.float32) - np.float32(1)


def bernoulli(key: Key, p: float, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return uniform(key, shape) < float32(p), booleans of the given shape.

    True with probability float32(p), rounded up to a multiple of 2^-23. `p`
    is any finite number: from 1 on all are True, up to 0 none.
    """
    return uniform(key, shape) < np.float32(checks.real("p", p))


def permutation(key: Key, n: int) -> NDArray[np.int64]:
    """Return the numbers 0 ... n - 1 in random order, int64 of shape (n,).

    `n` is an integer in [0, 2^32). One round splits the key in two, draws n
    words under the second and sorts by them; the first is the next round's
    key. The sort is stable, so equal words keep their order, which is a
    bias: hence ceil(3 log n / log(2^32 - 1)) rounds, one for each of ROUNDS
    that n is above.

    Source: jax.random.permutation, which has it from TensorFlow's
    random_shuffle for XLA (tf2xla, random_ops.cc).

    >>> permutation(key(7), 5)
    array([4, 2, 3, 0, 1])
    """
    order = np.arange(checks.integer("n", n, 0, 2**32), dtype=np.int64)
    for _ in range(sum(n > limit for limit in ROUNDS)):
        key, subkey = split(key)
        order = order[np.argsort(bits(subkey, (n,)), kind="stable")]
    return order
