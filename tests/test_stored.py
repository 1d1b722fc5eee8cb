"""Data in a memory-mapped file: trained on as if it were in memory."""

import mmap

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.spec import stored

NET = tp.Sequential(tp.Dense(5, 8, "relu"), tp.Dropout(0.3), tp.Dense(8, 3))
WEIGHTS = NET.init(1)
random = np.random.default_rng(0)
X = random.normal(size=(53, 5))
Y = random.integers(0, 3, 53)

BACKENDS = ["numpy", "torch", "tf", "jax", "torch.nn", "tf.keras", "jax.flax"]


@pytest.fixture
def in_file(tmp_path):
    """Return a function that puts an array into a file, and maps it."""

    def mapped(array):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode="r")

    return mapped


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(stored, "PIECE", 16)
    monkeypatch.setattr("tetrapla.validation.PIECE", 16)


def settings(name, **given):
    rule = tp.Adam.keras(0.01) if name == "tf.keras" else tp.Adam(0.01)
    loss = "softmax_cross_entropy"
    given = {"epochs": 3, "batch_size": 8, "metrics": ["accuracy"]} | given
    return tp.Training(optimizer=rule, loss=loss, **given)


def assert_same_run(one, other):
    assert one.history == other.history
    for name, w in one.weights.items():
        np.testing.assert_array_equal(w, other.weights[name], err_msg=name)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_run_has_the_same_bits(name, in_file):
    b, training = support.backend(name), settings(name)
    seen = (X[:20], Y[:20])
    run = b.fit(NET, WEIGHTS, (X, Y), training, validation=seen)
    stored_seen = (in_file(X[:20]), in_file(Y[:20]))
    again = b.fit(NET, WEIGHTS, (in_file(X), in_file(Y)), training, validation=stored_seen)
    assert_same_run(run, again)
    with_x_alone = b.fit(NET, WEIGHTS, (in_file(X), Y), training, validation=seen)
    assert_same_run(run, with_x_alone)


@pytest.mark.parametrize("name", BACKENDS)
def test_the_state_after_any_step(name, in_file):
    b, training = support.backend(name), settings(name)
    runs = []
    for data in ((X, Y), (in_file(X), in_file(Y))):
        states = []
        b.fit(
            NET,
            WEIGHTS,
            data,
            training,
            on_step=lambda report, states=states: (
                states.append(report.state()) if report.step in (3, 9) else None
            ),
        )
        runs.append(states)
    for one, other in zip(*runs, strict=True):
        for w in one.weights:
            np.testing.assert_array_equal(one.weights[w], other.weights[w])


@pytest.mark.parametrize("name", ["numpy", "torch", "tf", "jax"])
def test_what_is_read_at_once_is_little(name, in_file, monkeypatch):
    read = []
    reader = stored.Stored.read

    def counted(self, rows):
        found = reader(self, rows)
        read.append(len(found))
        return found

    monkeypatch.setattr(stored.Stored, "read", counted)
    monkeypatch.setattr("tetrapla.spec.stretch.NUMBERS", 16 * 5)
    b = support.backend(name)
    monkeypatch.setattr(b.implementation.fast, "NUMBERS", 128, raising=False)
    b.fit(NET, WEIGHTS, (in_file(X), in_file(Y)), settings(name))
    assert 0 < max(read) <= 16


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_other_dtypes_are_converted_as_in_memory(name, dtype, in_file):
    x, b, training = X.astype(dtype), support.backend(name), settings(name)
    run = b.fit(NET, WEIGHTS, (x, Y.astype(np.int32)), training)
    again = b.fit(NET, WEIGHTS, (in_file(x), in_file(Y.astype(np.int32))), training)
    assert_same_run(run, again)


def test_one_hot_rows_and_the_plain_loop(in_file):
    y = np.eye(3)[Y]
    b = support.backend("numpy")
    for plain in (False, True):
        run = b.fit(NET, WEIGHTS, (X, y), settings("numpy"), plain=plain)
        stored_data = (in_file(X), in_file(y))
        again = b.fit(NET, WEIGHTS, stored_data, settings("numpy"), plain=plain)
        assert_same_run(run, again)


def test_fit_rates(in_file):
    b, training = support.backend("torch"), settings("torch", metrics=[])
    one = b.fit_rates(NET, WEIGHTS, (X, Y), training, [0.1, 0.2])
    other = b.fit_rates(NET, WEIGHTS, (in_file(X), in_file(Y)), training, [0.1, 0.2])
    for run, again in zip(one.runs, other.runs, strict=True):
        assert_same_run(run, again)


def test_metrics_of_regression(in_file):
    net = tp.Sequential(tp.Dense(5, 2))
    y = X[:, :2] * 3 + 1000
    training = tp.Training(
        epochs=2,
        batch_size=8,
        optimizer=tp.SGD(0.01),
        loss="mse",
        metrics=["r2", "mean_absolute_error"],
    )
    b = support.backend("numpy", "float64")
    history = b.fit(net, net.init(1), (in_file(X), in_file(y)), training).history
    outputs = b.forward(net, b.fit(net, net.init(1), (X, y), training).weights, X)
    total = ((y - y.mean(axis=0)) ** 2).sum()
    r2 = 1 - ((y - outputs) ** 2).sum() / total
    assert history["r2"][-1] == pytest.approx(r2, rel=1e-12)
    assert history["mean_absolute_error"][-1] == pytest.approx(abs(y - outputs).mean())


BAD = {
    "a class too high": (lambda x, y: (x, np.where(np.arange(53) == 40, 3, y))),
    "no numbers": (lambda x, y: (x, y.astype(str))),
    "integers": (lambda x, y: (x.astype(int), y)),
    "another length": (lambda x, y: (x, y[:-1])),
    "another width": (lambda x, y: (x[:, :4], y)),
    "rows of probabilities": (lambda x, y: (x, np.full((53, 3), 0.5))),
    "a probability above 1": (
        lambda x, y: (x, np.eye(3)[y] + (np.arange(53) == 40)[:, None])
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_data_has_the_same_error(what, in_file):
    b = support.backend("numpy")
    x, y = BAD[what](X, Y)
    with pytest.raises(tp.InvalidInputError) as of_memory:
        b.fit(NET, WEIGHTS, (x, y), settings("numpy"))
    with pytest.raises(tp.InvalidInputError) as of_file:
        b.fit(NET, WEIGHTS, (in_file(x), in_file(y)), settings("numpy"))
    assert str(of_file.value) == str(of_memory.value)


def test_what_is_in_a_file(in_file, tmp_path):
    assert stored.in_file(in_file(X))
    assert stored.in_file(np.asarray(in_file(X))[3:, ::2])
    assert not stored.in_file(in_file(X)[[1, 2]])  # a copy
    path = tmp_path / "raw"
    path.write_bytes(X.tobytes())
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert stored.in_file(np.frombuffer(mapped, X.dtype).reshape(X.shape))
    assert not stored.in_file(X)
    assert not stored.in_file([1.0])
    assert not stored.in_file(None)
