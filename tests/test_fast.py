"""The fast loops: what they make in bulk, and what they may not change.

That their steps are right is the parity engine's to say (test_parity_cases).
"""

from dataclasses import replace

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.parity.cases import TrainingCase
from tetrapla.parity.comparison import compare
from tetrapla.parity.verification import fitted
from tetrapla.spec import bulk, threefry
from tetrapla.spec.stretch import Stretch

RNG = np.random.default_rng(7)
X = RNG.normal(size=(11, 3))
Y = RNG.integers(0, 2, 11)
NET = tp.Sequential(
    tp.Dense(3, 5, "relu"), tp.Dropout(0.4), tp.Dense(5, 4, "tanh"), tp.Dense(4, 2)
)
WEIGHTS = NET.init(seed=3)
KEYS = bulk.fold_in(threefry.key(5), np.arange(2, 8))


def training(**changes):
    settings = {"epochs": 3, "batch_size": 4, "loss": "softmax_cross_entropy"}
    settings |= {"optimizer": tp.Adam(0.01)}
    return tp.Training(**(settings | changes))


@pytest.mark.parametrize("n", [0, 1, 5, 1626, bulk.AT_ONCE + 3])
def test_rows_are_what_each_key_draws(n):
    for row, key in enumerate(KEYS):
        np.testing.assert_array_equal(key, threefry.fold_in(threefry.key(5), 2 + row))
        np.testing.assert_array_equal(
            bulk.fold_each(KEYS, 9)[row], threefry.fold_in(key, 9)
        )
        np.testing.assert_array_equal(bulk.bits(KEYS, n)[row], threefry.bits(key, (n,)))
        np.testing.assert_array_equal(
            bulk.permutation(KEYS, n)[row], threefry.permutation(key, n)
        )


@pytest.mark.parametrize("p", [-1, 0, 2**-24, 2**-23, 0.1, 0.5, 1 - 2**-24, 1, 3])
def test_masks_are_what_each_key_draws(p):
    masks = bulk.bernoulli(KEYS, p, (40, 3))
    for mask, key in zip(masks, KEYS, strict=True):
        np.testing.assert_array_equal(mask, threefry.bernoulli(key, p, (40, 3)))


def test_equal_words_keep_their_order(monkeypatch):
    monkeypatch.setattr(bulk, "bits", lambda keys, n: np.zeros((len(keys), n), np.uint32))
    np.testing.assert_array_equal(bulk.permutation(KEYS, 9)[4], np.arange(9))


def test_runs_take_the_sizes_in_turn():
    sizes = (4, 4, 3, 4, 4, 3, 3, 4)
    stretch = Stretch(np.arange(29), sizes, None, np.zeros(8))
    padded = stretch.padded(10, (4, 3), 1, 8)
    runs = padded["runs"][: padded["count"]].tolist()
    assert runs == [[1, 2, 3], [3, 5, 7], [7, 8, 8]]
    done = []
    for first, middle, last in runs:
        done += [(i, 4) for i in range(first, middle)] + [
            (i, 3) for i in range(middle, last)
        ]
    assert done == list(enumerate(sizes))[1:]
    assert padded["at"][:8].tolist() == [0, 4, 8, 11, 15, 19, 22, 25]


def test_runs_end_where_epochs_do():
    stretch = Stretch(np.arange(29), (4,) * 7 + (1,), None, np.zeros(8), ends=(2, 5))
    padded = stretch.padded(10, (4, 1), 1, 8)
    count = padded["count"]
    assert padded["runs"][:count].tolist() == [[1, 2, 2], [2, 5, 5], [5, 7, 8]]
    assert padded["ends"][:count].tolist() == [0, 1, 2]


# A gradient that is all rounding is divided by epsilon at least: with small
# ones nothing could be said of float32 after the first step.
RULES = {
    "sgd": tp.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adagrad": tp.Adagrad(0.1, initial_accumulator=0.1),
    "adadelta": tp.Adadelta(1.0),
    "rmsprop": tp.RMSProp(0.01, momentum=0.5, centered=True, eps=1e-3),
    "adam": tp.Adam(0.01, weight_decay=0.1, eps=1e-3),
    "amsgrad": tp.Adam(0.01, amsgrad=True, weight_decay=0.1, eps=1e-3),
    "keras": tp.Adam.keras(0.01, eps=1e-3),
    "adamw": tp.AdamW(0.01, eps=1e-3),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["numpy", "torch"])  # the rest call train_step
