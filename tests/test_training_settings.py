"""Schedules, the L2 penalty, metrics and stopping: each against its formula."""

from dataclasses import replace

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.backends import BUILT_IN
from tetrapla.spec import metrics

NET = tp.Sequential(tp.Dense(2, 4, "tanh"), tp.Dense(4, 1))
WEIGHTS = NET.init(seed=2)
RNG = np.random.default_rng(7)
X = RNG.normal(size=(7, 2))
Y = np.sin(X[:, :1]) + 0.5

SCHEDULES = {
    "step": tp.StepDecay(3, 0.5),
    "cosine": tp.CosineDecay(7, final=0.25),
    "warmup": tp.Warmup(3, tp.CosineDecay(4), start=0.5),
    "nested": tp.Warmup(2, tp.Warmup(2, tp.StepDecay(1, 0.5))),
}


# schedules


def test_optax_has_the_same_schedules():
    optax = pytest.importorskip("optax")
    pairs = [
        (tp.StepDecay(3, 0.5), optax.exponential_decay(1.0, 3, 0.5, staircase=True)),
        (tp.CosineDecay(7, 0.25), optax.cosine_decay_schedule(1.0, 7, 0.25)),
        (
            tp.Warmup(3, tp.CosineDecay(7), start=0.5),
            optax.warmup_cosine_decay_schedule(0.5, 1.0, 3, 10),
        ),
    ]
    for ours, theirs in pairs:
        for step in range(15):
            # Optax computes in float32: a handful of roundings of numbers up to pi.
            assert ours.factor(step) == pytest.approx(float(theirs(step)), abs=1e-6)


def test_keras_has_the_same_schedules():
    support.backend("tf.keras")
    import keras

    schedules = keras.optimizers.schedules
    pairs = [
        (tp.StepDecay(3, 0.5), schedules.ExponentialDecay(1.0, 3, 0.5, staircase=True)),
        (tp.CosineDecay(7, 0.25), schedules.CosineDecay(1.0, 7, alpha=0.25)),
        (
            tp.Warmup(3, tp.CosineDecay(7), start=0.5),
            schedules.CosineDecay(0.5, 7, warmup_target=1.0, warmup_steps=3),
        ),
    ]
    for ours, theirs in pairs:
        for step in range(15):
            assert ours.factor(step) == pytest.approx(float(theirs(step)), abs=1e-6)


def test_torch_has_the_same_schedules():
    torch = pytest.importorskip("torch")
    kinds = torch.optim.lr_scheduler

    def rates(make, steps):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = make(optimizer)
        found = []
        for _ in range(steps):
            found.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        return found

    step = rates(lambda o: kinds.StepLR(o, 3, 0.5), 15)
    cosine = rates(lambda o: kinds.CosineAnnealingLR(o, 7, 0.25), 8)  # it rises after
    warmup = rates(lambda o: kinds.LinearLR(o, 0.5, total_iters=3), 8)
    for ours, theirs in (
        (tp.StepDecay(3, 0.5), step),
        (tp.CosineDecay(7, 0.25), cosine),
        (tp.Warmup(3, start=0.5), warmup),
    ):
        found = [ours.factor(s) for s in range(len(theirs))]
        # torch multiplies the rate before by a ratio: errors add up, 2^-52 a step.
        np.testing.assert_allclose(found, theirs, rtol=1e-14)


# Every schedule in NumPy; what a backend does with a rate, once in each.
RATED = [("numpy", s) for s in SCHEDULES] + [(n, "nested") for n in support.ALL[1:]]


