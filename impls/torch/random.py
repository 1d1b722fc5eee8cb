"""Threefry-2x32 in torch tensors, on the tensors' device.

Quirk: torch.uint32 has no addition or shift on the CPU, so a 32-bit
word lives in an int64, masked after each operation that may overflow.
"""

import torch
from torch import Tensor

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
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


def fold_in(key: Tensor, data: int) -> Tensor:
    x1 = torch.tensor(data, dtype=torch.int64, device=key.device)
    return torch.stack(threefry2x32(key, torch.zeros_like(x1), x1))


def bits(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    n = torch.Size(shape).numel()
    index = torch.arange(n, dtype=torch.int64, device=key.device)
    x0, x1 = threefry2x32(key, index >> 32, index & MASK)
    return (x0 ^ x1).reshape(shape)


def uniform(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    one_to_two = (bits(key, shape) >> 9) | 0x3F800000
    return one_to_two.to(torch.int32).view(torch.float32) - 1


def bernoulli(key: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    threshold = torch.tensor(p, dtype=torch.float32, device=key.device)
    return uniform(key, shape) < threshold
