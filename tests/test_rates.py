"""Many learning rates at once: each run is that of `fit` with its rate."""

import math
from dataclasses import replace

import numpy as np
import pytest
import support
from click.testing import CliRunner

import tetrapla as tp
from tetrapla import cli
from tetrapla.backends import BUILT_IN
from tetrapla.spec import InvalidInputError, RateSweep, TrainingRun

NET = tp.Sequential(tp.Dense(2, 4, "gelu_erf"), tp.Dropout(0.25), tp.Dense(4, 1))
WEIGHTS = NET.init(seed=2)
RNG = np.random.default_rng(7)
X = RNG.normal(size=(7, 2))
Y = np.sin(X[:, :1]) + 0.5
RATES = [0.0, 1e-3, 0.01, 0.1]
RULES = {
    "sgd": tp.SGD(momentum=0.9, nesterov=True),
    "sgd-updates": tp.SGD(momentum=0.9, velocity="updates", weight_decay=0.1),
    "adagrad": tp.Adagrad(weight_decay=0.1, decay="decoupled"),
    "adadelta": tp.Adadelta(),
    "rmsprop": tp.RMSProp(centered=True, momentum=0.5),
    "adam": tp.Adam(amsgrad=True, weight_decay=0.1),
    "adamw": tp.AdamW(eps_place="uncorrected"),
}


def settings(rule, **given):
    return tp.Training(
        2,
        3,
        rule,
        "mse",
        seed=5,
        schedule=tp.Warmup(2, start=0.5),
        l2=0.01,
        metrics=["r2"],
        **given,
    )


def assert_as_fit(b, training):
    found = b.fit_rates(NET, WEIGHTS, (X, Y), training, RATES, validation=(X[:3], Y[:3]))
    assert found.rates == tuple(RATES)
    for rate, run in zip(RATES, found.runs, strict=True):
        alone = b.fit(
            NET,
            WEIGHTS,
            (X, Y),
            replace(training, optimizer=training.optimizer.with_lr(rate)),
            validation=(X[:3], Y[:3]),
        )
        # Six smooth steps of another program: a few roundings of 1e-16 each.
        close = {"rtol": 1e-10, "atol": 1e-12}
        assert list(run.history) == list(alone.history)
        for name, row in alone.history.items():
            np.testing.assert_allclose(run.history[name], row, **close)
        for part in ("weights", "optimizer"):
            ours, theirs = getattr(run.state, part), getattr(alone.state, part)
            assert list(ours) == list(theirs)
            for n in ours:
                assert ours[n].dtype == theirs[n].dtype
                np.testing.assert_allclose(ours[n], theirs[n], **close, err_msg=n)
        assert (run.state.epoch, run.state.step) == (2, 6)
    # What a sweep leaves can be gone on with.
    more = b.fit(
        NET,
        WEIGHTS,
        (X, Y),
        replace(training, epochs=3),
        validation=(X[:3], Y[:3]),
        resume=run.state,
    )
    assert more.state.step == 9
    return found


# jax maps any function; torch's rules are written so that a rate broadcasts.
MAPPED = [("torch", rule) for rule in RULES] + [("jax", "sgd"), ("jax", "adam")]


@pytest.mark.parametrize(("name", "rule"), MAPPED)
def test_every_rule_mapped(name, rule):
    assert_as_fit(support.backend(name, "float64"), settings(RULES[rule]))


@pytest.mark.parametrize("name", [n for n in support.ALL if n not in ("torch", "jax")])
def test_one_after_the_other(name):
    dialect = BUILT_IN[name].dialect
    rule = getattr(tp.SGD, dialect)(momentum=0.9) if dialect else tp.SGD(momentum=0.9)
    assert_as_fit(support.backend(name, "float64"), settings(rule))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_it_is_mapped(name, monkeypatch):
    # One call of the loss's code, whatever the number of rates.
    b = support.backend(name, "float32")
    monkeypatch.setattr(type(b.implementation), "fit", None)
    found = b.fit_rates(NET, WEIGHTS, (X, Y), settings(tp.SGD()), RATES)
    assert len(found.runs) == 4


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_every_kind_of_activation_can_be_mapped(name):
    b = support.backend(name, "float64")
    layers = [tp.Dense(2, 2, g) for g in tp.spec.ACTIVATIONS]
    net = tp.Sequential(*layers)
    training = tp.Training(1, "all", tp.SGD(0.01), "mse")
    w = net.init(3)
    y = np.zeros((7, 2))
    found = b.fit_rates(net, w, (X, y), training, [0.01, 0.1])
    alone = b.fit(net, w, (X, y), replace(training, optimizer=tp.SGD(0.1)))
    # One step: the same roundings in another order, and nothing cancels beyond
    # the six digits that 1e-16 leaves of 1e-10.
    for n in w:
        np.testing.assert_allclose(found.runs[1].weights[n], alone.weights[n], rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "rates", "message"),
    [
        ({}, [], "rates must not be empty"),
        ({}, "0.1", "rates must be a sequence of learning rates, got str"),
        ({}, 0.1, "rates must be a sequence of learning rates, got float"),
        ({}, [0.1, -1.0], r"rates\[1\] must be >= 0, got -1.0"),
        (
            {"early_stopping": tp.EarlyStopping(2)},
            [0.1],
            "for all epochs: early_stopping must be None",
        ),
        (
            {"convergence_threshold": 0.1},
            [0.1],
            "for all epochs: convergence_threshold must be None",
        ),
    ],
)
def test_bad_input(name, change, rates, message):
    b = support.backend(name)
    with pytest.raises(InvalidInputError, match=message):
        b.fit_rates(NET, WEIGHTS, (X, Y), settings(tp.SGD(), **change), rates)


def test_the_best_rate():
    def run(*losses):
        return TrainingRun({"loss": list(losses)}, {}, None)

    sweep = RateSweep((0.1, 0.2, 0.3), (run(3.0, 2.0), run(3.0, 1.0), run(3.0, math.nan)))
    assert (sweep.losses[:2], sweep.best) == ((2.0, 1.0), 0.2)
    nothing = RateSweep((0.1,), (run(math.nan),))
    assert math.isnan(nothing.best)


def test_small_stable_and_large(name):
    # The lecture's three: slow, converging, diverging.
    b = support.backend(name, "float64")
    line = tp.Sequential(tp.Dense(1, 1))
    w = {"0.weight": np.zeros((1, 1)), "0.bias": np.zeros(1)}
    data = (np.ones((2, 1)), np.ones((2, 1)))
    training = tp.Training(50, "all", tp.SGD(), "mse")
    found = b.fit_rates(line, w, data, training, [1e-4, 0.2, 0.6])
    slow, stable, large = found.losses
    # The error is multiplied by 1 - 4 eta in each step.
    assert slow == pytest.approx((1 - 4e-4) ** 98, rel=1e-12)
    assert stable < 1e-20 < slow < 1 < large
    assert found.best == 0.2


def test_the_command():
    result = CliRunner().invoke(cli.main, ["rates", "lecture", "--lr", "1e-3,1e-2,1e30"])
    assert result.exit_code == 0, result.output
    assert "best" in result.stdout
    assert "diverged" in result.stdout
    assert "1e+30" in result.stdout
    result = CliRunner().invoke(cli.main, ["rates", "lecture", "--lr", "fast"])
    assert (result.exit_code, "is not a list such as" in result.stderr) == (2, True)