@pytest.mark.parametrize(("name", "schedule"), RATED)
def test_every_step_has_its_own_rate(name, schedule):
    schedule = SCHEDULES[schedule]
    # SGD without momentum: a step's length is the rate times the gradient's.
    b = support.backend(name, "float64")
    settings = tp.Training(4, 3, tp.SGD(0.5), "mse", seed=3, schedule=schedule)
    states = []
    b.fit(
        NET, WEIGHTS, (X, Y), settings, on_step=lambda report: states.append(report.state())
    )
    before = {n: w.astype("float64") for n, w in WEIGHTS.items()}
    for step, state in enumerate(states):
        rows = settings.batches(settings.order(step // 3, 7))[step % 3]
        r = b.loss_and_gradients(NET, before, X[rows], Y[rows], "mse")
        eta = 0.5 * schedule.factor(step)
        # Keras keeps its rate in float32, half a unit of which is 2^-25 here.
        near = 2.0**-24 if name == "tf.keras" else 1e-12
        for n, w in state.weights.items():
            moved = before[n] - w
            np.testing.assert_allclose(moved, eta * r.weights[n], rtol=near, atol=1e-14)
        before = state.weights


# the L2 penalty


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", support.ALL)
def test_the_penalty_is_in_the_gradient_of_the_matrices(name, reduction):
    b = support.backend(name, "float64")
    loss = tp.MeanSquaredError(reduction=reduction)
    settings = tp.Training(1, "all", tp.SGD(0.25), loss, shuffle=False, l2=0.5)
    run = b.fit(NET, WEIGHTS, (X, Y), settings)
    r = b.loss_and_gradients(NET, WEIGHTS, X, Y, loss)
    for n, w in WEIGHTS.items():
        g = r.weights[n] + (0.5 * w if w.ndim == 2 else 0)
        np.testing.assert_allclose(run.weights[n], w - 0.25 * g, rtol=1e-12, atol=1e-14)
    # The history is of the loss alone.
    size = len(X) if reduction == "sum" else 1
    assert run.history["loss"] == [pytest.approx(float(r.loss) / size, rel=1e-12)]


def test_torchs_weight_decay_of_the_matrices_is_the_same():
    # The usual way in torch: two groups of parameters, of which one decays.
    torch = pytest.importorskip("torch")
    b = support.backend("torch", "float64")
    settings = tp.Training(20, "all", tp.Adam(0.05), "mse", shuffle=False, l2=0.1)
    run = b.fit(NET, WEIGHTS, (X, Y), settings)
    theta = {n: torch.tensor(w.astype("float64")) for n, w in WEIGHTS.items()}
    for w in theta.values():
        w.requires_grad_()
    groups = [
        {"params": [w for w in theta.values() if w.ndim == 2], "weight_decay": 0.1},
        {"params": [w for w in theta.values() if w.ndim == 1]},
    ]
    optimizer = torch.optim.Adam(groups, lr=0.05)
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(20):
        optimizer.zero_grad()
        h = torch.tanh(x @ theta["0.weight"] + theta["0.bias"])
        p = h @ theta["1.weight"] + theta["1.bias"]
        torch.nn.functional.mse_loss(p, y).backward()
        optimizer.step()
    for n, w in theta.items():
        np.testing.assert_allclose(run.weights[n], w.detach().numpy(), rtol=1e-10)


def test_kerass_regularizer_has_twice_the_factor():
    support.backend("tf.keras")
    import keras

    w = np.array([[3.0, 4.0]])
    assert float(keras.regularizers.L2(0.5)(w)) == 0.5 * 25  # and ours is 0.5 / 2 * 25


# metrics

CLASSES = tp.Sequential(tp.Dense(2, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0])


@pytest.mark.parametrize("name", support.ALL)
def test_metrics_are_of_the_epochs_end(name):
    b = support.backend(name)
    dialect = BUILT_IN[name].dialect
    adam = getattr(tp.Adam, dialect)(0.05) if dialect else tp.Adam(0.05)
    settings = tp.Training(
        3, 3, adam, "softmax_cross_entropy", seed=1, metrics=["accuracy"]
    )
    weights = []
    run = b.fit(
        CLASSES,
        CLASSES.init(0),
        (X, LABELS),
        settings,
        validation=(X[:3], LABELS[:3]),
        on_epoch=lambda report: weights.append(report.weights()),
    )
    assert list(run.history) == ["loss", "val_loss", "accuracy", "val_accuracy"]
    for epoch, w in enumerate(weights):
        right = np.argmax(b.forward(CLASSES, w, X), axis=1) == LABELS
        assert run.history["accuracy"][epoch] == right.mean()
        assert run.history["val_accuracy"][epoch] == right[:3].mean()


def test_metrics_without_validation(f32):
    settings = tp.Training(1, metrics=["r2", "mean_absolute_error"])
    run = f32.fit(NET, WEIGHTS, (X, Y), settings)
    assert list(run.history) == ["loss", "r2", "mean_absolute_error"]
    p = f32.forward(NET, run.weights, X).astype(float)
    y = Y.astype("float32")
    assert run.history["mean_absolute_error"] == [pytest.approx(np.abs(p - y).mean())]


def test_metrics_are_scikit_learns():
    support.dataset("digits")  # skips where it is missing
    from sklearn import metrics as theirs

    p, y = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))
    mse, bce = tp.MeanSquaredError(), tp.BinaryCrossEntropy()
    cross = tp.SoftmaxCrossEntropy()
    r2 = theirs.r2_score(y, p, multioutput="variance_weighted")
    assert metrics.measure("r2", mse, p, y) == pytest.approx(r2, rel=1e-12)
    mae = theirs.mean_absolute_error(y, p)
    assert metrics.measure("mean_absolute_error", mse, p, y) == pytest.approx(mae)
    classes = RNG.integers(0, 3, 50)
    right = theirs.accuracy_score(classes, p.argmax(axis=1))
    assert metrics.measure("accuracy", cross, p, classes) == right
    assert metrics.measure("accuracy", cross, p, np.eye(3)[classes]) == right
    binary = (y > 0).astype(float)
    right = theirs.accuracy_score(binary.ravel(), (p > 0).ravel())
    assert metrics.measure("accuracy", bce, p, binary) == right
    certain = tp.BinaryCrossEntropy(from_logits=False)
    right = theirs.accuracy_score(binary.ravel(), (p > 0.5).ravel())
    assert metrics.measure("accuracy", certain, p, binary) == right


