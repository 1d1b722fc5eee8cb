"""The loop of training.py, faster: many steps in one XLA program.

The steps are those of train_step; tf.while_loop does them one after the
other where the data are, so that Python is left once for many. A
program is of the variables of its model and optimizer, and takes
seconds to trace and compile: they are kept together (`Kept`) for the
next fit of the same network, which brings weights of its own.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import Any

import tensorflow as tf

from tetrapla.spec import Loop, Loss, Shapes, Stretch, Training

from . import losses
from .training import train_step

SAMPLES = 2**14  # of a stretch, and no more steps
Sizes = tuple[int, ...]  # of batches
EACH = ("at", "keys", "rates")  # one of each step
LARGE = 2**26  # numbers in variables that are kept
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
        self, sizes: Sizes, steps: Given, x: tf.Tensor, y: tf.Tensor
    ) -> tf.Tensor:
        """Do these steps, of batches of these sizes: their losses."""

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

        def one_run(j: tf.Tensor, losses: tf.Tensor) -> Any:
            # each size in turn: a branch in each step would cost more
            ends = tf.unstack(tf.gather(steps["runs"], j))
            for size, bounds in zip(sizes, pairwise(ends), strict=True):
                losses = run_of(size, *bounds, losses)
            return j + 1, losses

        losses = tf.zeros(steps["rates"].shape, x.dtype)
        return tf.while_loop(
            lambda j, _: j < steps["count"], one_run, (0, losses)
        )[1]

    def run(
        self, sizes: Sizes, steps: Given, x: tf.Tensor, y: tf.Tensor
    ) -> tf.Tensor:
        """Call train_steps as one program."""
        of_data = x.shape, y.shape, y.dtype
        of_steps = "keys" in steps, steps["rates"].shape
        shapes = sizes, *of_steps, *of_data
        if shapes not in self.compiled:
            function = tf.function(
                partial(self.train_steps, sizes),
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

    def evaluated(self, x: tf.Tensor) -> tf.Tensor:
        return self.model(x)


class Kept:
    """Programs that no fit is using; those used least lately go."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = Lock()
        self.programs: OrderedDict[Hashable, Program] = OrderedDict()

    @contextmanager
    def lent(
        self, key: Hashable, make: Callable[[], Program]
    ) -> Iterator[Program]:
        """Lend the program of this key, or a new one, to one fit."""
        with self.lock:
            program = self.programs.pop(key, None)
        program = make() if program is None else program
        try:
            yield program
        finally:
            self.give(key, program)

    def give(self, key: Hashable, program: Program) -> None:
        """Take a program back, and let go of what is too much."""
        with self.lock:
            self.programs[key] = program
            while (
                len(self.programs) > self.most or self.numbers() > LARGE
            ):
                self.programs.popitem(last=False)

    def numbers(self) -> int:
        """Return how many numbers the variables of all hold."""
        every = [v for p in self.programs.values() for v in p.variables]
        return sum(v.shape.num_elements() for v in every)


kept = Kept(most=16)


class Steps:
    """A program with the data of one fit."""

    def __init__(
        self,
        program: Program,
        x: Any,
        y: Any,
        training: Training,
        device: str,
    ) -> None:
        self.program = program
        self.shapes = Shapes(x, y, training.size(len(x)), SAMPLES)
        self.device = device

    def run(self, stretch: Stretch, start: int, stop: int) -> tf.Tensor:
        with tf.device(self.device):
            given = self.shapes.padded(stretch, start, stop)
            sizes, steps, x, y = given
            tensors = {n: tf.constant(a) for n, a in steps.items()}
            return self.program.run(sizes, tensors, x, y)

    def measure(self, x: Any, y: Any) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.device(self.device):
            return self.program.measured(tf.constant(x), tf.constant(y))

    def keep(self) -> list[tf.Tensor]:
        with tf.device(self.device):
            return [tf.identity(v) for v in self.program.variables]

    def restore(self, kept: list[tf.Tensor]) -> None:
        for v, value in zip(self.program.variables, kept, strict=True):
            v.assign(value)


def fit(
    program: Program, x: Any, y: Any, loop: Loop, device: str
) -> None:
    steps = Steps(program, x, y, loop.training, device)
    loop.measure = steps.measure
    loop.train(steps, len(x), steps.shapes.most)
