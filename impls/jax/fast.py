"""The loop of training.py, faster: many steps in one program.

The steps are those of train_step; lax.fori_loop does them one after the
other where the data are, so that Python is left once for many. The
program is compiled once for a network and a batch size: which steps it
does, and how many, is data.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax

from tetrapla.spec import Loop, Loss, Shapes, Stretch, Together

from . import losses
from .layers import Dropout, Sequential
from .masks import NUMBERS, Dropouts, draw, empty
from .optimizers import Optimizer, State
from .snapshots import Snapshots, at_index
from .training import train_step

SAMPLES = 2**14  # of a stretch, and no more steps
TOGETHER = 16  # steps on a GPU for which the host is asked once
SMALL = 2**20  # numbers: of more, a step in vain costs more than that
Sizes = tuple[int, ...]  # of batches


def one_step(
    graph: nnx.GraphDef,
    carry: Any,
    given: tuple[Any, ...],
    eta: Array,
    *batch: Any,
    l2: float,
) -> tuple[Any, Array]:
    """Do a step on the parameters and the state of the optimizer."""
    params, state = carry
    model = nnx.merge(graph, params)
    value, weights, state = train_step(
        model, *given, state, eta, *batch, l2
    )
    model.load(weights)
    return (nnx.state(model), state), value


def in_a_turn(platform: str, numbers: int) -> int:
    """Return how many steps a turn of the loop has."""
    return TOGETHER if platform != "cpu" and numbers <= SMALL else 1


def looped(
    step: Callable[[Array, Any], Any],
    start: Array,
    stop: Array,
    carry: Any,
    together: int,
) -> Any:
    """Do the steps start ... stop - 1.

    How long this loop is, XLA does not know: on a GPU the host waits in
    each turn, to be told whether there is another. So a turn may have
    several steps; what the last of them make beyond stop is dropped.
    """
    if together == 1:
        return lax.fori_loop(start, stop, step, carry)

    def turn(j: Array, carry: Any) -> Any:
        def one(k: Array, carry: Any) -> Any:
            i = start + j * together + k
            kept, kind = jax.tree.flatten(carry)  # a step changes it
            made = jax.tree.leaves(step(i, carry))
            chosen = map(partial(jnp.where, i < stop), made, kept)
            return jax.tree.unflatten(kind, chosen)

        return lax.fori_loop(0, together, one, carry)

    turns = (stop - start + together - 1) // together
    return lax.fori_loop(0, turns, turn, carry)


@lru_cache(maxsize=64)  # to find it by its arguments takes jit longer
def program(
    step: Callable[..., tuple[Any, Array]],
    graph: nnx.GraphDef,
    given: tuple[Any, ...],
    dropouts: Dropouts,
    sizes: Sizes,
    l2: float,
    room: int,
    together: int,
) -> Callable[..., tuple[Any, Array, Any]]:
    """Return the program of many steps, of batches of these sizes."""

    @partial(jax.jit, donate_argnames="carry")
    def train_steps(
        carry: Any, steps: dict[str, Array], x: Array, y: Array
    ) -> tuple[Any, Array, Any]:
        """Return the losses too, and what it was at epochs' ends."""
        every = draw(dropouts, steps, max(sizes))

        def body(size: int, i: Array, carry: Any) -> Any:
            inner, values = carry
            at = (steps["at"][i],)
            rows = lax.dynamic_slice(steps["rows"], at, (size,))
            masks = jax.tree.map(lambda mask: mask[i, :size], every)
            eta, batch = steps["rates"][i], (x[rows], y[rows], masks)
            inner, value = step(graph, inner, given, eta, *batch, l2=l2)
            return inner, values.at[i].set(value)

        def one_run(j: Array, carry: Any) -> Any:
            # each size in turn: a branch in each step would cost more
            *carry, shots = carry
            ends = steps["runs"][j]
            for k, size in enumerate(sizes):
                of_size = partial(body, size)
                bounds = ends[k], ends[k + 1]
                carry = looped(of_size, *bounds, tuple(carry), together)
            if shots is not None:
                put = partial(at_index, i=steps["ends"][j])
                shots = jax.tree.map(put, shots, carry[0])
            return *carry, shots

        values = jnp.zeros_like(steps["rates"])  # of the losses
        shots = empty(carry, room) if room > 1 else None
        return lax.fori_loop(
            0, steps["count"], one_run, (carry, values, shots)
        )

    return train_steps


