"""Checkpoints: nothing is lost, nothing damaged is used, any backend goes on."""

import errno
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field, fields, replace
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla import checkpoints, files, weights
from tetrapla.backends import BUILT_IN, Backend
from tetrapla.checkpoints import Checkpoint, Checkpoints, fingerprint, read, write
from tetrapla.oracle.arithmetic import judge
from tetrapla.parity import verification
from tetrapla.parity.cases import TrainingCase
from tetrapla.parity.engine import AGREES, KNOWN, verdict
from tetrapla.spec import InvalidInputError, TrainingState

NET = tp.Sequential(tp.Dense(2, 4, "tanh"), tp.Dropout(0.25), tp.Dense(4, 1))
WEIGHTS = NET.init(seed=2)
RNG = np.random.default_rng(7)
X = RNG.normal(size=(7, 2)).astype("float32")
Y = np.sin(X[:, :1]) + np.float32(0.5)
VALIDATION = (X[:3] + np.float32(0.25), Y[:3])
STEPS = 3  # of an epoch


def training(name="numpy", epochs=3, **settings):
    """Return settings with everything on, and an Adam that the backend has."""
    dialect = BUILT_IN[name].dialect
    adam = getattr(tp.Adam, dialect)(0.05) if dialect else tp.Adam(0.05)
    given = {
        "schedule": tp.Warmup(2, tp.StepDecay(3, 0.5), start=0.5),
        "l2": 0.01,
        "metrics": ["r2"],
        "early_stopping": tp.EarlyStopping(5),
    }
    return tp.Training(epochs, 3, adam, "mse", seed=11, **given | settings)


def fit(b, settings, **given):
    return b.fit(NET, WEIGHTS, (X, Y), settings, validation=VALIDATION, **given)


def assert_same(state, other):
    """Compare two states to the bit; fingerprints are taken only sometimes."""
    for name in (f.name for f in fields(TrainingState) if f.name != "data"):
        one, two = getattr(state, name), getattr(other, name)
        if name in ("weights", "optimizer", "best") and one is not None:
            assert list(one) == list(two), name
            for n in one:
                np.testing.assert_array_equal(one[n], two[n], err_msg=n, strict=True)
        elif name == "order" and one is not None:
            np.testing.assert_array_equal(one, two, strict=True)
        else:
            assert one == two, name


def stopped(b, settings, after, **given):
    """Return the state of a run that was stopped after so many steps."""

    def stop(report):
        if report.step == after - 1:
            report.stop()

    state = fit(b, settings, on_step=stop, **given).state
    assert state.step == after
    return state


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def numpy():
    return support.backend("numpy")


# a file


def test_round_trip(numpy, tmp_path):
    state = stopped(numpy, training(), 5)
    assert state.order is not None
    assert state.best is not None
    odd = replace(
        state,
        history={"loss": [math.nan], "val_loss": [math.inf]},
        loss_sum=-0.0,
        best_loss=math.inf,
        data={"training": "0"},
    )
    for given in (state, odd, replace(odd, best=None, order=None, position=0, loss=None)):
        path = tmp_path / "one.safetensors"
        write(path, Checkpoint(given, NET, training(), {"who": ["me", 1]}))
        found = read(path)
        assert (found.net, found.training) == (NET, training())
        assert found.about == {"who": ["me", 1]}
        assert str(found.state.history) == str(given.history)  # NaN is not NaN
        assert math.copysign(1, found.state.loss_sum) == math.copysign(1, given.loss_sum)
        assert found.state.data == given.data
        assert_same(
            replace(found.state, history={"loss": [0.0]}),
            replace(given, history={"loss": [0.0]}),
        )


def test_a_file_holds_the_seeds_key_and_the_versions(numpy, folder):
    fit(numpy, training(), checkpoints=Checkpoints(folder, about={"mine": 1}))
    path = Checkpoints(folder).paths()[-1]
    with checkpoints.opened(path, 1) as (about, file):
        np.testing.assert_array_equal(file.get_tensor("key"), tp.threefry.key(11))
        versions = about["about"]["versions"]
    assert versions["tetrapla"] == tp.__version__
    assert versions["numpy"] == np.__version__
    found = read(path).about
    assert (found["backend"], found["device"], found["mine"]) == ("numpy", "cpu", 1)


