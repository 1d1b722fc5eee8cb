"""What is trained: handwritten digits by a small and a large network, or noise."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tetrapla as tp

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """A network of relu layers, trained with Adam at 0.001 on softmax cross-entropy."""

    name: str
    hidden: tuple[int, int]
    batch: int
    epochs: int
    passes: int  # of a floor
    n: int = 1438
    compiled: bool = True  # with torch.compile, which takes half a minute
    device: str = "cpu"

    @property
    def steps(self) -> int:
        return self.epochs * math.ceil(self.n / self.batch)

    @property
    def whole(self) -> int:
        """How many of an epoch's batches are whole."""
        return self.n // self.batch

    @property
    def widths(self) -> tuple[int, int, int, int]:
        return 64, *self.hidden, 10

    def data(self) -> tuple[Array, Array]:
        """Return x, standardised, float32, and y, the classes."""
        digits = tp.data.digits()
        return digits.x_train[: self.n].astype(np.float32), digits.y_train[: self.n]

    def net(self) -> tp.Sequential:
        first, second = self.hidden
        return tp.Sequential(
            tp.Dense(64, first, "relu"),
            tp.Dense(first, second, "relu"),
            tp.Dense(second, 10),
        )


@dataclass(frozen=True)
class Noise(Problem):
    """A network of any size on any number of samples, whose cost is what counts."""

    def data(self) -> tuple[Array, Array]:
        """Return x, standard normal, float32, and y, the classes."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.n, 64), np.float32)
        return x, rng.integers(0, 10, self.n)


SMALL = Problem("small", (128, 64), 32, epochs=20, passes=500)
LARGE = Problem("large", (1024, 1024), 128, epochs=3, passes=20)


def asked(name: str, device: str = "cpu", quick: bool = False) -> Problem:
    """Return a problem on a device, or its shorter form."""
    problem = replace({"small": SMALL, "large": LARGE}[name], device=device)
    if device != "cpu" and name == "large":  # else it ends after milliseconds
        problem = replace(problem, epochs=60, passes=500)
    if quick:
        epochs, passes = max(3, problem.epochs // 4), max(50, problem.passes // 10)
        problem = replace(problem, epochs=epochs, passes=passes, compiled=False)
    return problem
