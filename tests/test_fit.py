"""Training: fit is the loop that the specification writes down."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.oracle import losses, network
from tetrapla.oracle.arithmetic import judge
from tetrapla.oracle.bounded import given

NET = tp.Sequential(tp.Dense(2, 4, "tanh"), tp.Dropout(0.25), tp.Dense(4, 1))
WEIGHTS = NET.init(seed=2)
RNG = np.random.default_rng(7)
X = RNG.normal(size=(7, 2))
Y = np.sin(X[:, :1]) + 0.5
VALIDATION = (X[:3] + 0.25, Y[:3])
ADAM = tp.Adam(0.05)


def training(epochs=3, batch_size=3, optimizer=ADAM, **settings):
    return tp.Training(epochs, batch_size, optimizer, seed=11, **settings)


def by_hand(b, settings, weights=WEIGHTS, net=NET):
    """Return (history, weights, state) of a run made of the contract's pieces."""
    w, state = weights, b.init_optimizer(settings.optimizer, weights)
    history, step = [], 0
    for epoch in range(settings.epochs):
        total = 0.0
        for rows in settings.batches(settings.order(epoch, len(X))):
            key = settings.dropout_key(step)
            r = b.loss_and_gradients(net, w, X[rows], Y[rows], settings.loss, key=key)
            mean = settings.loss.reduction == "mean"
            total += float(r.loss) * (len(rows) if mean else 1)
            w, state = b.update(settings.optimizer, w, r.weights, state)
            step += 1
        history.append(total / len(X))
    return history, w, state


def assert_same_run(run, other):
    """Compare two runs to the bit."""
    assert run.history == other.history
    assert run.state.history == other.state.history
    for ours, theirs in (
        (run.weights, other.weights),
        (run.state.weights, other.state.weights),
        (run.state.optimizer, other.state.optimizer),
    ):
        assert list(ours) == list(theirs)
        for n in ours:
            np.testing.assert_array_equal(ours[n], theirs[n], err_msg=n, strict=True)
    counts = ("epoch", "step", "waited", "best_loss")
    assert [getattr(run.state, c) for c in counts] == [
        getattr(other.state, c) for c in counts
    ]


