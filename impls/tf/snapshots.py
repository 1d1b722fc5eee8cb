"""What a model and its optimizer were at the ends of epochs.

A stretch of steps in one program goes over them; they are looked at
afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

ROWS = 2**15  # of data, that snapshots are measured with at once


@dataclass
class Snapshots:
    """What the variables were at each end of an epoch in a stretch."""

    program: Any  # of the fast loop
    shots: list[tf.Tensor]
    count: int
    device: str

    def measure(self, x: Any, y: Any) -> list[tuple[Any, Any]]:
        every: list[tuple[Any, Any]] = []
        room = max(1, ROWS // len(x))
        with tf.device(self.device):
            x, y = tf.constant(x), tf.constant(y)
            for first in range(0, self.count, room):
                last = min(first + room, self.count)
                bounds = tf.constant(first), tf.constant(last)
                given = self.shots, *bounds, x, y
                outputs, values = self.program.measured_each(*given)
                pairs = zip(
                    outputs.numpy(), values.numpy(), strict=True
                )
                every += pairs
        return every

    @cached_property
    def arrays(self) -> list[NDArray[Any]]:
        return [shot.numpy() for shot in self.shots]

    @contextmanager
    def shown(self, end: int) -> Iterator[None]:
        """Let the variables be what they were, for who reads them."""
        both = zip(self.program.variables, self.arrays, strict=True)
        self.program.shown = {id(v): array[end] for v, array in both}
        try:
            yield
        finally:
            self.program.shown = None
