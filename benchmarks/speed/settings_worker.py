"""The process of one framework: its backends' runs with settings, as JSON."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

import tetrapla as tp
from tetrapla.benchmarks.contest import Contestant, contest
from tetrapla.benchmarks.ours import training_of
from tetrapla.benchmarks.problems import Problem, asked
from tetrapla.benchmarks.scaling_worker import BACKENDS


def contestants(problem: Problem, name: str) -> Iterator[Contestant]:
    """Yield a run of a backend without any setting, and one with each."""
    backend, net = tp.load(name, problem.device), problem.net()
    data = problem.data()
    digits = tp.data.digits()
    held_out = digits.x_test.astype(np.float32), digits.y_test
    plain = training_of(problem, name)
    dropout = with_dropout(net)

    def run(
        net: tp.Sequential = net,
        changes: dict[str, Any] | None = None,
        **how: Any,
    ) -> Callable[[], float]:
        weights, training = net.init(seed=0), replace(plain, **(changes or {}))

        def fit() -> float:
            done = backend.fit(net, weights, data, training, **how)
            return done.history["loss"][-1]

        return fit

    def saved() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return run(checkpoints=tp.Checkpoints(folder))()

    steps = problem.steps
    patient = {"early_stopping": tp.EarlyStopping(problem.epochs)}
    cosine = {"schedule": tp.Warmup(10, tp.CosineDecay(steps))}
    runs: dict[str, Callable[[], float]] = {
        "none": run(),
        "dropout 0.5 after each hidden layer": run(dropout),
        "early stopping on the training loss": run(changes=patient),
        "early stopping on 359 other samples": run(changes=patient, validation=held_out),
        "warm-up and cosine schedule": run(changes=cosine),
        "a checkpoint after every epoch": saved,
        "a report of every step": run(on_step=lambda report: None),
        "a report of every epoch": run(on_epoch=lambda report: None),
        "accuracy on the training data": run(changes={"metrics": ("accuracy",)}),
    }
    for setting, train in runs.items():
        yield Contestant(setting, "ours", name, steps, train)


def with_dropout(net: tp.Sequential) -> tp.Sequential:
    """Return the network with dropout after each layer but the last."""
    layers: list[tp.Dense | tp.Dropout] = []
    for layer in net.layers[:-1]:
        layers += [layer, tp.Dropout(0.5)]
    return tp.Sequential(*layers, net.layers[-1])


def main(framework: str, repeats: str, quick: str, device: str) -> None:
    problem = asked("small", device, quick == "quick")
    found = {
        name: [asdict(r) for r in contest(list(contestants(problem, name)), int(repeats))]
        for name in BACKENDS[framework]
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