def test_every_damaged_byte_is_noticed(numpy, tmp_path):
    path = tmp_path / "one.safetensors"
    write(path, Checkpoint(stopped(numpy, training(), 5), NET, training()))
    content = path.read_bytes()
    places = {*range(0, len(content), 37), *range(200), len(content) - 1}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(InvalidInputError, match=r"one\.safetensors"):
            read(path)
    for length in {0, 1, 8, 100, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInputError, match=r"one\.safetensors"):
            read(path)
    path.write_bytes(content)
    assert read(path).state.step == 5


def test_what_is_swapped_is_noticed(numpy, tmp_path):
    # A valid file in which two arrays of one shape have changed their names.
    path = tmp_path / "one.safetensors"
    write(path, Checkpoint(stopped(numpy, training(), 5), NET, training()))
    content = path.read_bytes()
    for one, other in (
        (b"weights/0.weight", b"weights/2.weight"),
        (b'"optimizer/m/0.weight"', b'"optimizer/v/0.weight"'),
        (b'"I64"', b'"F64"'),  # the order's dtype
    ):
        assert one in content
        swapped = content.replace(one, b"\0").replace(other, one).replace(b"\0", other)
        path.write_bytes(swapped)
        with pytest.raises(InvalidInputError, match=r"one\.safetensors"):
            read(path)


def test_the_key_is_that_of_the_seed(numpy, tmp_path, monkeypatch):
    path = tmp_path / "one.safetensors"
    state = stopped(numpy, training(), 5)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.threefry, "key", lambda seed: np.zeros(2, np.uint32))
        write(path, Checkpoint(state, NET, training()))
    with pytest.raises(InvalidInputError, match="its key is not that of its seed"):
        read(path)


def test_a_newer_format_is_not_damage(numpy, folder, monkeypatch):
    kept = Checkpoints(folder)
    fit(numpy, training(epochs=1), checkpoints=kept)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "FORMAT", 2)
        fit(numpy, training(epochs=2), checkpoints=kept, resume=kept.latest())
    old = read(kept.paths()[0])
    for use in (kept.latest, lambda: fit(numpy, training(), checkpoints=kept, resume=old)):
        with pytest.raises(InvalidInputError, match="in format 2, written by"):
            use()
    assert len(kept.paths()) == len(list(folder.iterdir())) == 2


def test_a_checkpoint_is_no_weights_file_and_the_other_way_round(numpy, tmp_path):
    path = tmp_path / "one.safetensors"
    write(path, Checkpoint(stopped(numpy, training(), 5), NET, training()))
    with pytest.raises(InvalidInputError, match="a checkpoint: read it with"):
        weights.load(path)
    weights.save(path, NET, WEIGHTS)
    with pytest.raises(InvalidInputError, match="no checkpoint: tetrapla"):
        read(path)


# a folder


@pytest.mark.parametrize(
    ("every", "keep", "steps"),
    [(None, 3, [3, 6, 9]), (None, 1, [9]), (2, 3, [6, 8, 9]), (1, 4, [6, 7, 8, 9])],
)
def test_the_newest_are_kept(numpy, folder, every, keep, steps):
    fit(numpy, training(), checkpoints=Checkpoints(folder, every=every, keep=keep))
    kept = Checkpoints(folder).paths()
    assert [p.name for p in kept] == [f"step-{s:012d}.safetensors" for s in steps]
    assert [read(p).state.step for p in kept] == steps
    assert sorted(folder.iterdir()) == kept  # and nothing else


def test_a_folder_without_checkpoints(folder):
    assert Checkpoints(folder).latest() is None
    folder.mkdir()
    assert Checkpoints(folder).latest() is None


def test_the_one_before_a_damaged_one_is_used(numpy, folder):
    kept = Checkpoints(folder)
    run = fit(numpy, training(), checkpoints=kept)
    *_, before, last = kept.paths()
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.warns(UserWarning, match=f"passed over: .*{last.name}"):
        found = kept.latest()
    assert found.state.step == read(before).state.step == 6
    # Going on from there puts the damaged one aside, and loses nothing.
    again = fit(numpy, training(), checkpoints=kept, resume=found)
    assert_same(again.state, run.state)
    assert_same(kept.latest().state, run.state)
    assert last.with_name(f"{last.name}.damaged").exists()


