"""Gradients by centred differences of a backend's own loss, in float64.

Along a direction v, with h small:

    (f(w + h v) - f(w - h v)) / 2h = f'(w) v + O(h^2)

The truncation grows with h^2 and the rounding with u |f| / h; h = cbrt(u)
balances the two. The truncation is measured, not guessed: the difference of
step 2h is off by four times as much, so the two are three truncations apart.
The rounding is the oracle's bound on the loss, carried through the network.

The oracle's gradients are derived by hand, as NumPy's are; this check needs
no derivation at all. One random direction per tensor: a wrong formula moves
almost every one.
"""

from collections.abc import Iterator

import numpy as np

from tetrapla.backends import Backend
from tetrapla.oracle import losses, network
from tetrapla.oracle.arithmetic import Float64
from tetrapla.oracle.bounded import Bounded, given
from tetrapla.parity import samples
from tetrapla.parity.cases import DifferenceCase
from tetrapla.parity.verification import Check, checks, expected
from tetrapla.spec.contract import Array

UNIT = float(np.finfo(np.float64).epsneg)
STEP = 2.0 ** round(np.log2(np.cbrt(UNIT)))

_BOUNDS = Float64("float64")  # for bounds alone, which need no more digits


@checks.register
def _(case: DifferenceCase, backend: Backend) -> Iterator[Check]:
    x, y = case.data
    result = backend.loss_and_gradients(case.net, case.weights, x, y, case.loss)
    gradients = result.weights | {"input": result.input}
    loss = float(_loss(case).error)
    for name, gradient in gradients.items():
        v = direction(case, name)
        near = difference(case, backend, name, v, STEP)
        far = difference(case, backend, name, v, 2 * STEP)
        terms = float(np.abs(gradient * v).sum())  # added up here, in float64
        error = abs(far - near) + loss / STEP + gradient.size * UNIT * terms
        bounded = Bounded(_BOUNDS, near, error)
        stage = expected(name, f"change of the loss along a direction of {name}", bounded)
        yield Check(stage, np.asarray((gradient * v).sum(), backend.dtype))


def direction(case: DifferenceCase, name: str) -> Array:
    """Return a direction for a tensor: random signs, of length 1."""
    tensors = case.weights | {"input": case.data[0]}
    rng = samples.generator(f"{case.id} {name} direction")
    signs = rng.choice([-1.0, 1.0], tensors[name].shape)
    return np.asarray(signs / np.sqrt(signs.size))


def _loss(case: DifferenceCase) -> Bounded:
    """Return the loss, with its bound carried through the network."""
    x, y = case.data
    stages = network.forward(case.net, case.weights, given(_BOUNDS, x), None)
    return losses.loss(case.loss, stages[f"{len(case.net.layers) - 1}.a"], y)


def difference(
    case: DifferenceCase, backend: Backend, name: str, v: Array, h: float
) -> float:
    """Return the centred difference of the loss along v, of step h."""
    x, y = case.data
    tensors = case.weights | {"input": x}
    values = []
    for step in (h, -h):
        moved = tensors | {name: tensors[name] + step * v}
        inputs = moved.pop("input")
        outputs = backend.forward(case.net, moved, inputs)
        values.append(float(backend.loss(case.loss, outputs, y)))
    return (values[0] - values[1]) / (2 * h)
