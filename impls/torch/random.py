"""Threefry-2x32 in torch tensors, on the key's device.

Quirk: torch.uint32 has no addition or shift on the CPU, so a 32-bit
word lives in an int64, masked after each operation that may overflow.
"""

import math

import torch
from torch import Tensor

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
ROUNDS = (1, 1625, 2642245)  # sort once for each that n is above
MASK = 0xFFFFFFFF


def threefry2x32(
    key: Tensor, x0: Tensor, x1: Tensor
) -> tuple[Tensor, Tensor]:
    ks = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x0, x1 = (x0 + ks[0]) & MASK, (x1 + ks[1]) & MASK
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = (x0 + x1) & MASK
            x1 = ((x1 << r) | (x1 >> (32 - r))) & MASK
            x1 = x0 ^ x1
        x0 = (x0 + ks[(group + 1) % 3]) & MASK
        x1 = (x1 + ks[(group + 2) % 3] + group + 1) & MASK
    return x0, x1


def words(key: Tensor, n: int) -> tuple[Tensor, Tensor]:
    index = torch.arange(n, device=key.device)
    return threefry2x32(key, index >> 32, index & MASK)


def key(seed: int) -> Tensor:
    return torch.tensor([0, seed])


def fold_in(key: Tensor, data: int | Tensor) -> Tensor:
    x1 = torch.as_tensor(data, dtype=torch.int64, device=key.device)
    return torch.stack(threefry2x32(key, torch.zeros_like(x1), x1))


def split(key: Tensor, num: int = 2) -> Tensor:
    return torch.stack(words(key, num), dim=1)


def bits(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    x0, x1 = words(key, math.prod(shape))
    return (x0 ^ x1).reshape(shape)


def uniform(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    one_to_two = (bits(key, shape) >> 9) | 0x3F800000
    return one_to_two.to(torch.int32).view(torch.float32) - 1


def bernoulli(key: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    threshold = torch.tensor(p, dtype=torch.float32, device=key.device)
    return uniform(key, shape) < threshold


def permutation(key: Tensor, n: int) -> Tensor:
    order = torch.arange(n, device=key.device)
    for _ in range(sum(n > limit for limit in ROUNDS)):
        key, subkey = split(key)
        order = order[torch.argsort(bits(subkey, (n,)), stable=True)]
    return order
