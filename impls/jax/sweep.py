"""Many learning rates at once: a step of training, mapped by vmap.

Models, states and rates have a leading axis; the data has none.
"""

from functools import partial

import jax
from jax import Array

from tetrapla.spec import Loops, Loss

from . import training
from .layers import Sequential
from .optimizers import Optimizer, State


@partial(jax.jit, static_argnames=("loss", "optimizer", "l2"))
def train_step(
    models: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    states: State,
    etas: Array,
    x: Array,
    y: Array,
    key: Array | None = None,
    l2: float = 0.0,
) -> tuple[Array, dict[str, Array], State]:
    def step(
        model: Sequential, state: State, eta: Array
    ) -> tuple[Array, dict[str, Array], State]:
        return training.train_step(
            model, loss, optimizer, state, eta, x, y, key, l2
        )

    return jax.vmap(step)(models, states, etas)


def fit(
    models: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    states: State,
    x: Array,
    y: Array,
    loops: Loops,
) -> None:
    l2 = loops.training.l2
    for epoch in loops.epochs():
        order = loops.order(epoch, len(x))  # shuffle
        for rows, key, etas in loops.batches(order):
            batch = x[rows], y[rows]
            values, weights, new = train_step(
                models, loss, optimizer, states, etas, *batch, key, l2
            )
            models.load(weights)
            states.update(new)
            loops.end_step(values, len(rows))
