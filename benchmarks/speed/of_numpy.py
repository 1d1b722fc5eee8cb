"""NumPy: scikit-learn, and a loop tuned by hand."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

import tetrapla as tp
from tetrapla.benchmarks.contest import Contestant
from tetrapla.benchmarks.ours import ours
from tetrapla.benchmarks.problems import Array, Problem


def contestants(problem: Problem) -> list[Contestant]:
    steps = problem.steps
    products = floor(problem, optimizer=False)
    return [
        *ours(problem, ["numpy"]),
        Contestant("scikit-learn", "peer", "MLPClassifier.fit", steps, sklearn(problem)),
        Contestant(
            "NumPy by hand", "loop", "preallocated, in place, flat", steps, by_hand(problem)
        ),
        Contestant(
            "NumPy products", "products", "the products alone", problem.passes, products
        ),
        Contestant(
            "NumPy floor", "floor", "products and Adam", problem.passes, floor(problem)
        ),
    ]


@contextmanager
def scope(device: str) -> Iterator[str]:
    """Refuse any device but the CPU."""
    tp.load("numpy", device)
    yield "cpu"


def sklearn(problem: Problem) -> Callable[[], float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    x, y = problem.data()

    def run() -> float:
        model = MLPClassifier(
            problem.hidden,
            alpha=0,
            batch_size=problem.batch,
            learning_rate_init=0.001,
            max_iter=problem.epochs,
            n_iter_no_change=problem.epochs + 1,  # it stops at none of them
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)
        return float(model.loss_)

    return run


def parameters(problem: Problem) -> tuple[Array, list[Array], list[Array]]:
    """Return He-initialised weights: one vector, and views of it."""
    rng = np.random.default_rng(0)
    shapes = list(zip(problem.widths, problem.widths[1:], strict=False))
    size = sum(a * b + b for a, b in shapes)
    theta, matrices, biases, at = np.zeros(size, np.float32), [], [], 0
    for a, b in shapes:
        matrices.append(theta[at : at + a * b].reshape(a, b))
        matrices[-1][...] = rng.normal(0, math.sqrt(2 / a), (a, b))
        biases.append(theta[at + a * b : at + a * b + b])
        at += a * b + b
    return theta, matrices, biases


def adam(theta: Array) -> Callable[[Array, int], None]:
    """Return Adam's update, in place, in blocks that stay in the cache."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    block = 2**16
    u, w = np.empty(block, theta.dtype), np.empty(block, theta.dtype)

    def update(g: Array, t: int) -> None:
        scale, root = 0.001 / (1 - 0.9**t), 1 / math.sqrt(1 - 0.999**t)
        for at in range(0, len(theta), block):
            part = slice(at, at + block)
            p, q, mm, vv = theta[part], g[part], m[part], v[part]
            a, b = u[: len(p)], w[: len(p)]
            mm *= 0.9
            np.multiply(q, 0.1, out=a)
            mm += a
            vv *= 0.999
            np.multiply(q, q, out=a)
            a *= 0.001
            vv += a
            np.sqrt(vv, out=a)
            a *= root
            a += 1e-8
            np.divide(mm, a, out=b)
            b *= scale
            p -= b

    return update


def by_hand(problem: Problem) -> Callable[[], float]:
    x, y = problem.data()
    onehot = np.eye(10, dtype=np.float32)
    rng = np.random.default_rng(1)
    theta, (w1, w2, w3), (b1, b2, b3) = parameters(problem)
    grad, (g1, g2, g3), (h1, h2, h3) = parameters(problem)
    first = theta.copy()

    def run() -> float:
        theta[...] = first
        update, t, total = adam(theta), 0, 0.0
        sizes = {problem.batch, problem.n % problem.batch} - {0}
        widths = problem.widths
        made = {
            k: [np.empty((k, d), np.float32) for d in (*widths[1:], *widths[1:3] * 2)]
            for k in sizes
        }
        on = {k: [np.empty((k, d), bool) for d in widths[1:3]] for k in sizes}
        for _ in range(problem.epochs):
            order, total = rng.permutation(problem.n), 0.0
            xs, ys = x[order], onehot[y[order]]
            for at in range(0, problem.n, problem.batch):
                xb, yb = xs[at : at + problem.batch], ys[at : at + problem.batch]
                n = len(xb)
                z1, z2, z3, a1, a2, d1, d2 = made[n]
                on1, on2 = on[n]
                np.matmul(xb, w1, out=z1)
                z1 += b1
                np.maximum(z1, 0, out=a1)
                np.matmul(a1, w2, out=z2)
                z2 += b2
                np.maximum(z2, 0, out=a2)
                np.matmul(a2, w3, out=z3)
                z3 += b3
                z3 -= z3.max(axis=1, keepdims=True)
                d3 = np.exp(z3)
                sums = d3.sum(axis=1, keepdims=True)
                total += float(np.log(sums).sum() - (z3 * yb).sum())
                d3 /= sums
                d3 -= yb
                d3 /= n
                np.matmul(a2.T, d3, out=g3)
                d3.sum(axis=0, out=h3)
                np.matmul(d3, w3.T, out=d2)
                np.greater(z2, 0, out=on2)
                d2 *= on2
                np.matmul(a1.T, d2, out=g2)
                d2.sum(axis=0, out=h2)
                np.matmul(d2, w2.T, out=d1)
                np.greater(z1, 0, out=on1)
                d1 *= on1
                np.matmul(xb.T, d1, out=g1)
                d1.sum(axis=0, out=h1)
                t += 1
                update(grad, t)
        return total / problem.n

    return run


def floor(problem: Problem, optimizer: bool = True) -> Callable[..., None]:
    x = problem.data()[0][: problem.batch]
    theta, (w1, w2, w3), _ = parameters(problem)
    grad, (g1, g2, g3), _ = parameters(problem)
    z1, z2, z3 = (np.empty((len(x), d), np.float32) for d in problem.widths[1:])
    d1, d2 = np.empty_like(z1), np.empty_like(z2)
    update = adam(theta)

    def run(passes: int = problem.passes) -> None:
        for t in range(1, passes + 1):
            np.matmul(x, w1, out=z1)
            np.matmul(z1, w2, out=z2)
            np.matmul(z2, w3, out=z3)
            np.matmul(z2.T, z3, out=g3)
            np.matmul(z3, w3.T, out=d2)
            np.matmul(z1.T, d2, out=g2)
            np.matmul(d2, w2.T, out=d1)
            np.matmul(x.T, d1, out=g1)
            if optimizer:
                update(grad, t)

    return run
