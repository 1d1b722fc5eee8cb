"""What a model and its optimizer were at the ends of epochs.

A stretch of steps in one program goes over them; they are looked at
afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array, lax

from tetrapla.spec import Loss

from .masks import empty

ROWS = 2**15  # of data, that snapshots are measured with at once


def at_index(arrays: Array, one: Array, i: Array) -> Array:
    return lax.dynamic_update_index_in_dim(arrays, one, i, 0)


@partial(jax.jit, static_argnames=("measured", "graph", "loss", "room"))
def measured_each(
    measured: Callable[..., tuple[Array, Array]],
    graph: nnx.GraphDef,
    shots: Any,
    bounds: tuple[int, int],
    loss: Loss,
    room: int,
    x: Array,
    y: Array,
) -> tuple[Array, Array]:
    """Return the outputs and losses of the shots between bounds."""
    first, last = bounds

    def measure(i: Array | int) -> tuple[Array, Array]:
        carry = jax.tree.map(lambda a: a[i], shots)
        return measured(graph, carry, loss, x, y)

    def body(i: Array, found: Any) -> Any:
        put = partial(at_index, i=i - first)
        return jax.tree.map(put, found, measure(i))

    found = empty(jax.eval_shape(measure, 0), room)
    return lax.fori_loop(first, last, body, found)


@dataclass
class Snapshots:
    """What was carried at each end of an epoch in a stretch."""

    steps: Any  # of the fast loop
    shots: Any
    count: int

    def measure(self, x: Array, y: Array) -> list[tuple[Any, Any]]:
        every: list[tuple[Any, Any]] = []
        steps = self.steps
        room = max(1, min(steps.room, ROWS // len(x)))
        for first in range(0, self.count, room):
            bounds = first, min(first + room, self.count)
            outputs, values = measured_each(
                steps.measured,
                steps.graph,
                self.shots,
                bounds,
                steps.mean,
                room,
                x,
                y,
            )
            there = slice(bounds[1] - first)
            both = np.asarray(outputs)[there], np.asarray(values)[there]
            every += zip(*both, strict=True)
        return every

    @cached_property
    def arrays(self) -> Any:
        return jax.tree.map(np.asarray, self.shots)

    @contextmanager
    def shown(self, end: int) -> Iterator[None]:
        """Let the model be what it was, for who reads it."""
        self.steps.settle(jax.tree.map(lambda a: a[end], self.arrays))
        self.steps.settled = True
        try:
            yield
        finally:
            self.steps.settled = False
