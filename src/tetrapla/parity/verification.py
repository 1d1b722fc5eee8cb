"""What a backend answers in each case, beside what the oracle expects.

Everything is asked through the public contract: a backend of somebody
else's is asked the same. `checks` yields one Check per tensor, in the order
of computation, so that the first that is outside its bound is where the
fault is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, singledispatch
from typing import Any

import numpy as np

from tetrapla.backends import Backend
from tetrapla.oracle import activations, habits, losses, network, optimizers
from tetrapla.oracle.arithmetic import Arithmetic, Float64, judge
from tetrapla.oracle.bounded import Bounded, cast, exact, given, unclaimed
from tetrapla.oracle.stages import Stage, of_pass, products, widened
from tetrapla.parity.cases import (
    ActivationCase,
    Case,
    LossCase,
    NetworkCase,
    OptimizerCase,
    TrainingCase,
)
from tetrapla.parity.samples import fixed
from tetrapla.spec.contract import Array, Arrays
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import Loss
from tetrapla.spec.optimizers import Optimizer
from tetrapla.spec.precisions import numpy_dtype
from tetrapla.spec.reports import StepReport
from tetrapla.spec.state import TrainingState
from tetrapla.spec.training import Training

# A network, its weights, a batch x, y, and the loss.
Asked = tuple[Sequential, Arrays, Array, Array, Loss]


@dataclass(frozen=True)
class Check:
    """One tensor of a backend's, and the stage it must agree with.

    `steps`: the first axis is of these steps of a run. `shared`: every
    backend had the same inputs, so that they can be compared with each
    other. `part`: the parts of a case come one after the other.
    """

    stage: Stage
    got: Array | None
    step: int | None = None
    steps: Sequence[int] = ()
    shared: bool = False
    part: int = 0


def expected(
    tensor: str, formula: str, value: Bounded, inputs: Mapping[str, Array] | None = None
) -> Stage:
    """Return the stage of a tensor whose expectation is at hand."""
    whole: tuple[slice, ...] = (slice(None),) if value.shape else ()
    blocks = lambda: iter([(whole, value)])  # noqa: E731
    return Stage(tensor, formula, value.shape, inputs or {}, blocks)


def nothing_but(names: Mapping[str, Any], got: Arrays) -> Iterator[Check]:
    """Yield a check that fails for every tensor the specification has not."""
    for name in got.keys() - names.keys():
        stage = Stage(name, "the specification has no such tensor", (-1,), {}, iter_none)
        yield Check(stage, got[name])


def frozen(arrays: Arrays) -> Arrays:
    """Return copies that nobody can write to: a backend may not."""
    return {name: fixed(a) for name, a in arrays.items()}


def iter_none() -> Iterator[Any]:
    """Yield nothing."""
    return iter(())


def forget() -> None:
    """Drop what was kept for the backends of one run."""
    for kept in (_activation, _loss, _whole, _path, _steps):
        kept.cache_clear()


def _judge_of(backend: Backend) -> Arithmetic:
    """Return the arithmetic that judges a backend's data, where it computes."""
    return judge(backend.dtype, backend.device)


@singledispatch
def checks(case: Case, backend: Backend) -> Iterator[Check]:
    """Yield every tensor of the case with what it must be."""
    raise TypeError(f"nobody asks a backend for {type(case).__name__}")


@checks.register
def _(case: ActivationCase, backend: Backend) -> Iterator[Check]:
    a, dz = _activation(case, _judge_of(backend))
    g, z = case.activation, case.z
    stage = expected("a", f"{g.name}(z)", a, {"z": z})
    yield Check(stage, backend.activation(g, z), shared=True)
    if dz is not None:
        da = case.upstream
        stage = expected("dz", f"{g.name}'(z) * da", dz, {"z": z, "da": da})
        yield Check(stage, backend.activation_gradient(g, z, da), shared=True)


