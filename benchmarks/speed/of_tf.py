"""TensorFlow: keras.fit on it, and loops written by hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

import tetrapla as tp
from tetrapla.benchmarks.contest import Contestant, LeftOut
from tetrapla.benchmarks.of_keras import keras_fit
from tetrapla.benchmarks.of_numpy import parameters
from tetrapla.benchmarks.ours import ours
from tetrapla.benchmarks.problems import Problem


def contestants(problem: Problem) -> list[Contestant | LeftOut]:
    passes, whole = problem.passes, problem.epochs * problem.whole
    products = floor(problem, optimizer=False)
    return [
        *ours(problem, ["tf", "tf.keras"]),
        keras_fit(problem, "TensorFlow"),
        Contestant(
            "tf.function per step",
            "peer",
            "the guide's loop",
            problem.steps,
            steps(problem),
        ),
        Contestant("epoch in one function", "loop", "", whole, epochs(problem, xla=False)),
        Contestant("epoch in XLA", "loop", "jit_compile", whole, epochs(problem, xla=True)),
        Contestant("tf products", "products", "the products alone", passes, products),
        Contestant("tf floor", "floor", "products and Adam", passes, floor(problem)),
    ]


@contextmanager
def scope(device: str) -> Iterator[str]:
    """Let all compute where ours do, and no product in TF32; give the device's name."""
    backend = tp.load("tf", device).implementation
    with backend.scope():
        yield "cpu" if device == "cpu" else gpu_name(backend.place)


def gpu_name(place: str) -> str:
    gpus = tf.config.list_physical_devices("GPU")
    gpu = gpus[int(place.rpartition(":")[2])]
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", place))


class Network(tf.Module):
    """A network and its Adam, as variables."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        _, matrices, biases = parameters(problem)
        self.theta = [
            tf.Variable(a) for pair in zip(matrices, biases, strict=True) for a in pair
        ]
        self.m = [tf.Variable(tf.zeros_like(p)) for p in self.theta]
        self.v = [tf.Variable(tf.zeros_like(p)) for p in self.theta]
        self.t = tf.Variable(0.0)

    def step(self, x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            w1, b1, w2, b2, w3, b3 = self.theta
            a = tf.nn.relu(x @ w1 + b1)
            a = tf.nn.relu(a @ w2 + b2)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, a @ w3 + b3)
            loss = tf.reduce_mean(losses)
        self.update(tape.gradient(loss, self.theta))
        return loss

    def update(self, gradients: list[Any]) -> None:
        self.t.assign_add(1.0)
        c1, c2 = 1 - 0.9**self.t, 1 - 0.999**self.t
        for p, m, v, g in zip(self.theta, self.m, self.v, gradients, strict=True):
            m.assign(0.9 * m + 0.1 * g)
            v.assign(0.999 * v + 0.001 * g * g)
            p.assign_sub(0.001 * (m / c1) / (tf.sqrt(v / c2) + 1e-8))


def steps(problem: Problem) -> Callable[[], float]:
    """tensorflow.org/guide/core, with tf.data replaced by slices."""
    x, y = map(tf.constant, problem.data())
    network = Network(problem)

    @tf.function(reduce_retracing=True)
    def step(rows: Any) -> Any:
        return network.step(tf.gather(x, rows), tf.gather(y, rows))

    def run() -> float:
        for _ in range(problem.epochs):
            order = tf.random.shuffle(tf.range(problem.n))
            for at in range(0, problem.n, problem.batch):
                loss = step(order[at : at + problem.batch])
        return float(loss)

    return run


def epochs(problem: Problem, xla: bool) -> Callable[[], float]:
    x, y = map(tf.constant, problem.data())
    network, batch = Network(problem), problem.batch

    @tf.function(jit_compile=xla)
    def epoch(order: Any) -> Any:
        total = tf.constant(0.0)
        for rows in tf.reshape(order, (problem.whole, batch)):
            total += network.step(tf.gather(x, rows), tf.gather(y, rows))
        return total / problem.whole

    def run() -> float:
        for _ in range(problem.epochs):
            order = tf.random.shuffle(tf.range(problem.n))
            loss = epoch(order[: problem.whole * batch])
        return float(loss)

    return run


def floor(problem: Problem, optimizer: bool = True) -> Callable[..., None]:
    x = tf.constant(problem.data()[0][: problem.batch])
    network = Network(problem)

    @tf.function(jit_compile=True)
    def go(count: Any) -> Any:
        i = tf.constant(0)
        while i < count:  # of tf.range XLA compiles each count again
            i += 1
            w1, _, w2, _, w3, _ = network.theta
            z1 = x @ w1
            z2 = z1 @ w2
            z3 = z2 @ w3
            d2 = tf.matmul(z3, w3, transpose_b=True)
            g3 = tf.matmul(z2, z3, transpose_a=True)
            g2 = tf.matmul(z1, d2, transpose_a=True)
            g1 = tf.matmul(x, tf.matmul(d2, w2, transpose_b=True), transpose_a=True)
            if optimizer:  # a bias stands for its gradient: its sum is no product
                pairs = zip((g1, g2, g3), network.theta[1::2], strict=True)
                network.update([each for pair in pairs for each in pair])
            else:
                for p, each in zip((w1, w2, w3), (g1, g2, g3), strict=True):
                    # as small as not to overflow, and not to be left out
                    p.assign_sub(1e-12 * each)
        return network.theta[4][0, 0]

    def run(passes: int = problem.passes) -> None:
        # a GPU asks the host at each turn of a loop whose end XLA does not know
        count = tf.constant(passes) if problem.device == "cpu" else passes
        go(count).numpy()  # which waits for the last of it

    return run
