"""Threefry-2x32 in tf tensors of dtype uint32.

Quirk: shapes may be known only when the graph runs, so the number of
draws, and how often a permutation sorts, are computed as tensors.
"""

import tensorflow as tf
from tensorflow.bitwise import left_shift, right_shift

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
ROUNDS = (1, 1625, 2642245)  # sort once for each that n is above


@tf.function(autograph=False, reduce_retracing=True)  # 100 operations
def threefry2x32(
    key: tf.Tensor, x0: tf.Tensor, x1: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    ks = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x0, x1 = x0 + ks[0], x1 + ks[1]
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = left_shift(x1, r) | right_shift(x1, 32 - r)
            x1 = x0 ^ x1
        x0 = x0 + ks[(group + 1) % 3]
        x1 = x1 + ks[(group + 2) % 3] + (group + 1)
    return x0, x1


def words(
    key: tf.Tensor, n: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    index = tf.range(tf.cast(n, tf.int64))
    low = tf.cast(tf.bitwise.bitwise_and(index, 0xFFFFFFFF), tf.uint32)
    high = tf.cast(
        right_shift(index, tf.constant(32, tf.int64)), tf.uint32
    )
    return threefry2x32(key, high, low)


def key(seed: int) -> tf.Tensor:
    return tf.cast([0, seed], tf.uint32)


def fold_in(key: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    x1 = tf.cast(data, tf.uint32)
    folded = threefry2x32(key, tf.zeros_like(x1), x1)
    return tf.reshape(tf.stack(folded), (2,))


def split(key: tf.Tensor, num: int = 2) -> tf.Tensor:
    return tf.reshape(tf.stack(words(key, num), axis=1), (num, 2))


def bits(key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    x0, x1 = words(key, tf.reduce_prod(tf.cast(shape, tf.int64)))
    return tf.reshape(x0 ^ x1, shape)


def uniform(key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    one_to_two = right_shift(bits(key, shape), 9) | 0x3F800000
    return tf.bitcast(one_to_two, tf.float32) - 1


def bernoulli(key: tf.Tensor, p: float, shape: tf.Tensor) -> tf.Tensor:
    return uniform(key, shape) < tf.cast(p, tf.float32)


def permutation(key: tf.Tensor, n: int | tf.Tensor) -> tf.Tensor:
    def sort(key: tf.Tensor, order: tf.Tensor) -> tuple[tf.Tensor, ...]:
        key, subkey = tf.unstack(split(key))
        drawn = bits(subkey, tf.shape(order))
        return key, tf.gather(order, tf.argsort(drawn, stable=True))

    n = tf.cast(n, tf.int64)
    start = (key, tf.range(n))
    rounds = tf.reduce_sum(tf.cast(n > ROUNDS, tf.int32))
    return tf.while_loop(
        lambda *_: True, sort, start, maximum_iterations=rounds
    )[1]