@cache  # several backends ask for one case
def _activation(case: ActivationCase, ar: Arithmetic) -> tuple[Bounded, Bounded | None]:
    z = cast(ar, case.z)
    a = activations.activation(case.activation, z)
    if case.forward_only:
        return a, None
    dz = activations.gradient(case.activation, z, cast(ar, case.upstream))
    # What is finite in the case may be beyond a half's range.
    return a, unclaimed(dz, np.isinf(z.floats) & np.isfinite(case.z))


@checks.register
def _(case: LossCase, backend: Backend) -> Iterator[Check]:
    value, gradient = _loss(case, _judge_of(backend))
    inputs = {"outputs": case.outputs, "y": case.y}
    got = np.asarray(backend.loss(case.loss, case.outputs, case.y))
    yield Check(expected("loss", case.loss.name, value, inputs), got, shared=True)
    if gradient is not None:
        # The gradient is seen behind a layer that changes nothing: if it does,
        # that is the layer's fault, and the gradient is still of its outputs.
        width = case.outputs.shape[1]
        weights = {"0.weight": np.eye(width), "0.bias": np.zeros(width)}
        net = Sequential(Dense(width, width))
        stages = backend.trace(net, weights, case.outputs, case.y, case.loss)
        own = stages.get("0.a", case.outputs)
        if own.shape == case.outputs.shape and not np.array_equal(own, case.outputs):
            gradient = _loss_gradient(case, _judge_of(backend), own)
        stage = expected("gradient", f"gradient of {case.loss.name}", gradient, inputs)
        yield Check(stage, stages.get("0.da"), shared=True)


@cache
def _loss(case: LossCase, ar: Arithmetic) -> tuple[Bounded, Bounded | None]:
    value = losses.loss(case.loss, _outputs(ar, case.outputs), case.y)
    if case.loss.reduction == "none":
        return value, None
    return value, _loss_gradient(case, ar, case.outputs)


def _outputs(ar: Arithmetic, outputs: Array) -> Bounded:
    """Return outputs as a loss is given them: rounded, and widened."""
    return cast(ar.wide, cast(ar, outputs))


def _loss_gradient(case: LossCase, ar: Arithmetic, outputs: Array) -> Bounded:
    return cast(ar, losses.gradient(case.loss, _outputs(ar, outputs), case.y))


@checks.register
def _(case: NetworkCase, backend: Backend) -> Iterator[Check]:
    ar = _judge_of(backend)
    x, y = case.data
    x = x.astype(numpy_dtype(ar.dtype))
    asked: Asked = (case.net, case.weights, x, y, case.loss)
    held = backend.weights(backend.build(case.net, case.weights))
    for name, w in case.weights.items():
        stage = expected(
            f"build.{name}", "what it was given", exact(ar.wide, w.astype(ar.wide.dtype))
        )
        yield Check(stage, held.get(name))
    yield from nothing_but(case.weights, held)
    own = backend.trace(*asked, key=case.key)
    yield from _stages(ar, asked, case.key, own)
    whole = _whole(case, ar)
    yield Check(
        whole["forward"],
        backend.forward(case.net, case.weights, x, key=case.key),
        shared=True,
    )
    r = backend.loss_and_gradients(*asked, key=case.key)
    got = {"loss": np.asarray(r.loss), **r.weights, "input": r.input}
    for name in ("loss", *case.weights, "input"):
        yield Check(whole[name], got.get(name), shared=True)
    yield from nothing_but(case.weights, r.weights)


def _stages(
    ar: Arithmetic, asked: Asked, key: Any, own: Arrays, step: int | None = None
) -> Iterator[Check]:
    net: Sequential = asked[0]
    names = net.stages(dropout=key is not None)
    stages = {stage.tensor: stage for stage in of_pass(ar, *asked, key, own)}
    for name in names:
        # A stage whose inputs are missing: those are named, and it is not.
        if name in stages:
            shared = step is None and name == names[0]
            yield Check(stages[name], own.get(name), step, shared=shared)
    yield from nothing_but(dict.fromkeys(names), own)


