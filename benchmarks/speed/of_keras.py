"""keras.fit, on the framework that KERAS_BACKEND names."""

from collections.abc import Callable
from importlib.util import find_spec

from tetrapla.benchmarks.contest import Contestant, LeftOut
from tetrapla.benchmarks.problems import Problem


def keras_fit(problem: Problem, framework: str) -> Contestant | LeftOut:
    name = f"keras.fit on {framework}"
    if find_spec("keras") is None:
        return LeftOut(name, "keras is not installed")
    return Contestant(name, "peer", "Model.fit", problem.steps, fit(problem))


def fit(problem: Problem) -> Callable[[], float]:
    import keras

    x, y = problem.data()
    device = "gpu:0" if problem.device == "gpu" else problem.device  # as keras says it
    with keras.device(device):
        layers = [keras.layers.Dense(width, activation="relu") for width in problem.hidden]
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
        model.compile(
            optimizer=keras.optimizers.Adam(0.001),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def run() -> float:
        how = {"batch_size": problem.batch, "epochs": problem.epochs, "verbose": 0}
        with keras.device(device):
            return float(model.fit(x, y, **how).history["loss"][-1])

    return run
