"""How curved a loss is: the largest eigenvalue of its second derivative.

A step of gradient descent theta - eta g(theta) multiplies a small
difference of the weights by I - eta H, with H the second derivative of the
batch's loss. H is symmetric: where its eigenvalues are between 0 and
2 / eta no difference grows, and where one is above 2 / eta, some do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.backends import Backend
from tetrapla.spec import threefry
from tetrapla.spec.contract import Arrays
from tetrapla.spec.layers import Sequential
from tetrapla.spec.losses import Loss

VECTORS = 12  # of the Krylov space: enough for two digits of an outermost eigenvalue


def sharpness(
    backend: Backend,
    net: Sequential,
    weights: Arrays,
    batch: tuple[Any, Any],
    loss: Loss,
    key: threefry.Key | None = None,
) -> float:
    """Return the largest eigenvalue of H in a Krylov space (Lanczos).

    It is that of the projection of H, and so never more than H's own, but for
    the error of the centred differences of the gradient that stand for H v.
    """
    # Centred differences: their own error h^2 is that of rounding, u / h.
    h = float(np.cbrt(np.finfo(backend.dtype).eps))
    size = sum(w.size for w in weights.values())

    def slope(moved: NDArray[Any]) -> NDArray[Any]:
        at = _add(weights, moved)
        return _flat(backend.loss_and_gradients(net, at, *batch, loss, key=key).weights)

    def turned(v: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((slope(h * v) - slope(-h * v)) / (2 * h))

    v = np.random.default_rng(0).standard_normal(size)
    basis = np.empty((size, 0))
    images = np.empty((size, 0))
    for _ in range(min(VECTORS, size)):
        for _ in range(2):  # once more takes away what rounding left
            v = v - basis @ (basis.T @ v)
        length = np.linalg.norm(v)
        if length <= h * (np.linalg.norm(images) or 1.0):  # the space is complete
            break
        basis = np.column_stack([basis, v / length])
        v = turned(basis[:, -1])
        images = np.column_stack([images, v])
    projected = basis.T @ images
    return float(np.linalg.eigvalsh((projected + projected.T) / 2)[-1])


def _flat(arrays: Arrays) -> NDArray[Any]:
    return np.concatenate([a.ravel() for a in arrays.values()]).astype(np.float64)


def _add(weights: Arrays, moved: NDArray[Any]) -> Arrays:
    places = np.cumsum([w.size for w in weights.values()])[:-1]
    parts = np.split(moved, places)
    return {
        n: w + p.reshape(w.shape) for (n, w), p in zip(weights.items(), parts, strict=True)
    }