@cache
def _whole(case: NetworkCase, ar: Arithmetic) -> dict[str, Stage]:
    """Return what shows no stages, its bounds carried through the network."""
    x, y = case.data
    batch, given_x = (y, case.loss, case.key), cast(ar, x)
    stages = network.forward(case.net, case.weights, given_x, case.key)
    outputs = stages[f"{len(case.net.layers) - 1}.a"]
    back = network.backward(case.net, case.weights, given_x, *batch, stages)
    value = losses.loss(case.loss, cast(ar.wide, outputs), y)
    answers = {"forward": outputs, "loss": value, "input": back.input}
    for i, dz in back.dz.items():
        answers[f"{i}.bias"] = cast(ar.wide, dz.sum(0))
    what, inputs = "the whole pass", {"x": x}
    whole = {name: expected(_answer(name), what, q, inputs) for name, q in answers.items()}
    for i, before in back.before.items():
        name = f"{i}.weight"
        blocks = widened(ar, products(ar, before.T, back.dz[i]))
        shape = case.weights[name].shape
        whole[name] = Stage(_answer(name), what, shape, inputs, blocks)
    return whole


def _answer(name: str) -> str:
    return name if name == "forward" else f"loss_and_gradients.{name}"


@checks.register
def _(case: OptimizerCase, backend: Backend) -> Iterator[Check]:
    ar = _judge_of(backend).wide
    path, stages = _path(case), _steps(case, ar)
    first = backend.init_optimizer(case.optimizer, case.weights)
    yield from first_state(case.optimizer.slots, case.weights, first, ar)
    rows: list[Arrays] = []
    for t in case.asked:
        weights = {name: path[name][t - 1] for name in case.weights}
        state: Arrays = {"t": np.array(t - 1, np.int64)}
        for name in case.weights:
            for slot in case.optimizer.slots:
                state[f"{slot}/{name}"] = path[f"{slot}/{name}"][t - 1]
        new, after = backend.update(case.at(t), weights, case.gradients(t), state)
        rows.append(after | new)
    for name, stage in stages.items():
        there = all(name in row for row in rows)
        got = np.stack([np.asarray(row[name]) for row in rows]) if there else None
        yield Check(stage, got, steps=case.asked, shared=True, part=1)
    yield from nothing_but(stages, rows[0])


def first_state(
    slots: Mapping[str, float], weights: Arrays, got: Arrays, ar: Arithmetic
) -> Iterator[Check]:
    """Yield the checks of the state before the first step."""
    wanted: dict[str, Bounded] = {"t": exact(ar, 0.0)}
    for slot, first in slots.items():
        for name, w in weights.items():
            rounded = np.full(w.shape, first).astype(ar.dtype)  # given, rounded once
            if habits.FLOAT32_NUMBERS in ar.habits:
                rounded = rounded.astype(np.float32)
            wanted[f"{slot}/{name}"] = exact(ar, rounded.astype(float))
    for name, value in wanted.items():
        yield Check(expected(name, "first state", value), got.get(name), step=0)
    yield from nothing_but(wanted, got)


@cache
def _path(case: OptimizerCase) -> Arrays:
    """Return weights and slots before each step: one path for all."""
    ar = Float64("float64", bounds=False)
    theta = {name: case.weights[name] for name in case.weights}
    slots = {
        name: {
            s: case.numbers(np.full(w.shape, v)) for s, v in case.optimizer.slots.items()
        }
        for name, w in theta.items()
    }
    rows: list[Arrays] = []
    with np.errstate(all="ignore"):
        for t in range(1, case.steps + 1):
            row = dict(theta)
            g = case.gradients(t)
            for name in theta:
                row |= {f"{s}/{name}": v for s, v in slots[name].items()}
                bounded = {s: exact(ar, v) for s, v in slots[name].items()}
                new, after = optimizers.update(
                    case.at(t), exact(ar, theta[name]), exact(ar, g[name]), bounded, t
                )
                theta[name] = case.numbers(new.floats)
                slots[name] = {s: case.numbers(q.floats) for s, q in after.items()}
            rows.append(row)
    return frozen({name: np.stack([row[name] for row in rows]) for name in rows[0]})


