"""The loop of training.py, faster: many steps in one XLA program.

The steps are those of train_step; tf.while_loop does them one after the
other where the data are, so that Python is left once for many. A
program is kept with its variables (programs.py) for the next fit of the
same network, which brings weights of its own.
"""

from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tetrapla.spec import Loop, Loss, Shapes, Stretch, Together

from . import losses
from .programs import kept
from .snapshots import Snapshots
from .training import train_step

__all__ = ["Program", "fit", "kept"]

SAMPLES = 2**14  # of a stretch, and no more steps
Sizes = tuple[int, ...]  # of batches
EACH = ("at", "keys", "rates")  # one of each step
Given = dict[str, tf.Tensor]


class Program:
    """Many training steps on a model and an optimizer, compiled."""

    train_step: Any = staticmethod(train_step)
    losses: Any = losses

    def __init__(
        self, model: Any, loss: Loss, optimizer: Any, l2: float
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.loss, self.l2 = loss, l2
        self.compiled: dict[Hashable, Any] = {}
        # the optimizer of tf knows the weights too
        of_both = [*model.variables, *optimizer.variables]
        self.variables = list({id(v): v for v in of_both}.values())
        self.shown: dict[int, NDArray[Any]] | None = None

    def set_rate(self, eta: tf.Tensor) -> None:
        self.optimizer.eta.assign(eta)

    def one_step(
        self,
        steps: Given,
        size: int,
        x: tf.Tensor,
        y: tf.Tensor,
        i: tf.Tensor,
    ) -> tf.Tensor:
        """Do step i, of a batch of that size, and return its loss."""
        # by gather: XLA compiles a[i] again for each value of i's start
        own = {n: tf.gather(steps[n], i) for n in steps if n in EACH}
        rows = tf.gather(steps["rows"], own["at"] + tf.range(size))
        key = own.get("keys")
        self.set_rate(own["rates"])
        given = self.model, self.loss, self.optimizer
        batch = tf.gather(x, rows), tf.gather(y, rows)
        return self.train_step(*given, *batch, key, self.l2)

    def train_steps(
        self,
        sizes: Sizes,
        room: int,
        steps: Given,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Do these steps, of batches of these sizes.

        Returns their losses, and the variables at epochs' ends.
        """

        def run_of(
            size: int,
            start: tf.Tensor,
            end: tf.Tensor,
            losses: tf.Tensor,
        ) -> tf.Tensor:
            def body(i: tf.Tensor, losses: tf.Tensor) -> Any:
                value = self.one_step(steps, size, x, y, i)
                return i + 1, tf.tensor_scatter_nd_update(
                    losses, [[i]], [value]
                )

            given = start, losses
            return tf.while_loop(lambda i, _: i < end, body, given)[1]

        def one_run(
            j: tf.Tensor, losses: tf.Tensor, shots: list[tf.Tensor]
        ) -> Any:
            # each size in turn: a branch in each step would cost more
            ends = tf.unstack(tf.gather(steps["runs"], j))
            for size, bounds in zip(sizes, pairwise(ends), strict=True):
                losses = run_of(size, *bounds, losses)
            if shots:
                end = [[tf.gather(steps["ends"], j)]]
                values = [v[None] for v in self.values()]
                shots = [
                    tf.tensor_scatter_nd_update(shot, end, value)
                    for shot, value in zip(shots, values, strict=True)
                ]
            return j + 1, losses, shots

        losses = tf.zeros_like(steps["rates"])
        shots = [
            tf.zeros((room, *v.shape), v.dtype)
            for v in self.variables
            if room > 1
        ]
        _, losses, shots = tf.while_loop(
            lambda j, *_: j < steps["count"],
            one_run,
            (0, losses, shots),
        )
        return losses, shots

    def values(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(v) for v in self.variables]

    def assign(self, values: list[tf.Tensor]) -> None:
        for v, value in zip(self.variables, values, strict=True):
            v.assign(value)

    def run(
        self,
        sizes: Sizes,
        room: int,
        steps: Given,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Call train_steps as one program."""
        of_data = x.shape, y.shape, y.dtype
        of_steps = "keys" in steps, steps["rates"].shape
        shapes = sizes, room, *of_steps, *of_data
        if shapes not in self.compiled:
            function = tf.function(
                partial(self.train_steps, sizes, room),
                autograph=False,
                jit_compile=True,
            )
            given = steps, x, y
            concrete = function.get_concrete_function(*given)
            self.compiled[shapes] = concrete
        with tf.init_scope():  # no tape of the user's records the steps
            return self.compiled[shapes](steps, x, y)

    @tf.function(autograph=False, reduce_retracing=True)
    def measured(
        self, x: tf.Tensor, y: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the outputs and the mean loss, dropout off."""
        outputs = self.evaluated(x)
        mean = replace(self.loss, reduction="mean")
        return outputs, self.losses.loss(mean, outputs, y)

    @tf.function(autograph=False, reduce_retracing=True)
    def measured_each(
        self,
        shots: list[tf.Tensor],
        first: tf.Tensor,
        last: tf.Tensor,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the outputs and losses of some of the shots."""
        now = self.values()
        theta = self.model.trainable_variables[0].dtype  # and losses
        arrays = [
            tf.TensorArray(dtype, last - first)
            for dtype in (x.dtype, theta)
        ]

        def body(i: tf.Tensor, arrays: Any) -> Any:
            self.assign([tf.gather(shot, i) for shot in shots])
            both = zip(arrays, self.measured(x, y), strict=True)
            return i + 1, [a.write(i - first, v) for a, v in both]

        _, arrays = tf.while_loop(
            lambda i, _: i < last, body, (first, arrays)
        )
        self.assign(now)
        return arrays[0].stack(), arrays[1].stack()

    def evaluated(self, x: tf.Tensor) -> tf.Tensor:
        return self.model(x)

    def read(self, variable: Any) -> NDArray[Any]:
        """Return what a variable is, or was at the end shown."""
        if self.shown is not None:
            return np.array(self.shown[id(variable)])
        return np.array(variable.numpy())  # which may share its memory


class Steps(Together):
    """A program with the data of one fit."""

    def __init__(
        self, program: Program, x: Any, y: Any, loop: Loop, device: str
    ) -> None:
        self.program, self.device = program, device
        batch = loop.training.size(len(x))
        self.shapes = Shapes(x, y, batch, SAMPLES)
        sizes = [v.shape.num_elements() for v in program.variables]
        self.room = loop.room(sum(sizes))

    def run(self, stretch: Stretch, start: int, stop: int) -> tf.Tensor:
        with tf.device(self.device):
            given = self.shapes.padded(stretch, start, stop)
            sizes, steps, x, y = given
            tensors = {n: tf.constant(a) for n, a in steps.items()}
            data = tensors, x, y
            losses, shots = self.program.run(sizes, self.room, *data)
        if shots:
            about = len(stretch.ends), self.device
            self.snapshots = Snapshots(self.program, shots, *about)
        return losses

    def measure(self, x: Any, y: Any) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.device(self.device):
            return self.program.measured(tf.constant(x), tf.constant(y))

    def keep(self) -> list[tf.Tensor]:
        with tf.device(self.device):
            return [tf.identity(v) for v in self.program.variables]

    def restore(self, kept: list[tf.Tensor]) -> None:
        self.program.assign(kept)


def fit(
    program: Program, x: Any, y: Any, loop: Loop, device: str
) -> None:
    steps = Steps(program, x, y, loop, device)
    loop.measure = steps.measure
    loop.train(steps, len(x), steps.shapes.most)