def test_an_older_one_under_a_newer_name(numpy, folder):
    kept = Checkpoints(folder)
    run = fit(numpy, training(), checkpoints=kept)
    first, *_, last = kept.paths()
    last.write_bytes(first.read_bytes())
    with pytest.warns(UserWarning, match=f"{last.name}: it is of step 3"):
        found = kept.latest()
    assert found.state.step == 6
    assert_same(fit(numpy, training(), checkpoints=kept, resume=found).state, run.state)


def test_what_is_no_file_is_not_read(numpy, folder):
    kept = Checkpoints(folder)
    state = fit(numpy, training(), checkpoints=kept).state
    (folder / "step-000000000010.safetensors").mkdir()
    (folder / "step-000000000011.safetensors").symlink_to(folder / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "step-000000000012.safetensors")
    assert_same(kept.latest().state, state)


def test_a_file_that_vanishes_while_it_is_looked_for(numpy, folder, monkeypatch):
    kept = Checkpoints(folder)
    fit(numpy, training(), checkpoints=kept)
    real = checkpoints.read

    def vanishing(path):
        if path.exists() and path.name.endswith("9.safetensors"):
            path.unlink()  # as a writer does that keeps fewer
        return real(path)

    monkeypatch.setattr(checkpoints, "read", vanishing)
    assert kept.latest().state.step == 6


def test_all_damaged(numpy, folder):
    kept = Checkpoints(folder)
    fit(numpy, training(), checkpoints=kept)
    for path in kept.paths():
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="passed over"),
        pytest.raises(InvalidInputError, match="has no checkpoint that can be read"),
    ):
        kept.latest()


def test_another_run_in_the_folder_is_refused(numpy, folder):
    kept = Checkpoints(folder)
    state = fit(numpy, training(epochs=2), checkpoints=kept).state
    there = {p: p.read_bytes() for p in folder.iterdir()}
    for resume in (None, replace(state, step=3, epoch=1, history=one_epoch(state))):
        with pytest.raises(InvalidInputError, match="holds the checkpoints of a run"):
            fit(numpy, training(), checkpoints=kept, resume=resume)
    assert {p: p.read_bytes() for p in folder.iterdir()} == there


def one_epoch(state):
    return {name: row[:1] for name, row in state.history.items()}


def test_another_run_at_the_same_step_is_refused(numpy, folder, tmp_path):
    kept = Checkpoints(folder)
    fit(numpy, training(epochs=1), checkpoints=kept)
    state = fit(numpy, replace(training(epochs=1), seed=5)).state
    assert state.step == kept.latest().state.step
    with pytest.raises(InvalidInputError, match="another run, at the same step 3"):
        fit(numpy, training(), checkpoints=kept, resume=state)
    # The run itself may go on in another dtype.
    wide = support.backend("numpy", "float64")
    assert fit(wide, training(), checkpoints=kept, resume=kept.latest()).state.step == 9


def test_a_run_that_a_callback_stops_leaves_its_state(numpy, folder):
    kept = Checkpoints(folder)
    state = stopped(numpy, training(), 5, checkpoints=kept)
    assert_same(kept.latest().state, state)
    rest = fit(numpy, training(), checkpoints=kept, resume=state)
    assert_same(rest.state, fit(numpy, training()).state)


def test_two_runs_cannot_write_to_one_folder(numpy, folder):
    kept = Checkpoints(folder)
    refused = []

    def another(report):
        try:
            fit(numpy, training(), checkpoints=kept, resume=kept.latest())
        except InvalidInputError as error:
            refused.append(str(error))

    fit(numpy, training(), checkpoints=kept, on_epoch=another)
    assert refused == [f"another run is writing its checkpoints to {folder}"] * 3


def test_what_a_killed_writer_left_is_removed(numpy, folder):
    folder.mkdir()
    left = folder / ".step-000000000003.safetensors-0123.tmp"
    left.write_bytes(b"half")
    mine = folder / "notes.txt"
    mine.write_text("mine")
    fit(numpy, training(), checkpoints=Checkpoints(folder, keep=1))
    assert not left.exists()
    assert mine.read_text() == "mine"


