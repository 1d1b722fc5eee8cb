"""Threefry-2x32 in tf tensors of dtype uint32.

Quirk: shapes may be known only when the graph runs, so the number of
draws is computed as a tensor.
"""

import tensorflow as tf
from tensorflow.bitwise import left_shift, right_shift

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


@tf.function(autograph=False)  # 100 operations: traced once per shape
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


def fold_in(key: tf.Tensor, data: int) -> tf.Tensor:
    x1 = tf.constant(data, tf.uint32)
    return tf.stack(threefry2x32(key, tf.zeros_like(x1), x1))


def bits(key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    n = tf.reduce_prod(tf.cast(shape, tf.int64))
    index = tf.range(n)
    low = tf.cast(tf.bitwise.bitwise_and(index, 0xFFFFFFFF), tf.uint32)
    high = tf.cast(
        right_shift(index, tf.constant(32, tf.int64)), tf.uint32
    )
    x0, x1 = threefry2x32(key, high, low)
    return tf.reshape(x0 ^ x1, shape)


def uniform(key: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    one_to_two = right_shift(bits(key, shape), 9) | 0x3F800000
    return tf.bitcast(one_to_two, tf.float32) - 1


def bernoulli(key: tf.Tensor, p: float, shape: tf.Tensor) -> tf.Tensor:
    return uniform(key, shape) < tf.constant(p, tf.float32)
