"""A noisy curve to be fitted: sixteen points to train on, two hundred held out."""

from typing import Any

import numpy as np

import tetrapla as tp


def curve(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n points of sin(3 x) on [-1, 1], each up to 0.6 too high or too low."""
    noise = tp.threefry.uniform(tp.threefry.key(seed), (n, 1)).astype(float) * 2 - 1
    x = np.linspace(-1, 1, n)[:, None]
    return x, np.sin(3 * x) + 0.6 * noise


TRAINING, HELD_OUT = curve(16, seed=3), curve(200, seed=99)


def network(*hidden: int) -> tp.Sequential:
    """Return a network with so many units in each hidden layer, all of them tanh."""
    into = [1, *hidden]
    layers = [tp.Dense(n, m, "tanh") for n, m in zip(into[:-1], hidden, strict=True)]
    return tp.Sequential(*layers, tp.Dense(into[-1], 1))


def fit(net: tp.Sequential, epochs: int, eta: float, **settings: Any) -> Any:
    """Return a run of Adam on all points, its rate falling to 0, by NumPy."""
    b = tp.load("numpy", dtype="float64")
    settings["schedule"] = tp.CosineDecay(epochs)
    training = tp.Training(epochs, "all", tp.Adam(eta), "mse", **settings)
    return b.fit(net, net.init(seed=0), TRAINING, training, validation=HELD_OUT)
