"""Our own contestants: `fit`, through the public contract."""

from collections.abc import Sequence

import tetrapla as tp
from tetrapla.benchmarks.contest import Contestant
from tetrapla.benchmarks.problems import Problem


def ours(problem: Problem, names: Sequence[str]) -> list[Contestant]:
    """Return `fit` of each of these backends."""
    return [_fit(problem, name) for name in names]


def _fit(problem: Problem, name: str) -> Contestant:
    backend, net = tp.load(name, problem.device), problem.net()
    weights, data = net.init(seed=0), problem.data()
    training = training_of(problem, name)

    def run() -> float:
        return backend.fit(net, weights, data, training).history["loss"][-1]

    return Contestant(f"tetrapla {name}", "ours", "fit", problem.steps, run)


def training_of(problem: Problem, name: str) -> tp.Training:
    """Return the settings of a backend, whose library may have an Adam of its own."""
    return tp.Training(
        epochs=problem.epochs,
        batch_size=problem.batch,
        optimizer=tp.Adam.keras(0.001) if name == "tf.keras" else tp.Adam(0.001),
        loss="softmax_cross_entropy",
    )
