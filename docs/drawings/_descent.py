"""Landscapes over one or two weights of a network, and descents on them.

The other weights stay where they are. Where nothing else is said, the landscape
is that of the chapter on it: w2 tanh(w1 x), from data with w1 = 1 and w2 = 2.
"""

from typing import Any

import numpy as np

import tetrapla as tp

Arrays = dict[str, np.ndarray]
Data = tuple[np.ndarray, np.ndarray]

X = np.linspace(-2.0, 2.0, 21)[:, None]
DATA = X, 2.0 * np.tanh(X)
NET = tp.Sequential(tp.Dense(1, 1, "tanh"), tp.Dense(1, 1))
ZERO = {name: np.zeros(shape) for name, shape in NET.shapes.items()}
FREE = ("0.weight", "1.weight")


def place(weights: Arrays, free: tuple[str, ...], at: Any) -> Arrays:
    """Return the weights with the free ones, of one number each, at a place."""
    return weights | {k: np.full_like(weights[k], v) for k, v in zip(free, at, strict=True)}


def descend(
    b: Any,
    weights: Arrays,
    optimizer: Any,
    steps: int,
    net: tp.Sequential = NET,
    data: Data = DATA,
    free: tuple[str, ...] = FREE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the free weights are, (steps + 1, free), and the loss there."""
    places, losses = [], []
    moving = {k: weights[k] for k in free}
    state = b.init_optimizer(optimizer, moving)
    for _ in range(steps + 1):
        r = b.loss_and_gradients(net, weights | moving, *data, "mse")
        places.append([w.item() for w in moving.values()])
        losses.append(float(r.loss))
        slopes = {k: r.weights[k] for k in free}
        moving, state = b.update(optimizer, moving, slopes, state)
    return np.array(places, float), np.array(losses)


def heights(
    *axes: np.ndarray,
    weights: Arrays = ZERO,
    net: tp.Sequential = NET,
    data: Data = DATA,
    free: tuple[str, ...] = FREE,
) -> np.ndarray:
    """Return the loss at all places that the axes, one per free weight, cross at."""
    b = tp.load("numpy", dtype="float64")
    x, y = data
    loss = np.empty([len(axis) for axis in axes])
    for i in np.ndindex(*loss.shape):
        at = [axis[k] for axis, k in zip(axes, i, strict=True)]
        loss[i] = b.loss("mse", b.forward(net, place(weights, free, at), x), y)
    return loss