@cache
def _steps(case: OptimizerCase, ar: Arithmetic) -> dict[str, Stage]:
    """Return what every step must make of its place on the path."""
    counted = np.array(case.asked)
    path = {name: rows[counted - 1] for name, rows in _path(case).items()}
    stages = {"t": expected("t", "t + 1", exact(ar, counted.astype(float)))}
    updated: dict[str, Stage] = {}
    of_slots: dict[str, Stage] = {}
    for name, w in case.weights.items():
        column = (-1,) + (1,) * w.ndim
        t = counted.reshape(column)
        eta = np.array([case.at(i).lr for i in case.asked]).reshape(column)
        g = np.stack([case.gradients(i)[name] for i in case.asked])
        slots = {s: given(ar, path[f"{s}/{name}"]) for s in case.optimizer.slots}
        theta, after = optimizers.update(
            case.optimizer, given(ar, path[name]), given(ar, g), slots, t, eta
        )
        inputs = {name: path[name], f"gradient of {name}": g}
        inputs |= {f"{s}/{name} before": path[f"{s}/{name}"] for s in slots}
        rule = case.optimizer.name
        for slot in slots:
            key = f"{slot}/{name}"
            of_slots[key] = expected(key, f"{rule}: {slot}", after[slot], inputs)
        updated[name] = expected(name, f"{rule}: update", theta, inputs)
    return (
        stages | dict(sorted(of_slots.items(), key=lambda i: _place(case, i[0]))) | updated
    )


def _place(case: OptimizerCase, key: str) -> int:
    return list(case.optimizer.slots).index(key.split("/")[0])


@checks.register
def _(case: TrainingCase, backend: Backend) -> Iterator[Check]:
    yield from lock_step(case, backend)
    yield from fitted(case, backend)
    if backend.has_fast:
        for check in fitted(case, backend, plain=True):
            formula = f"plain loop: {check.stage.formula}"
            stage = replace(check.stage, formula=formula)
            yield replace(check, stage=stage, part=check.part + 2)


def lock_step(
    case: TrainingCase,
    backend: Backend,
    on_step: Callable[[int, Arrays], None] = lambda step, weights: None,
    start: TrainingState | None = None,
) -> Iterator[Check]:
    """Yield every stage of every step of a run, each from its own inputs.

    The run is the backend's own: trace, then update with its gradients. It
    begins at the case's weights, or at a state of any backend's.
    """
    ar = _judge_of(backend)
    training = case.training
    (x, y), _ = case.data
    x = x.astype(numpy_dtype(ar.dtype))
    if start is None:
        weights = frozen({n: w.astype(ar.wide.dtype) for n, w in case.weights.items()})
        state = frozen(backend.init_optimizer(training.optimizer, weights))
        yield from first_state(training.optimizer.slots, weights, state, ar.wide)
        step, first, position = 0, 0, 0
    else:
        weights, state = frozen(start.weights), frozen(start.optimizer)
        step, first, position = start.step, start.epoch, start.position
    dropout = any(isinstance(layer, Dropout) for layer in case.net.layers)
    for epoch in range(first, training.epochs):
        for rows in training.batches(training.order(epoch, len(x))[position:]):
            key = training.dropout_key(step) if dropout else None
            rule = training.optimizer.with_lr(training.rate(step))
            step += 1
            asked: Asked = (case.net, weights, x[rows], y[rows], training.loss)
            own = backend.trace(*asked, key=key)
            yield from _stages(ar, asked, key, own, step)
            gradients = frozen(
                {n: _penalised(own[f"{n}.grad"], w, training) for n, w in weights.items()}
            )
            new, after = backend.update(rule, weights, gradients, state)
            yield from _update(ar.wide, rule, weights, gradients, state, new | after, step)
            weights, state = frozen(new), frozen(after)
            on_step(step, weights)
        position = 0


def _penalised(g: Array, w: Array, training: Training) -> Array:
    """Return the gradient with that of the l2 penalty, which is given on."""
    return g + w.dtype.type(training.l2) * w if training.l2 and w.ndim == 2 else g