def test_a_full_disk_leaves_what_was_there(numpy, folder, monkeypatch):
    kept = Checkpoints(folder)
    state = fit(numpy, training(epochs=1), checkpoints=kept).state

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            fit(numpy, training(), checkpoints=kept, resume=state)
    assert_same(kept.latest().state, state)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folder": None}, "folder must be a path, got None"),
        ({"every": 0}, "every must be >= 1, got 0"),
        ({"keep": 0}, "keep must be >= 1, got 0"),
        ({"about": {"when": object()}}, "about must be JSON data"),
    ],
)
def test_bad_settings(folder, given, message):
    with pytest.raises(InvalidInputError, match=message):
        Checkpoints(**{"folder": folder} | given)


# the data


def test_a_fingerprint_is_of_the_values(monkeypatch):
    x, y = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4)
    first = fingerprint(x, y)
    assert fingerprint(x.astype(np.float64), y.astype(np.int32)) == first
    assert fingerprint(np.asfortranarray(x), y) == first
    monkeypatch.setattr(checkpoints, "CHUNK", 4)  # in pieces
    assert fingerprint(x, y) == first
    assert fingerprint(x, y.astype(float)) == first
    others = [(x[::-1], y), (x, y[::-1]), (x.reshape(3, 4), y), (x + 1e-6, y), (y, x)]
    assert len({first, *(fingerprint(*other) for other in others)}) == 6


def test_a_run_goes_on_with_its_own_data(numpy, folder):
    kept = Checkpoints(folder)
    fit(numpy, training(epochs=1), checkpoints=kept)
    with pytest.raises(InvalidInputError, match="saw other training data"):
        numpy.fit(
            NET,
            WEIGHTS,
            (X[::-1], Y),
            training(),
            validation=VALIDATION,
            resume=kept.latest(),
        )
    with pytest.raises(InvalidInputError, match="saw other validation data"):
        numpy.fit(NET, WEIGHTS, (X, Y), training(), validation=(X, Y), resume=kept.latest())


# going on, in one backend


@pytest.mark.parametrize("name", support.ALL)
@pytest.mark.parametrize("after", [1, 3, 5])  # inside an epoch, at its last step
def test_going_on_is_as_if_never_stopped(name, after, folder):
    b = support.backend(name)
    whole = fit(b, training(name))
    kept = Checkpoints(folder, every=1)
    stopped(b, training(name), after, checkpoints=kept)
    found = kept.latest()
    assert found.state.step == after
    rest = fit(b, training(name), checkpoints=kept, resume=found)
    assert_same(rest.state, whole.state)
    assert rest.history == whole.history
    for n in WEIGHTS:
        np.testing.assert_array_equal(rest.weights[n], whole.weights[n])


@pytest.mark.parametrize("settings", [{"batch_size": "all"}, {"batch_size": 1}])
def test_other_batches(numpy, folder, settings):
    given = replace(training(), **settings)
    whole = fit(numpy, given)
    kept = Checkpoints(folder, every=1, keep=100)
    fit(numpy, given, checkpoints=kept)
    for path in kept.paths():
        rest = fit(numpy, given, resume=read(path))
        assert_same(rest.state, whole.state)


def test_a_run_that_ended_goes_on_with_more_epochs(numpy, folder):
    kept = Checkpoints(folder)
    fit(numpy, training(epochs=2), checkpoints=kept)
    fit(numpy, training(epochs=3), checkpoints=kept, resume=kept.latest())
    assert_same(kept.latest().state, fit(numpy, training(epochs=3)).state)


def test_what_early_stopping_counts_goes_on(numpy, folder):
    # It only gets worse: the labels are where the run starts.
    settings = training(epochs=20, early_stopping=tp.EarlyStopping(4), metrics=[])
    target = numpy.forward(NET, WEIGHTS, X).astype("float32")
    asked = (NET, WEIGHTS, (X, Y + 10), settings)
    whole = numpy.fit(*asked, validation=(X, target))
    assert (whole.state.epoch, whole.state.waited) == (5, 4)
    kept = Checkpoints(folder, keep=20)
    numpy.fit(*asked, validation=(X, target), checkpoints=kept)
    waited = [read(path).state.waited for path in kept.paths()]
    assert waited == [0, 1, 2, 3, 4]
    for path in kept.paths():
        rest = numpy.fit(*asked, validation=(X, target), resume=read(path))
        assert_same(rest.state, whole.state)
        np.testing.assert_array_equal(rest.weights["0.weight"], whole.weights["0.weight"])


