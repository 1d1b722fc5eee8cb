"""JAX: keras.fit on it, and loops with Optax written by hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

import tetrapla as tp
from tetrapla.benchmarks.contest import Contestant, LeftOut
from tetrapla.benchmarks.of_keras import keras_fit
from tetrapla.benchmarks.ours import ours
from tetrapla.benchmarks.problems import Problem

ADAM = optax.adam(0.001)


def contestants(problem: Problem) -> list[Contestant | LeftOut]:
    passes, whole = problem.passes, problem.epochs * problem.whole
    products = floor(problem, optimizer=False)
    return [
        *ours(problem, ["jax", "jax.flax"]),
        keras_fit(problem, "jax"),
        Contestant("jit per step", "peer", "Optax", problem.steps, per_step(problem)),
        Contestant("scan per epoch", "loop", "whole batches alone", whole, scan(problem)),
        Contestant("jax products", "products", "the products alone", passes, products),
        Contestant("jax floor", "floor", "products and Adam", passes, floor(problem)),
    ]


@contextmanager
def scope(device: str) -> Iterator[str]:
    """Let all compute where ours do, and no product in TF32; give the device's name."""
    backend = tp.load("jax", device).implementation
    with backend.scope():
        yield backend.place.device_kind


def parameters(problem: Problem) -> list[tuple[Array, Array]]:
    keys = jax.random.split(jax.random.key(0), 3)
    he = jax.nn.initializers.he_normal()
    shapes = zip(problem.widths, problem.widths[1:], strict=False)
    return [
        (he(key, shape), jnp.zeros(shape[1]))
        for key, shape in zip(keys, shapes, strict=True)
    ]


def loss_of(theta: list[tuple[Array, Array]], x: Array, y: Array) -> Array:
    *hidden, (w, b) = theta
    for weight, bias in hidden:
        x = jax.nn.relu(x @ weight + bias)
    return optax.softmax_cross_entropy_with_integer_labels(x @ w + b, y).mean()


def update(theta: Any, state: Any, x: Array, y: Array) -> tuple[Any, Any, Array]:
    loss, gradients = jax.value_and_grad(loss_of)(theta, x, y)
    updates, state = ADAM.update(gradients, state)
    return optax.apply_updates(theta, updates), state, loss


def per_step(problem: Problem) -> Callable[[], float]:
    """optax.readthedocs.io, Getting started: a jitted step."""
    x, y = map(jnp.asarray, problem.data())
    first = parameters(problem)

    @jax.jit
    def step(theta: Any, state: Any, rows: Array) -> tuple[Any, Any, Array]:
        return update(theta, state, x[rows], y[rows])

    def run() -> float:
        theta, key = first, jax.random.key(1)
        state = ADAM.init(theta)
        for _ in range(problem.epochs):
            key, subkey = jax.random.split(key)
            order = jax.device_get(jax.random.permutation(subkey, problem.n))
            for at in range(0, problem.n, problem.batch):
                theta, state, loss = step(theta, state, order[at : at + problem.batch])
        return float(jax.block_until_ready((theta, state, loss))[-1])

    return run


def scan(problem: Problem) -> Callable[[], float]:
    x, y = map(jnp.asarray, problem.data())
    whole, batch = problem.whole, problem.batch
    first = parameters(problem)

    @jax.jit
    def epoch(theta: Any, state: Any, key: Array) -> tuple[Any, Any, Array]:
        order = jax.random.permutation(key, problem.n)[: whole * batch]

        def body(carry: Any, rows: Array) -> tuple[Any, Array]:
            theta, state, loss = update(*carry, x[rows], y[rows])
            return (theta, state), loss

        carry, losses = lax.scan(body, (theta, state), order.reshape(whole, batch))
        return *carry, losses.mean()

    def run() -> float:
        theta, key = first, jax.random.key(1)
        state = ADAM.init(theta)
        for _ in range(problem.epochs):
            key, subkey = jax.random.split(key)
            theta, state, loss = epoch(theta, state, subkey)
        return float(jax.block_until_ready((theta, state, loss))[-1])

    return run


def floor(problem: Problem, optimizer: bool = True) -> Callable[..., None]:
    x = jnp.asarray(problem.data()[0][: problem.batch])
    # a rate so small that nothing overflows, and none that XLA can leave out
    rule = optax.adam(1e-12)
    # a GPU asks the host at each turn of a loop whose end XLA does not know
    known = () if problem.device == "cpu" else (0,)

    @partial(jax.jit, static_argnums=known)
    def go(count: int, theta: list[Array], state: Any) -> tuple[list[Array], Any]:
        def body(_: int, carry: Any) -> Any:
            (w1, w2, w3), state = carry
            z1 = x @ w1
            z2 = z1 @ w2
            z3 = z2 @ w3
            d2 = z3 @ w3.T
            g = [x.T @ (d2 @ w2.T), z1.T @ d2, z2.T @ z3]
            if optimizer:
                updates, state = rule.update(g, state)
                return optax.apply_updates([w1, w2, w3], updates), state
            return [w - 1e-12 * d for w, d in zip((w1, w2, w3), g, strict=True)], state

        return lax.fori_loop(0, count, body, (theta, state))

    theta = [w for w, _ in parameters(problem)]

    def run(passes: int = problem.passes) -> None:
        jax.block_until_ready(go(passes, theta, rule.init(theta)))

    return run