def test_every_rule_is_within_its_bounds(name, rule, dtype):
    b = support.backend(name, dtype)
    net = tp.Sequential(
        tp.Dense(64, 6, "relu"), tp.Dropout(0.25), tp.Dense(6, 4, "tanh"), tp.Dense(4, 10)
    )
    settings = training(
        batch_size=12, optimizer=RULES[rule], l2=0.1, schedule=tp.CosineDecay(steps=9)
    )
    case = TrainingCase("training/rules", "training/rules", net, settings, "digits", 20)
    found = list(fitted(case, b))
    assert {c.step for c in found if c.stage.tensor == "fit.2.weight"} == {2, 4, 6}
    for check in found:
        comparison = compare(check.stage, check.got, steps=check.steps)
        assert comparison.agrees, comparison


@pytest.fixture(params=["numpy", "torch", "tf", "jax", "torch.nn", "tf.keras", "jax.flax"])
def backend(request):
    return support.backend(request.param)


def rule_of(b):
    return tp.Adam.keras(0.01) if b.name == "tf.keras" else tp.Adam(0.01)


def assert_same_state(one, other):
    assert (one.epoch, one.step, one.position) == (other.epoch, other.step, other.position)
    assert one.loss_sum == other.loss_sum
    assert one.history == other.history
    for name, w in (one.weights | one.optimizer).items():
        np.testing.assert_array_equal(
            (other.weights | other.optimizer)[name], w, err_msg=name
        )
    np.testing.assert_array_equal(one.order, other.order)


def test_every_step_can_be_looked_at_and_stopped_at(backend):
    asked = NET, WEIGHTS, (X, Y), training(optimizer=rule_of(backend))
    states = {}

    def look(report):
        if report.step in (1, 2, 5, 8):
            states[report.step] = report.state()

    whole = backend.fit(*asked, on_step=look)
    for step, state in states.items():
        assert state.step == step + 1

        def stop(report, last=step):
            if report.step == last:
                report.stop()

        stopped = backend.fit(*asked, on_step=stop)
        assert_same_state(stopped.state, state)
        rest = backend.fit(*asked, resume=stopped.state)
        assert_same_state(rest.state, whole.state)


def test_epochs_can_be_looked_at_and_stopped_at(backend):
    asked = NET, WEIGHTS, (X, Y), training(optimizer=rule_of(backend))
    seen = []
    whole = backend.fit(*asked, on_epoch=lambda r: seen.append((r.weights(), r.state())))
    unwatched = backend.fit(*asked)
    assert_same_state(whole.state, unwatched.state)
    for epoch, (weights, state) in enumerate(seen):

        def stop(report, last=epoch):
            if report.epoch == last:
                report.stop()

        stopped = backend.fit(*asked, on_epoch=stop)
        assert_same_state(stopped.state, state)
        for name, w in weights.items():
            np.testing.assert_array_equal(stopped.weights[name], w)


def test_a_stretch_goes_over_epochs_that_are_looked_at(backend, monkeypatch, tmp_path):
    held_out = (X[:7] + 0.5, Y[:7])
    settings = {
        "patience": {"early_stopping": tp.EarlyStopping(6, min_delta=0.02)},
        "converged": {"convergence_threshold": 0.02},
        "measured": {"metrics": ("accuracy",), "epochs": 6},
    }
    for name, changes in settings.items():
        given = training(**{"epochs": 30, "optimizer": rule_of(backend), **changes})
        asked = {"validation": None if name == "converged" else held_out}
        runs = []
        for ends in (16, 1, 3):  # at most, of epochs in a stretch
            monkeypatch.setattr("tetrapla.spec.loop.ENDS", ends)
            states = []
            kept = tp.Checkpoints(tmp_path / f"{name}{ends}", keep=99)
            run = backend.fit(
                *(NET, WEIGHTS, (X, Y), given),
                **asked,
                checkpoints=kept,
                on_epoch=lambda report, states=states: states.append(report.state()),
            )
            unwatched = backend.fit(NET, WEIGHTS, (X, Y), given, **asked)
            assert_same_state(replace(unwatched.state, data=run.state.data), run.state)
            assert_same_state(kept.latest().state, run.state)
            assert len(kept.paths()) == len(states) == run.state.epoch
            runs.append((run, states))
        (whole, states), *others = runs
        assert 2 < whole.state.epoch < 30
        for other, its_states in others:
            pairs = zip([*states, whole.state], [*its_states, other.state], strict=True)
            for one, another in pairs:
                # where outputs are measured together XLA may round differently
                close = {n: pytest.approx(v, rel=1e-5) for n, v in one.history.items()}
                assert another.history == close
                assert_same_state(replace(another, history=one.history), one)
                assert (another.best is None) == (one.best is None)
                for n, w in (one.best or {}).items():
                    np.testing.assert_array_equal(another.best[n], w)