CASES = {
    "partial-last-batch": training(batch_size=3),
    "single-samples": training(batch_size=1, optimizer=tp.SGD(0.05, momentum=0.5)),
    "all": training(batch_size="all"),
    "larger-than-n": training(batch_size=100),
    "in-order": training(shuffle=False),
    "sum": training(
        optimizer=tp.SGD(0.01), loss=tp.MeanSquaredError(reduction="sum", outputs="sum")
    ),
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_fit_is_the_loop_by_hand(f64, settings):
    run = f64.fit(NET, WEIGHTS, (X, Y), settings)
    history, weights, state = by_hand(f64, settings)
    # At most 21 smooth steps, compiled here and not there: each adds a few
    # roundings of 1e-16. The conventions differ by more than 1e-3.
    close = {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(run.history["loss"], history, **close)
    for n in weights:
        np.testing.assert_allclose(run.weights[n], weights[n], **close, err_msg=n)
    assert list(run.state.optimizer) == list(state)
    for n in state:
        np.testing.assert_allclose(run.state.optimizer[n], state[n], **close, err_msg=n)


def test_the_same_run_twice_is_the_same(f32):
    runs = [f32.fit(NET, WEIGHTS, (X, Y), training()) for _ in range(2)]
    assert_same_run(*runs)


def test_the_history_is_of_the_losses_as_seen(f32):
    # Not of the final weights: with a rate of 0 they are one number.
    net = tp.Sequential(tp.Dense(2, 1))
    w = net.init(seed=0)
    still = f32.fit(net, w, (X, Y), training(2, 3, tp.SGD(0.0)))
    moved = f32.fit(net, w, (X, Y), training(2, 3, tp.SGD(0.1)))
    assert moved.history["loss"][1] < moved.history["loss"][0]
    # The mean of 7 float32 losses, however they are grouped into batches.
    expected = f32.loss("mse", f32.forward(net, w, X), Y)
    np.testing.assert_allclose(still.history["loss"], expected, rtol=8 * 2.0**-23)
    assert moved.history["loss"][0] != still.history["loss"][0]


def test_reports_carry_the_right_numbers(f32):
    steps, epochs, weights = [], [], []

    def on_epoch(report):
        epochs.append((report.epoch, report.history))
        weights.append(report.weights())

    run = f32.fit(NET, WEIGHTS, (X, Y), training(), on_step=steps.append, on_epoch=on_epoch)
    assert [(s.epoch, s.step) for s in steps] == [
        (e, 3 * e + i) for e in range(3) for i in range(3)
    ]
    assert all(type(s.loss) is float for s in steps)
    sizes = [3, 3, 1]
    for e, (epoch, row) in enumerate(epochs):
        assert epoch == e
        losses = [s.loss for s in steps if s.epoch == e]
        mean = sum(x * n for x, n in zip(losses, sizes, strict=True)) / 7
        assert row == {"loss": run.history["loss"][e]}
        assert row["loss"] == pytest.approx(mean, rel=1e-15)  # in float64, both
    for n in WEIGHTS:
        np.testing.assert_array_equal(weights[-1][n], run.weights[n])
        assert (weights[0][n] != weights[1][n]).any()


def test_callbacks_change_nothing(f32):
    def spoil(report):
        for w in report.weights().values():
            w[...] = 0

    plain = f32.fit(NET, WEIGHTS, (X, Y), training())
    watched = f32.fit(
        NET, WEIGHTS, (X, Y), training(), on_step=lambda report: None, on_epoch=spoil
    )
    assert_same_run(watched, plain)


def test_an_error_in_a_callback_passes_through(f32):
    def stop(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        f32.fit(NET, WEIGHTS, (X, Y), training(), on_epoch=stop)
    # And the backend is as it was.
    assert f32.fit(NET, WEIGHTS, (X, Y), training(1)).history["loss"]


# resuming

RESUMED = {
    "adam-dropout": training(4),
    "momentum": training(4, 2, tp.SGD(0.05, momentum=0.9, nesterov=True)),
    "early-stopping": training(4, early_stopping=tp.EarlyStopping(2)),
}


@pytest.mark.parametrize("done", [1, 3])
@pytest.mark.parametrize("settings", RESUMED.values(), ids=RESUMED)
def test_resuming_is_going_on(f32, settings, done):
    whole = f32.fit(NET, WEIGHTS, (X, Y), settings, validation=VALIDATION)
    part = f32.fit(
        NET, WEIGHTS, (X, Y), replace_epochs(settings, done), validation=VALIDATION
    )
    state = copy.deepcopy(part.state)
    seen = []
    rest = f32.fit(
        NET,
        WEIGHTS,
        (X, Y),
        settings,
        validation=VALIDATION,
        resume=part.state,
        on_epoch=lambda report: seen.append(report.epoch),
    )
    assert_same_run(rest, whole)
    assert seen == list(range(done, len(whole.history["loss"])))
    # What was resumed from is as it was.
    assert state.history == part.state.history
    for n, w in state.weights.items():
        np.testing.assert_array_equal(part.state.weights[n], w)


def replace_epochs(settings, epochs):
    """Return the settings with another number of epochs."""
    given = {f: getattr(settings, f) for f in type(settings).__dataclass_fields__}
    return type(settings)(**given | {"epochs": epochs})


def test_a_finished_run_resumes_to_itself(f32):
    run = f32.fit(NET, WEIGHTS, (X, Y), training())
    again = f32.fit(NET, WEIGHTS, (X, Y), training(), resume=run.state)
    assert_same_run(again, run)
    # Nothing is shared with what was given.
    again.state.history["loss"].append(0.0)
    assert len(run.state.history["loss"]) == 3
    for part in ("weights", "optimizer"):
        for n, a in getattr(again.state, part).items():
            assert not np.shares_memory(a, getattr(run.state, part)[n])


def test_resuming_in_another_dtype_gives_that_dtype(name):
    one, other = support.backend(name, "float64"), support.backend(name, "float32")
    settings = training(2, early_stopping=tp.EarlyStopping(5))
    run = one.fit(NET, WEIGHTS, (X, Y), replace_epochs(settings, 1))
    # A best loss that no epoch will beat, so that the best weights stay.
    state = replace(run.state, best_loss=-1.0)
    resumed = other.fit(NET, WEIGHTS, (X, Y), settings, resume=state)
    for n in NET.shapes:
        assert resumed.weights[n].dtype == np.float32
        assert not np.shares_memory(resumed.weights[n], state.best[n])


def test_resuming_with_another_learning_rate(f64):
    first, slow = training(1), training(2, optimizer=replace(ADAM, lr=1e-4))
    part = f64.fit(NET, WEIGHTS, (X, Y), first)
    run = f64.fit(NET, WEIGHTS, (X, Y), slow, resume=part.state)
    assert run.state.optimizer["t"] == 6
    for n in NET.shapes:
        moved = np.abs(run.weights[n] - part.weights[n]).max()
        # A step of Adam is at most about its learning rate: with beta1 = 0.9
        # and beta2 = 0.999 never above 10 times, here for three steps.
        assert 0 < moved < 3 * 10 * 1e-4


# validation, early stopping, convergence


def assert_mean_loss(value, loss, weights):
    """Assert a float32 validation loss of these weights, within its proven bound.

    `fit` and `forward` are programs of their own, which may round differently.
    """
    ar = judge("float32")
    theta = {name: given(ar, w) for name, w in weights.items()}
    x, y = (a.astype(np.float32) for a in VALIDATION)
    *_, outputs = network.forward(NET, theta, given(ar, x), None).values()
    mean = losses.loss(replace(loss, reduction="mean"), outputs, y)
    assert abs(value - mean.floats) <= mean.error
    assert mean.error < 1e-4 * mean.floats  # a mask would change it by percents


def test_validation_is_the_mean_loss_without_dropout(f32):
    weights = []
    run = f32.fit(
        NET,
        WEIGHTS,
        (X, Y),
        training(),
        validation=VALIDATION,
        on_epoch=lambda report: weights.append(report.weights()),
    )
    assert list(run.history) == ["loss", "val_loss"]
    for w, value in zip(weights, run.history["val_loss"], strict=True):
        assert_mean_loss(value, tp.MeanSquaredError(), w)


def test_validation_of_a_sum_is_a_mean(f32):
    loss = tp.MeanSquaredError(reduction="sum", outputs="sum")
    settings = training(1, loss=loss, optimizer=tp.SGD(0.01))
    run = f32.fit(NET, WEIGHTS, (X, Y), settings, validation=VALIDATION)
    (value,) = run.history["val_loss"]
    assert_mean_loss(value, loss, run.weights)


# A linear network that overshoots more each epoch: the loss falls once, then
# rises for ever.
LINE = tp.Sequential(tp.Dense(1, 1))
LINE_WEIGHTS = {"0.weight": np.array([[0.0]]), "0.bias": np.array([0.0])}
LINE_X, LINE_Y = np.ones((2, 1)), np.ones((2, 1))


def diverging(**settings):
    return tp.Training(20, "all", tp.SGD(0.6), "mse", **settings)


def test_early_stopping_returns_the_best_weights(f64):
    weights = [LINE_WEIGHTS]
    run = f64.fit(
        LINE,
        LINE_WEIGHTS,
        (LINE_X, LINE_Y),
        diverging(early_stopping=tp.EarlyStopping(patience=3)),
        on_epoch=lambda report: weights.append(report.weights()),
    )
    # Error e, both gradients 2 e: e <- e - 0.6 (2 e + 2 e) = -1.4 e.
    expected = [1.4 ** (2 * k) for k in range(4)]
    np.testing.assert_allclose(run.history["loss"], expected, rtol=1e-14)
    assert run.state.best_loss == run.history["loss"][0]
    for n in LINE_WEIGHTS:
        # The loss of epoch 0 was seen before its update, the weights are
        # those at its end: the best epoch's.
        np.testing.assert_array_equal(run.weights[n], weights[1][n])
        np.testing.assert_array_equal(run.state.weights[n], weights[-1][n])


def test_early_stopping_watches_the_validation_loss(f64):
    # The validation labels are where the run starts: it only gets worse.
    validation = (LINE_X, np.zeros((2, 1)))
    settings = tp.Training(
        20, "all", tp.SGD(0.01), "mse", early_stopping=tp.EarlyStopping(patience=2)
    )
    run = f64.fit(LINE, LINE_WEIGHTS, (LINE_X, LINE_Y), settings, validation=validation)
    assert len(run.history["loss"]) == 3
    assert run.history["loss"] == sorted(run.history["loss"], reverse=True)
    assert run.history["val_loss"] == sorted(run.history["val_loss"])
    assert run.state.best_loss == run.history["val_loss"][0]


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 20), (0.5, 3)])
def test_early_stopping_counts_only_real_gains(f64, min_delta, epochs):
    stopping = tp.EarlyStopping(patience=2, min_delta=min_delta)
    settings = tp.Training(20, "all", tp.SGD(0.01), "mse", early_stopping=stopping)
    run = f64.fit(LINE, LINE_WEIGHTS, (LINE_X, LINE_Y), settings)
    assert len(run.history["loss"]) == epochs


