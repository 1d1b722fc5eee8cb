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


def threefry2x32(
    key: Key, x0: NDArray[np.uint32], x1: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Encrypt the counters (x0, x1) under the key: 20 rounds."""
    if not isinstance(key, np.ndarray) or key.dtype != np.uint32 or key.shape != (2,):
        raise InvalidInputError(
            f"a key is an array of two uint32, as key() returns it; got {key!r}"
        )
    k = key.reshape(2, 1)  # arrays wrap silently
    schedule = (k[0], k[1], k[0] ^ k[1] ^ np.uint32(PARITY))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))
            x1 = x0 ^ x1
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def counters(n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the high and low words of the counters 0 ... n - 1."""
    index = np.arange(n, dtype=np.uint64)
    high = (index >> np.uint64(32)).astype(np.uint32)
    low = (index & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return high, low


def key(seed: int) -> Key:
    """Return the key of a seed in [0, 2^32).

    >>> key(7)
    array([0, 7], dtype=uint32)
    """
    return np.array([0, checks.integer("seed", seed, 0, 2**32)], dtype=np.uint32)


def fold_in(key: Key, data: int) -> Key:
    """Return the key that belongs to `data`, an integer in [0, 2^32)."""
    word = checks.integer("data", data, 0, 2**32)
    zero = np.zeros(1, np.uint32)
    x0, x1 = threefry2x32(key, zero, np.array([word], np.uint32))
    return np.concatenate([x0, x1])


def split(key: Key, num: int = 2) -> NDArray[np.uint32]:
    """Return `num` independent keys, shape (num, 2)."""
    return np.stack(threefry2x32(key, *counters(num)), axis=1)


def bits(key: Key, shape: Sequence[int]) -> NDArray[np.uint32]:
    """Return uniform 32-bit words of the given shape."""
    x0, x1 = threefry2x32(key, *counters(int(np.prod(shape, dtype=np.int64))))
    return (x0 ^ x1).reshape(shape)


def uniform(key: Key, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return float32 draws from [0, 1): 23 random bits each."""
    one_to_two = (bits(key, shape) >> np.uint32(9)) | np.uint32(0x3F800000)
    return one_to_two.view(np.float32) - np.float32(1)


def bernoulli(key: Key, p: float, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return booleans that are True with probability float32(p)."""
    return uniform(key, shape) < np.float32(p)


def permutation(key: Key, n: int) -> NDArray[np.int64]:
    """Return the numbers 0 ... n - 1 in random order.

    As jax.random.permutation: a few rounds of sorting by random words, so
    that a tie in one round (stable, hence biased) is broken in the next.
    """
    order = np.arange(n, dtype=np.int64)
    rounds = int(np.ceil(3 * np.log(max(1, n)) / np.log(2**32 - 1)))
    for _ in range(rounds):
        key, subkey = split(key)
        order = order[np.argsort(bits(subkey, (n,)), kind="stable")]
    return order