def test_r2_of_constant_labels():
    found = metrics.measure("r2", tp.MeanSquaredError(), np.zeros((3, 1)), np.ones((3, 1)))
    assert np.isnan(found)


# stopping from a callback


@pytest.mark.parametrize("after", [3, 4])
@pytest.mark.parametrize("name", support.ALL)
def test_a_callback_stops_the_run(name, after):
    b = support.backend(name)
    settings = tp.Training(3, 3, tp.SGD(0.1), "mse", seed=1)

    def stop(report):
        if report.step == after - 1:
            report.stop()

    run = b.fit(NET, WEIGHTS, (X, Y), settings, on_step=stop)
    assert (run.state.step, run.state.epoch) == (after, (after - 1) // 3)
    assert len(run.history["loss"]) == run.state.epoch
    whole = b.fit(NET, WEIGHTS, (X, Y), settings)
    rest = b.fit(NET, WEIGHTS, (X, Y), settings, resume=run.state)
    assert rest.history == whole.history
    for n in WEIGHTS:
        np.testing.assert_array_equal(rest.weights[n], whole.weights[n])


def test_a_callback_stops_at_an_epochs_end(f32):
    settings = tp.Training(5, 3, early_stopping=tp.EarlyStopping(5))
    run = f32.fit(NET, WEIGHTS, (X, Y), settings, on_epoch=lambda report: report.stop())
    assert (run.state.epoch, run.state.order) == (1, None)
    # What fit returns are still the best weights.
    for n in WEIGHTS:
        np.testing.assert_array_equal(run.weights[n], run.state.best[n])


def test_a_report_gives_a_copy_of_the_state(f32):
    settings = tp.Training(2, 3, tp.Adam(0.01), early_stopping=tp.EarlyStopping(5))

    def spoil(report):
        state = report.state()
        for arrays in (state.weights, state.optimizer, state.best or {}):
            for a in arrays.values():
                a[...] = 0
        state.history["loss"].append(0.0)
        if state.order is not None:
            state.order[:] = 0

    plain = f32.fit(NET, WEIGHTS, (X, Y), settings)
    run = f32.fit(NET, WEIGHTS, (X, Y), settings, on_step=spoil, on_epoch=spoil)
    assert run.history == plain.history
    for n in WEIGHTS:
        np.testing.assert_array_equal(run.weights[n], plain.weights[n])
    for n, a in plain.state.optimizer.items():
        np.testing.assert_array_equal(run.state.optimizer[n], a)


def test_another_batch_size_inside_an_epoch(f32):
    # The rest of the epoch's order in batches of the new size.
    settings = tp.Training(1, 3, tp.SGD(0.1), seed=1)
    stopped = f32.fit(
        NET, WEIGHTS, (X, Y), settings, on_step=lambda report: report.stop()
    ).state
    sizes = []

    def seen(report):
        sizes.append(report.state().position)

    f32.fit(
        NET, WEIGHTS, (X, Y), replace(settings, batch_size=2), resume=stopped, on_step=seen
    )
    assert sizes == [5, 7]
