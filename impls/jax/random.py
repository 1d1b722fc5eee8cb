"""Threefry-2x32 in jax arrays: what jax.random computes, written out.

It does not read jax's configuration, so that a user's choice of another
generator does not move a mask.
"""

import math

import jax.numpy as jnp
from jax import Array, lax

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
ROUNDS = (1, 1625, 2642245)  # sort once for each that n is above


def threefry2x32(
    key: Array, x0: Array, x1: Array
) -> tuple[Array, Array]:
    ks = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY))
    x0, x1 = x0 + ks[0], x1 + ks[1]
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << r) | (x1 >> (32 - r))
            x1 = x0 ^ x1
        x0 = x0 + ks[(group + 1) % 3]
        x1 = x1 + ks[(group + 2) % 3] + jnp.uint32(group + 1)
    return x0, x1


def words(key: Array, n: int) -> tuple[Array, Array]:
    # counters of 32 bits: 2^32 draws at once are more than fit anyway
    low = lax.iota(jnp.uint32, n)
    return threefry2x32(key, jnp.zeros_like(low), low)


def key(seed: int) -> Array:
    return jnp.array([0, seed], jnp.uint32)


def fold_in(key: Array, data: int | Array) -> Array:
    x1 = jnp.uint32(data)
    return jnp.stack(threefry2x32(key, jnp.zeros_like(x1), x1))


def split(key: Array, num: int = 2) -> Array:
    return jnp.stack(words(key, num), axis=1)


def bits(key: Array, shape: tuple[int, ...]) -> Array:
    x0, x1 = words(key, math.prod(shape))
    return (x0 ^ x1).reshape(shape)


def uniform(key: Array, shape: tuple[int, ...]) -> Array:
    one_to_two = (bits(key, shape) >> 9) | 0x3F800000
    return lax.bitcast_convert_type(one_to_two, jnp.float32) - 1


def bernoulli(key: Array, p: float, shape: tuple[int, ...]) -> Array:
    return uniform(key, shape) < jnp.float32(p)


def permutation(key: Array, n: int) -> Array:
    order = jnp.arange(n)
    for _ in range(sum(n > limit for limit in ROUNDS)):
        key, subkey = split(key)
        order = order[jnp.argsort(bits(subkey, (n,)), stable=True)]
    return order