def _update(
    ar: Arithmetic,
    spec: Optimizer,
    weights: Arrays,
    gradients: Arrays,
    state: Arrays,
    got: Arrays,
    step: int,
) -> Iterator[Check]:
    found = {"t": expected("t", "t + 1", exact(ar, float(step)))}
    updated = {}
    for name, w in weights.items():
        slots = {s: given(ar, state[f"{s}/{name}"]) for s in spec.slots}
        theta, after = optimizers.update(
            spec, given(ar, w), given(ar, gradients[name]), slots, step
        )
        inputs = {name: w, f"{name}.grad": gradients[name]}
        inputs |= {f"{s}/{name} before": state[f"{s}/{name}"] for s in slots}
        for s in slots:
            key = f"{s}/{name}"
            found[key] = expected(key, f"{spec.name}: {s}", after[s], inputs)
        updated[name] = expected(name, f"{spec.name}: update", theta, inputs)
    for name, stage in (found | updated).items():
        yield Check(stage, got.get(name), step)
    yield from nothing_but(found | updated, got)


def fitted(case: TrainingCase, backend: Backend, plain: bool = False) -> Iterator[Check]:
    """Yield what `fit` did in each epoch, each resumed from its own state.

    Bounds are carried through the few steps of one epoch and no further. Then
    what `fit` does of all epochs at once, and what it does when it is resumed
    inside an epoch: both are the same to the bit.
    """
    data, validation = case.data
    ar = _judge_of(backend)
    state: TrainingState | None = None
    ends: list[TrainingState] = []
    start = (
        {name: w.astype(ar.wide.dtype) for name, w in case.weights.items()},
        backend.init_optimizer(case.training.optimizer, case.weights),
        0,
    )
    asked = (case.net, case.weights, data)
    for epoch in range(case.training.epochs):
        seen: list[StepReport] = []
        run = backend.fit(
            *asked,
            replace(case.training, epochs=epoch + 1),
            validation=validation,
            resume=state,
            on_step=seen.append,
            plain=plain,
        )
        if state is not None and run.state.epoch == state.epoch:
            break  # it ended early
        yield from _epoch(case, ar, start, epoch, run.state, seen)
        state = run.state
        ends.append(state)
        start = (state.weights, state.optimizer, state.step)
    if state is not None:
        yield from _ended(case, ar.wide, ends, run.weights)
        yield from _at_once(case, backend, state, plain)


def _ended(
    case: TrainingCase, ar: Arithmetic, ends: list[TrainingState], got: Arrays
) -> Iterator[Check]:
    """Yield that the run ended where its own history says, with the best weights."""
    state = ends[-1]
    stopping, losses = case.training.early_stopping, state.history["loss"]
    done, best, waited = case.training.epochs, np.inf, 0
    weights = state.weights
    watched = state.history.get("val_loss", losses)
    for epoch, loss in enumerate(watched if stopping else ()):
        assert stopping is not None
        gains = loss < best - stopping.min_delta
        weights = ends[epoch].weights if gains else weights
        best, waited = (loss, 0) if gains else (best, waited + 1)
        if waited >= stopping.patience:
            done = epoch + 1
            break
    wanted = {"epoch": done, "best_loss": best, "waited": waited}
    for name, value in wanted.items():
        stage = expected(f"fit.{name}", "by its history", exact(ar, float(value)))
        yield Check(stage, np.asarray(getattr(state, name), ar.dtype), state.step, part=1)
    for name, w in weights.items():
        stage = expected(f"fit.returned.{name}", "the best epoch's", exact(ar, w))
        yield Check(stage, got.get(name), state.step, part=1)