def test_without_early_stopping_the_last_weights_are_returned(numpy):
    state = fit(numpy, training(epochs=2)).state
    assert state.best is not None
    run = fit(numpy, training(early_stopping=None), resume=state)
    for n in WEIGHTS:
        np.testing.assert_array_equal(run.weights[n], run.state.weights[n])


def test_a_converged_run_stays_where_it_is(numpy):
    settings = training(epochs=20, convergence_threshold=1e3)
    run = fit(numpy, settings)
    assert run.state.epoch == 2
    assert_same(fit(numpy, settings, resume=run.state).state, run.state)


def test_losses_add_up_in_one_order(folder):
    # In float64 sums depend on how they are grouped: 50 of them, saved at each.
    b = support.backend("numpy", "float64")
    x = RNG.normal(size=(50, 2))
    settings = tp.Training(1, 1, tp.SGD(0.01), "mse", seed=1)
    asked = (NET, WEIGHTS, (x, np.exp(x[:, :1])), settings)
    whole = b.fit(*asked)
    kept = Checkpoints(folder, every=1, keep=100)
    assert b.fit(*asked, checkpoints=kept).history == whole.history
    for path in kept.paths()[::7]:
        assert b.fit(*asked, resume=read(path)).history == whole.history


def test_a_count_of_steps_beyond_32_bits(name):
    b = support.backend(name)
    state = stopped(b, training(), 5)
    late = replace(state, optimizer=state.optimizer | {"t": np.array(2**40)})
    run = fit(b, training(), resume=late)
    assert run.state.optimizer["t"] == 2**40 + 4
    for w in run.state.weights.values():
        assert np.isfinite(w).all()


# killed, and interrupted


def kills():
    path = Path(__file__).parents[1] / "benchmarks" / "kills.py"
    spec = spec_from_file_location("kills", path)
    module = module_from_spec(spec)
    sys.modules["kills"] = module  # its dataclass looks there
    spec.loader.exec_module(module)
    return module


def test_killed_at_random_moments(numpy):
    # A handful; benchmarks/kills.py does a hundred.
    module = kills()
    count = module.Count()
    expected = module.run("numpy", None, None, None)
    while count.kills < 6:
        assert module.killed_run("numpy", 2, expected, count, 6) == ""


def test_a_lost_step_would_be_noticed(numpy, monkeypatch):
    # The harness itself: a run that ends elsewhere is told from one that does not.
    module = kills()
    expected = module.run("numpy", None, None, None)
    moved = {n: w + np.float32(1e-7) for n, w in expected.weights.items()}
    other = replace(expected, weights=moved)
    count = module.Count()
    assert module.killed_run("numpy", 50, other, count, 0) == "another end: weights"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX's")
