"""The loop of training.py, faster: many steps in one program.

That of jax's fast.py, on a module and an nnx.Optimizer.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
from flax import nnx
from jax import Array

from tetrapla.spec import Loop, Loss

from .. import fast
from . import losses
from .layers import Dropout, Sequential, places
from .training import train_step


def one_step(
    graph: nnx.GraphDef,
    carry: Any,
    given: tuple[Loss],
    eta: Array,
    *batch: Any,
    l2: float,
) -> tuple[Any, Array]:
    """Do a step on the state of the model and the optimizer."""
    model, optimizer = nnx.merge(graph, carry)
    step: Any = train_step
    value = step(model, *given, optimizer, eta, *batch, l2)
    return nnx.state((model, optimizer)), value


@partial(jax.jit, static_argnames=("graph", "loss"))
def measured(
    graph: nnx.GraphDef, carry: Any, loss: Loss, x: Array, y: Array
) -> tuple[Array, Array]:
    """Return the outputs and the loss, dropout off."""
    model, _ = nnx.merge(graph, carry)
    outputs = model(x, rngs=None)
    return outputs, losses.loss(loss, outputs, y)


class Steps(fast.Steps):
    """Training steps on a model and its optimizer: `state` is that."""

    step = staticmethod(one_step)
    measured = staticmethod(measured)

    def parts(self) -> tuple[nnx.GraphDef, Any]:
        return nnx.split((self.model, self.state))

    def drops(self, width: int) -> Iterator[tuple[int, float, int]]:
        for place, child in places(self.model):
            if isinstance(child, Dropout):
                yield place, 1 - child.rate, width
            elif isinstance(child, nnx.Linear):
                width = child.out_features

    def settle(self, carry: Any) -> None:
        nnx.update((self.model, self.state), carry)


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: nnx.Optimizer,
    x: Any,
    y: Any,
    loop: Loop,
) -> None:
    Steps(model, (loss,), optimizer, (x, y), loop).fit(loop)