def _at_once(
    case: TrainingCase, backend: Backend, state: TrainingState, plain: bool
) -> Iterator[Check]:
    """Yield that all epochs at once, and resumed in between, end at `state`."""
    data, validation = case.data
    ar = _judge_of(backend).wide
    middle: list[TrainingState] = []
    asked = (case.net, case.weights, data, case.training)
    steps = len(case.training.batches(np.arange(len(data[0]))))

    def keep(report: StepReport) -> None:
        if report.step == state.step - steps:  # the last epoch's first
            middle.append(report.state())

    how: dict[str, Any] = {"validation": validation, "plain": plain}
    run = backend.fit(*asked, **how, on_step=keep)
    yield from _same(ar, state, run.state, "fit at once", "as epoch by epoch")
    (before,) = middle
    after: list[TrainingState] = []

    def first(report: StepReport) -> None:
        if not after:
            after.append(report.state())

    resumed = backend.fit(*asked, **how, resume=before, on_step=first)
    if steps > 1:
        yield from fitted_step(case, _judge_of(backend), before, after[0])
    yield from _same(ar, state, resumed.state, "fit resumed", "as if never interrupted")


def fitted_step(
    case: TrainingCase, ar: Arithmetic, before: TrainingState, after: TrainingState
) -> Iterator[Check]:
    """Yield what one step of `fit` made of the state that it was resumed from."""
    (x, y), _ = case.data
    epoch, position = before.epoch, before.position
    if position == len(x):  # the next epoch's first step
        epoch, position = epoch + 1, 0
    start = (before.weights, before.optimizer, epoch, before.step)
    run = network.Run.start(ar, case.net, case.training, *start)
    rows = case.training.batches(case.training.order(epoch, len(x))[position:])[0]
    run.one_step(x[rows], y[rows])
    yield from _carried(run, after, "fit.step", f"fit, step {run.step}", 2)


def _carried(
    run: network.Run, after: TrainingState, what: str, formula: str, part: int
) -> Iterator[Check]:
    """Yield that slots and weights are within what was carried through the run."""
    for name, theta in run.weights.items():
        for slot, bounded in run.slots[name].items():
            key = f"{slot}/{name}"
            stage = expected(f"{what}.{key}", formula, bounded)
            yield Check(stage, after.optimizer.get(key), run.step, part=part)
        stage = expected(f"{what}.{name}", formula, theta)
        yield Check(stage, after.weights.get(name), run.step, part=part)


def _same(
    ar: Arithmetic, state: TrainingState, got: TrainingState, what: str, how: str
) -> Iterator[Check]:
    """Yield that a run ends where another one does."""
    rows = {n: np.asarray(row, ar.dtype) for n, row in state.history.items()}
    found = {n: np.asarray(row, ar.dtype) for n, row in got.history.items()}
    found |= got.optimizer | got.weights
    for name, value in (rows | state.optimizer | state.weights).items():
        same = exact(ar, value)
        stage = expected(f"{what}.{name}", how, same)
        yield Check(stage, found.get(name), got.step, part=2)


def _epoch(
    case: TrainingCase,
    ar: Arithmetic,
    start: tuple[Arrays, Arrays, int],
    epoch: int,
    after: TrainingState,
    seen: list[StepReport],
) -> Iterator[Check]:
    (data, validation) = case.data
    weights, optimizer, step = start
    run = network.Run.start(ar, case.net, case.training, weights, optimizer, epoch, step)
    run.one_epoch(data)
    formula = f"fit, epoch {epoch + 1}"
    wide = ar.wide
    steps = exact(wide, np.arange(step, run.step, dtype=float))
    counted = np.array([report.step for report in seen])
    yield Check(expected("fit.steps", formula, steps), counted, part=1)
    for i, loss in enumerate(run.losses):
        got = np.asarray(seen[i].loss, wide.dtype) if i < len(seen) else None
        yield Check(expected("fit.loss", formula, loss), got, step + i + 1, part=1)
    t = expected("fit.t", formula, exact(wide, float(run.step)))
    yield Check(t, after.optimizer["t"], run.step, part=1)
    yield from _carried(run, after, "fit", formula, 1)
    for name, value in run.history(data, validation):
        got = np.asarray(after.history[name][-1], wide.dtype)
        yield Check(expected(f"history.{name}", formula, value), got, run.step, part=1)