def test_ctrl_c_leaves_a_checkpoint_of_a_whole_step(tmp_path):
    support.dataset("digits")
    folder = tmp_path / "run"
    begun = ("train", "digits", "--epochs", 1000, "--checkpoint", folder)
    with support.listening(*begun) as child:
        for line in child.stdout:
            if line.split()[:1] == ["2"]:
                break
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    last = Checkpoints(folder).latest().state
    assert last.step >= 2 * 45
    assert f"step-{last.step:012d}.safetensors is saved; go on with --resume" in said
    given = ["--resume", str(folder), "--epochs", str(last.epoch + 1)]
    command = [sys.executable, "-m", "tetrapla", "train", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"resumed    {folder}, after {last.epoch} of" in done.stdout
    assert Checkpoints(folder).latest().state.epoch == last.epoch + 1


@pytest.fixture
def heard():
    """Python's own handler: what is started in the background has none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_a_signal_during_a_step_waits_for_its_end(numpy, folder):
    kept = Checkpoints(folder)

    def interrupt(report):
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(numpy, training(), checkpoints=kept, on_step=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    found = kept.latest().state
    assert (found.step, found.position) == (5, 6)  # sent after step 4: at the next's end
    rest = fit(numpy, training(), resume=found)
    assert_same(rest.state, fit(numpy, training()).state)


@pytest.mark.usefixtures("heard")
def test_a_second_signal_does_not_wait(numpy, folder):
    def twice(report):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal waited")

    with pytest.raises(KeyboardInterrupt):
        fit(numpy, training(), checkpoints=Checkpoints(folder), on_step=twice)


@pytest.mark.usefixtures("heard")
def test_a_signal_in_the_last_epoch_is_not_lost(numpy, folder):
    kept = Checkpoints(folder)

    def interrupt(report):
        if report.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(numpy, training(), checkpoints=kept, on_epoch=interrupt)
    assert_same(kept.latest().state, fit(numpy, training()).state)


def test_the_users_own_handler_stays(numpy, folder):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        fit(
            numpy,
            training(),
            checkpoints=Checkpoints(folder),
            on_epoch=lambda report: os.kill(os.getpid(), signal.SIGINT),
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1, 1, 1]


def test_in_another_thread_no_handler_is_touched(numpy, folder):
    ended = []
    thread = threading.Thread(
        target=lambda: ended.append(
            fit(numpy, training(), checkpoints=Checkpoints(folder)).state.step
        )
    )
    thread.start()
    thread.join()
    assert ended == [9]


# going on in another framework


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", support.ALL)
def test_a_state_arrives_bit_for_bit(name, dtype, folder):
    settings = training(name, epochs=2)
    b = support.backend(name, dtype)
    writer = support.backend("numpy", dtype)  # has every dialect
    kept = Checkpoints(folder, every=1)
    state = stopped(writer, settings, 5, checkpoints=kept)
    got = []

    def first(report):
        got.append(report.state())
        report.stop()

    # One step, from which what arrived can be seen: the oracle's, below; and
    # none at all, which must give back what arrived.
    arrived = fit(b, replace(settings, epochs=1), resume=kept.latest()).state
    assert_same(arrived, state)
    fit(b, settings, resume=kept.latest(), on_step=first)
    assert got[0].step == 6


# Three frameworks that have the same optimizer, and the libraries among them.
ROUTES = {
    "from-scratch": (("tf", "torch", "jax", "numpy"), tp.Adam(0.05)),
    "libraries": (("tf.keras", "torch.nn", "jax.flax", "tf"), tp.SGD(0.1)),
}


@dataclass(frozen=True)
class Relay(TrainingCase):
    """A stretch of a run: the states that `fit` had, from the one that arrived."""

    states: tuple[TrainingState, ...] = field(default=(), compare=False)

    weights = WEIGHTS
    data = ((X, Y), VALIDATION)


@verification.checks.register
def _(case: Relay, backend: Backend):
    yield from verification.lock_step(case, backend, start=case.states[0])
    for before, after in pairwise(case.states):
        ar = judge(backend.dtype)
        yield from verification.fitted_step(case, ar, before, after)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("names", "rule"), ROUTES.values(), ids=ROUTES)
def test_a_run_moves_across_the_frameworks(names, rule, dtype, folder):
    given = {"metrics": [], "early_stopping": tp.EarlyStopping(100)}
    settings = replace(training(epochs=2 * len(names), **given), optimizer=rule)
    kept = Checkpoints(folder, every=1)
    for stage, name in enumerate(names):
        b = support.backend(name, dtype)
        here = replace(settings, epochs=2 * stage + 2)
        found = kept.latest()
        states = [] if found is None else [found.state]
        run = fit(
            b,
            here,
            checkpoints=kept,
            resume=found,
            on_step=lambda report, states=states: states.append(report.state()),
        )
        # A state inside an epoch and the one between epochs are one step apart.
        assert [s.step for s in states] == list(range(states[0].step, run.state.step + 1))
        case = Relay("relay", "training", NET, here, "", len(X), states=tuple(states))
        outcome = verdict(case, b)
        assert outcome.status in (AGREES, KNOWN), outcome.first
        assert {c.step for c in outcome.comparisons} == set(
            range(states[0].step + 1, run.state.step + 1)
        )
    moved = run.history["val_loss"]
    stayed = fit(support.backend("numpy", dtype), settings).history["val_loss"]
    assert len(moved) == len(stayed) == 8
    # Seen, not proven: 24 smooth steps, each of a few roundings; Keras's rate is
    # of float32. Another formula, or a state that is lost, would show at 1e-2.
    unit = np.finfo("float32" if "tf.keras" in names else dtype).eps
    np.testing.assert_allclose(moved, stayed, rtol=1e3 * unit)


def test_what_the_documentation_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in support.blocks("docs/checkpoints.md", "python"):
        exec(block, names)
    assert names["found"].state.step == 78
    assert len(list((tmp_path / "runs" / "sums").iterdir())) == 3