@jax.jit
def copied(carry: Any) -> Any:
    """Return a copy of it all, in one call."""
    return jax.tree.map(jnp.copy, carry)


@partial(jax.jit, static_argnames=("graph", "loss"))
def measured(
    graph: nnx.GraphDef, carry: Any, loss: Loss, x: Array, y: Array
) -> tuple[Array, Array]:
    """Return the outputs and the loss, dropout off."""
    outputs = nnx.merge(graph, carry[0])(x)
    return outputs, losses.loss(loss, outputs, y)


class Steps(Together):
    """Training steps on a model and a state, which they change."""

    step = staticmethod(one_step)
    measured = staticmethod(measured)

    def __init__(
        self,
        model: Any,
        given: tuple[Any, ...],
        state: Any,
        data: tuple[Any, Any],
        loop: Loop,
    ) -> None:
        training = loop.training
        self.model, self.given, self.state = model, given, state
        self.l2 = training.l2
        self.mean = replace(training.loss, reduction="mean")
        size = training.size(len(data[0]))
        self.dropouts = tuple(self.drops(data[0].shape[1]))
        widths = sum(width for _, _, width in self.dropouts)
        most = min(SAMPLES, NUMBERS // max(1, widths))
        self.shapes = Shapes(*data, size, most)
        self.graph, self.carry = self.parts()
        self.programs: dict[Any, Any] = {}
        self.settled = True  # whether the model has what is in carry
        leaves = jax.tree.leaves(self.carry)
        numbers = sum(leaf.size for leaf in leaves)
        self.room = loop.room(numbers)
        (device,) = leaves[0].devices()
        self.together = in_a_turn(device.platform, numbers)

    def parts(self) -> tuple[nnx.GraphDef, Any]:
        """Return what does not change, and what does."""
        graph, params = nnx.split(self.model)
        return graph, (params, self.state)

    def drops(self, width: int) -> Iterator[tuple[int, float, int]]:
        """Yield place, keep and width of each dropout layer."""
        for layer in self.model.layers:
            if isinstance(layer, Dropout):
                yield layer.place, layer.keep, width
            else:
                width = layer.weight.shape[1]

    def settle(self, carry: Any) -> None:
        """Make what was carried the model's and the optimizer's."""
        params, state = carry
        nnx.update(self.model, params)
        self.state.update(state)

    def run(self, stretch: Stretch, start: int, stop: int) -> Array:
        sizes, *given = self.shapes.padded(stretch, start, stop)
        if sizes not in self.programs:
            fixed = self.step, self.graph, self.given, self.dropouts
            how = self.l2, self.room, self.together
            own = program(*fixed, sizes, *how)
            self.programs[sizes] = own
        train_steps = self.programs[sizes]
        self.carry, values, shots = train_steps(self.carry, *given)
        self.settled = False
        if shots is not None:
            self.snapshots = Snapshots(self, shots, len(stretch.ends))
        return values

    def measure(self, x: Array, y: Array) -> tuple[Array, Array]:
        return self.measured(self.graph, self.carry, self.mean, x, y)

    def keep(self) -> Any:
        return copied(self.carry)

    def restore(self, kept: Any) -> None:
        self.carry = copied(kept)
        self.settled = False

    def fit(self, loop: Loop) -> None:
        loop.measure = self.measure
        loop.weights = self.after_settling(loop.weights)
        loop.optimizer = self.after_settling(loop.optimizer)
        loop.train(self, len(self.shapes.x), self.shapes.most)

    def after_settling(self, read: Callable[[], Any]) -> Any:
        """Return what reads the model where that is up to date."""

        def call() -> Any:
            if not self.settled:
                self.settle(self.carry)
                self.settled = True
            return read()

        return call


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    state: State,
    x: Any,
    y: Any,
    loop: Loop,
) -> None:
    given = loss, optimizer
    Steps(model, given, state, (x, y), loop).fit(loop)
