"""Each preset beside the installed library: its own defaults, 200 steps.

The library's optimizer is made as its user makes it, without arguments
(Optax needs a learning rate), in float64, with gradients from 1e-12 to 1e3
and a learning rate that changes twice. Every step starts from the library's
own weights and state: what it makes of them, and what every from-scratch
backend makes of them under the preset, must be within the bound of the
preset's formula. Where a library is not, a row of the known-deviations table
says why, and the test fails if the row is no longer needed.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
import support
from numpy.typing import NDArray

from tetrapla.oracle import optimizers as oracle
from tetrapla.oracle.arithmetic import admitting, judge
from tetrapla.oracle.bounded import given
from tetrapla.parity import deviations
from tetrapla.parity.comparison import Comparison, compare
from tetrapla.parity.verification import expected
from tetrapla.spec import OPTIMIZERS, Optimizer

STEPS = 200
SHAPE = (16, 3)  # a magnitude a row, 1e-12 to 1e3
SCRATCH = ("numpy", "torch", "tf", "jax")

Arrays = dict[str, NDArray[np.float64]]  # "theta" and the slots
Run = Callable[[str, NDArray[np.float64]], Iterator[Arrays]]


def rate(t: int) -> float:
    """The factor of the learning rate in step t, counted from 1."""
    return 1.0 if t <= 70 else 0.3 if t <= 140 else 2.0


@cache
def gradients() -> NDArray[np.float64]:
    draws = np.random.default_rng(7).standard_normal((STEPS, *SHAPE))
    return draws * np.logspace(-12, 3, SHAPE[0])[:, None]


def first_weights() -> NDArray[np.float64]:
    return np.random.default_rng(8).standard_normal(SHAPE)


def torch_run(name: str, spec: Optimizer) -> Iterator[Arrays]:
    """Yield weights and slots before the first step and after each."""
    import torch

    from tetrapla.impls.torch.library.optimizers import SLOTS

    kinds = {"sgd": "SGD", "adagrad": "Adagrad", "adadelta": "Adadelta"}
    kinds |= {"rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
    theta = torch.nn.Parameter(torch.tensor(first_weights()))
    optimizer = getattr(torch.optim, kinds[name])([theta])
    (group,) = optimizer.param_groups
    lr = group["lr"]
    for t in range(STEPS + 1):
        if t:
            group["lr"] = lr * rate(t)
            theta.grad = torch.tensor(gradients()[t - 1])
            optimizer.step()
        row = {"theta": theta.detach().numpy().copy()}
        for slot, first in spec.slots.items():
            kept = optimizer.state[theta].get(SLOTS[name][slot])
            row[slot] = np.full(SHAPE, first) if kept is None else kept.numpy().copy()
        yield row


def keras_run(name: str, spec: Optimizer) -> Iterator[Arrays]:
    import keras

    from tetrapla.impls.tf.library.optimizers import SLOTS

    kinds = {"sgd": "SGD", "adagrad": "Adagrad", "adadelta": "Adadelta"}
    kinds |= {"rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
    theta = keras.Variable(first_weights(), dtype="float64")
    optimizer = getattr(keras.optimizers, kinds[name])()
    lr = float(spec.lr)
    optimizer.build([theta])
    for t in range(STEPS + 1):
        if t:
            optimizer.learning_rate = lr * rate(t)
            optimizer.apply([keras.ops.convert_to_tensor(gradients()[t - 1])])
        row = {"theta": theta.numpy().copy()}
        for slot in spec.slots:
            (variable,) = getattr(optimizer, SLOTS[name][slot])
            value = variable.numpy().copy()
            row[slot] = -value if name == "sgd" else value
        yield row


def optax_run(name: str, spec: Optimizer) -> Iterator[Arrays]:
    import jax
    import jax.numpy as jnp
    import optax

    from tetrapla.impls.jax.library.optimizers import signed, trees

    with jax.enable_x64(True):
        theta = jnp.array(first_weights())
        state = getattr(optax, name)(spec.lr).init(theta)
        for t in range(STEPS + 1):
            if t:
                rule = getattr(optax, name)(spec.lr * rate(t))
                steps, state = rule.update(jnp.array(gradients()[t - 1]), state, theta)
                theta = optax.apply_updates(theta, steps)
            row = {"theta": np.array(theta)}
            for slot, value in trees(spec, state).items():
                row[slot] = np.array(signed(spec, slot, value))
            yield row


RUNS = {"torch": torch_run, "keras": keras_run, "optax": optax_run}
BACKENDS = {"torch": "torch.nn", "keras": "tf.keras", "optax": "jax.flax"}


@cache
def path(library: str, name: str) -> Arrays:
    """Return the library's own run: each array has STEPS + 1 rows."""
    support.backend(BACKENDS[library], "float64")
    spec = getattr(OPTIMIZERS[name], library)()
    rows = list(RUNS[library](name, spec))
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def compared(spec: Optimizer, before: Arrays, after: Arrays) -> dict[str, Comparison]:
    """Compare all steps, each from its own weights and state, with the oracle."""
    ar = judge("float64")
    t = np.arange(1, STEPS + 1).reshape(-1, 1, 1)
    eta = np.array([spec.lr * rate(i) for i in range(1, STEPS + 1)]).reshape(t.shape)
    slots = {slot: given(ar, before[slot]) for slot in spec.slots}
    with np.errstate(all="ignore"):
        theta, new = oracle.update(
            spec, given(ar, before["theta"]), given(ar, gradients()), slots, t, eta
        )
        wanted = {"theta": theta, **new}
        return {
            key: compare(expected(key, spec.name, value), after[key])
            for key, value in wanted.items()
        }


def steps_of(run: Arrays) -> tuple[Arrays, Arrays]:
    return {k: v[:-1] for k, v in run.items()}, {k: v[1:] for k, v in run.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("library", RUNS)
def test_the_library_with_its_defaults_is_its_preset(library: str, name: str) -> None:
    spec = getattr(OPTIMIZERS[name], library)()
    before, after = steps_of(path(library, name))
    plain = compared(spec, before, after)
    wrong = {key: c for key, c in plain.items() if not c.agrees}
    rows = [
        row for row in deviations.of(BACKENDS[library], "float64") if name in row.presets
    ]
    with admitting(row.habit for row in rows):
        known = compared(spec, before, after)
    assert not [c for c in known.values() if not c.agrees]
    assert bool(wrong) == bool(rows), "a row is missing, or no longer needed"


@pytest.mark.parametrize("backend", SCRATCH)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("library", RUNS)
def test_every_backend_has_every_preset(library: str, name: str, backend: str) -> None:
    spec = getattr(OPTIMIZERS[name], library)()
    before, _ = steps_of(path(library, name))
    b = support.backend(backend, "float64")
    rows = []
    for t in range(1, STEPS + 1):
        state = {f"{slot}/w": before[slot][t - 1] for slot in spec.slots}
        state["t"] = np.array(t - 1, np.int64)
        given_weights, g = {"w": before["theta"][t - 1]}, {"w": gradients()[t - 1]}
        new, kept = b.update(spec.with_lr(spec.lr * rate(t)), given_weights, g, state)
        rows.append({"theta": new["w"], **{s: kept[f"{s}/w"] for s in spec.slots}})
    after = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    assert not [c for c in compared(spec, before, after).values() if not c.agrees]
