"""Gradients by centred differences of a backend's own loss, in float64.

f'(w) = (f(w + h) - f(w - h)) / 2h - h^2 f'''/6 - ... The truncation grows
with h^2 and the rounding with u |f| / h; h = cbrt(u) balances the two. The
truncation is measured, not guessed: the difference of step 2h is off by four
times as much, so the two are three truncations apart.
"""

import numpy as np

from tetrapla.backends import Backend
from tetrapla.parity import reference, samples
from tetrapla.parity.arithmetic import Float64
from tetrapla.parity.cases import DifferenceCase
from tetrapla.parity.quantity import Quantity
from tetrapla.spec.contract import Arrays

ELEMENTS = 3  # of each tensor: a wrong formula is wrong nearly everywhere
UNIT = float(np.finfo(np.float64).epsneg)
STEP = 2.0 ** round(np.log2(np.cbrt(UNIT)))

_SIZES = Float64("float64")  # for sizes alone, which need no more digits


def places(case: DifferenceCase) -> dict[str, tuple[np.ndarray, ...]]:
    """Return the elements of each tensor that are perturbed."""
    rng = samples.generator(f"{case.id} elements")
    tensors = case.weights | {"input": case.data[0]}
    chosen = {}
    for name, w in tensors.items():
        flat = rng.permutation(w.size)[:ELEMENTS]
        chosen[name] = np.unravel_index(flat, w.shape)
    return chosen


def observe(case: DifferenceCase, backend: Backend) -> Arrays:
    """Return the backend's gradients at those places."""
    x, y = case.data
    result = backend.loss_and_gradients(case.net, case.weights, x, y, case.loss)
    gradients = result.weights | {"input": result.input}
    return {name: gradients[name][at] for name, at in places(case).items()}


def expect(case: DifferenceCase, backend: Backend) -> dict[str, Quantity]:
    """Return the centred differences there; sizes as in tolerances.DIFFERENCES."""
    size = float(reference.expect(case, _SIZES)["trace.loss"].size)
    expected = {}
    for name, at in places(case).items():
        near, far = [], []
        for index in zip(*at, strict=True):
            near.append(_difference(case, backend, name, index, STEP))
            far.append(_difference(case, backend, name, index, 2 * STEP))
        value = np.array(near)
        truncation = np.abs(np.array(far) - value)
        expected[name] = Quantity(_SIZES, value, truncation / UNIT + size / STEP)
    return expected


def _difference(
    case: DifferenceCase, backend: Backend, name: str, index: tuple[int, ...], h: float
) -> float:
    x, y = case.data
    tensors = case.weights | {"input": x}
    losses, points = [], []
    for step in (h, -h):
        moved = np.array(tensors[name])
        moved[index] += step * max(1.0, abs(moved[index]))
        points.append(moved[index])
        given = tensors | {name: moved}
        inputs = given.pop("input")
        outputs = backend.forward(case.net, given, inputs)
        losses.append(float(backend.loss(case.loss, outputs, y)))
    return float((losses[0] - losses[1]) / (points[0] - points[1]))