def test_the_masks_of_many_steps_are_those_of_each(monkeypatch):
    b = support.backend("jax", "float64")  # which draws 32 steps' at once
    given = training(epochs=30, batch_size=3)
    whole = b.fit(NET, WEIGHTS, (X, Y), given)
    plain = b.fit(NET, WEIGHTS, (X, Y), given, plain=True)
    assert whole.state.step == 120
    np.testing.assert_allclose(whole.history["loss"], plain.history["loss"], rtol=1e-9)
    for draws in (1, 7):
        monkeypatch.setattr("tetrapla.impls.jax.masks.DRAWS", draws)
        b.implementation.fast.program.cache_clear()
        assert_same_state(b.fit(NET, WEIGHTS, (X, Y), given).state, whole.state)
    b.implementation.fast.program.cache_clear()


@pytest.mark.parametrize("name", ["tf", "jax"])
def test_snapshots_are_measured_some_at_a_time(name, monkeypatch):
    b = support.backend(name)
    given = training(epochs=9, metrics=("accuracy",))
    asked = NET, WEIGHTS, (X, Y), given
    whole = b.fit(*asked, validation=(X[:7], Y[:7]))
    monkeypatch.setattr(f"tetrapla.impls.{name}.snapshots.ROWS", 30)
    again = b.fit(*asked, validation=(X[:7], Y[:7]))
    for key, row in whole.history.items():
        np.testing.assert_allclose(again.history[key], row, rtol=1e-6)


def test_a_report_outlives_a_run_that_failed(backend):
    asked = NET, WEIGHTS, (X, Y), training(optimizer=rule_of(backend))
    reports = []

    def fail(report):
        reports.append((report, report.weights()))
        raise KeyError(report.epoch)

    with pytest.raises(KeyError):
        backend.fit(*asked, on_epoch=fail)
    other = {name: w + 1 for name, w in WEIGHTS.items()}
    backend.fit(NET, other, *asked[2:])
    (report, weights), *_ = reports
    for name, w in report.weights().items():
        np.testing.assert_array_equal(w, weights[name])


def test_who_stops_inside_a_stretch_goes_on_as_if_not(backend):
    given = training(
        epochs=9, optimizer=rule_of(backend), early_stopping=tp.EarlyStopping(8)
    )
    asked = NET, WEIGHTS, (X, Y), given
    whole = backend.fit(*asked, validation=(X, Y))
    for last in (1, 4):

        def stop(report, last=last):
            if report.epoch == last:
                report.stop()

        stopped = backend.fit(*asked, validation=(X, Y), on_step=stop)
        rest = backend.fit(*asked, validation=(X, Y), resume=stopped.state)
        assert_same_state(rest.state, whole.state)


def test_a_fit_within_a_fit(backend):
    asked = NET, WEIGHTS, (X, Y), training(optimizer=rule_of(backend))
    inner = []
    whole = backend.fit(*asked, on_epoch=lambda _: inner.append(backend.fit(*asked).state))
    assert len(inner) == 3
    for state in inner:
        assert_same_state(state, whole.state)


def test_a_report_outlives_its_run(backend):
    asked = NET, WEIGHTS, (X, Y), training(optimizer=rule_of(backend))
    reports = []
    first = backend.fit(*asked, on_epoch=reports.append)
    other = {name: w + 1 for name, w in WEIGHTS.items()}
    backend.fit(NET, other, *asked[2:])
    for name, w in reports[-1].weights().items():
        np.testing.assert_array_equal(w, first.state.weights[name])


def test_tf_keeps_its_programs():
    b = support.backend("tf")
    fast = b.implementation.fast
    asked = NET, WEIGHTS, (X, Y)
    b.fit(*asked, training())
    kept = list(fast.kept.programs.values())
    b.fit(*asked, training(epochs=5, optimizer=tp.Adam(0.5)))  # another rate
    assert list(fast.kept.programs.values()) == kept
    b.fit(*asked, training(l2=0.25))
    assert len(fast.kept.programs) == min(len(kept) + 1, fast.kept.most)


def test_tf_lets_go_of_large_programs(monkeypatch):
    b = support.backend("tf")
    monkeypatch.setattr("tetrapla.impls.tf.programs.LARGE", 10)
    b.fit(NET, WEIGHTS, (X, Y), training())
    assert not b.implementation.fast.kept.programs