def test_convergence_stops(f64):
    settings = tp.Training(100, "all", tp.SGD(0.1), "mse", convergence_threshold=1e-3)
    run = f64.fit(LINE, LINE_WEIGHTS, (LINE_X, LINE_Y), settings)
    losses = run.history["loss"]
    moves = np.abs(np.diff(losses))
    assert len(losses) < 100
    assert moves[-1] < 1e-3 <= moves[:-1].min()


def test_without_a_threshold_it_goes_on(f64):
    settings = tp.Training(40, "all", tp.SGD(0.1), "mse")
    run = f64.fit(LINE, LINE_WEIGHTS, (LINE_X, LINE_Y), settings)
    assert len(run.history["loss"]) == 40


# the bookkeeping of Training, which needs no backend


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7]), ("all", [7])],
    ids=str,
)
def test_batches_are_slices_of_the_order(batch_size, sizes):
    settings = training(batch_size=batch_size)
    batches = settings.batches(settings.order(2, 7))
    assert [len(rows) for rows in batches] == sizes
    order = settings.order(2, 7)
    np.testing.assert_array_equal(np.concatenate(batches), order)
    assert sorted(order) == list(range(7))
    assert (order != settings.order(3, 7)).any()


def test_the_order_is_the_one_of_the_formula():
    fold_in, key = tp.threefry.fold_in, tp.threefry.key(11)
    expected = tp.threefry.permutation(fold_in(fold_in(key, tp.threefry.SHUFFLE), 2), 7)
    np.testing.assert_array_equal(training().order(2, 7), expected)


def test_the_dropout_key_is_the_one_of_the_formula():
    fold_in, key = tp.threefry.fold_in, tp.threefry.key(11)
    expected = fold_in(fold_in(key, tp.threefry.DROPOUT), 5)
    np.testing.assert_array_equal(training().dropout_key(5), expected)
