"""`tetrapla bench`: its arithmetic, its tables and what it refuses."""

import json
import sys
from dataclasses import replace
from importlib import import_module
from io import StringIO
from xml.etree import ElementTree

import pytest
import support
from click.testing import CliRunner
from rich.console import Console

import tetrapla as tp
from tetrapla import cli
from tetrapla.benchmarks import device_worker, measure, of_keras
from tetrapla.benchmarks import settings_worker as worker
from tetrapla.benchmarks import worker as contest_worker
from tetrapla.benchmarks.contest import Contestant, LeftOut, Result, contest
from tetrapla.benchmarks.measure import Contest
from tetrapla.benchmarks.problems import LARGE, SMALL, Problem, asked
from tetrapla.benchmarks.settings import Shares
from tetrapla.commands import bench

TINY = Problem("small", (3, 2), 64, epochs=1, passes=1, n=128)


def result(name, kind, *seconds, steps=10):
    return Result(name, kind, "", steps, 31.25, seconds, None)


def text(show, found):
    console = Console(width=80, record=True, file=StringIO())
    show(console, found)
    lines = console.export_text()
    assert "…" not in lines
    assert max(map(len, lines.splitlines())) <= 80
    return lines


def test_everybody_runs_in_turn():
    order = []
    each = [Contestant(n, "ours", "", 1, lambda n=n: order.append(n)) for n in "abc"]
    a, *_, c = contest(each, 3)
    assert order == [*"abc", *"abc", *"bac", *"cab"]
    assert len(a.seconds) == len(c.seconds) == 3


def fails():
    raise RuntimeError("no compiler\nhere")


def test_a_rival_that_fails_does_not_end_the_contest():
    each = [
        Contestant("a", "ours", "", 1, lambda: 0.5),
        Contestant("b", "loop", "", 1, fails),
        Contestant("c", "floor", "", 1, lambda: None),
    ]
    failed = {}
    assert [result.name for result in contest(each, 2, failed)] == ["a", "c"]
    assert failed == {"b": "RuntimeError: no compiler"}
    with pytest.raises(RuntimeError, match="no compiler"):
        list(contest(each, 2))


@pytest.mark.parametrize("kind", ["ours", "floor", "products"])
def test_what_all_are_compared_with_must_run(kind):
    with pytest.raises(RuntimeError, match="no compiler"):
        list(contest([Contestant("a", kind, "", 1, fails)], 1, {}))


def test_times_are_of_each_round():
    ours, theirs = result("a", "ours", 1, 2, 4), result("b", "peer", 4, 4, 4, steps=20)
    assert ours.times(theirs) == 1.0
    assert ours.rate == 5.0


def test_a_contest_fits_a_terminal():
    rows = (
        result("tetrapla torch", "ours", 0.000123, 0.000124),
        result("tetrapla torch.nn", "ours", 0.02),
        result("keras.fit on TensorFlow", "peer", 0.4),
        result("epoch in one function", "loop", 0.02),
        result("PyTorch products", "products", 0.001),
        result("PyTorch floor", "floor", 0.001),
    )
    shown = text(bench.show, Contest("torch", "small", rows))
    assert "80,972" in shown
    assert "torch.nn" in shown.splitlines()[2]


def test_who_is_not_in_a_contest_is_said():
    rows = result("tetrapla jax", "ours", 1.0), result("jax floor", "floor", 0.5)
    without = {"keras.fit on jax": "keras is not installed"}
    found = Contest("jax", "small", rows, without, {"scan": "ValueError: [no] scan"})
    shown = text(bench.show, found)
    assert "left out: keras.fit on jax (keras is not installed)" in shown
    assert "failed: scan (ValueError: [no] scan)" in shown
    data = found.data()
    assert data["left_out"] == without
    assert data["failed"] == {"scan": "ValueError: [no] scan"}
    assert data["results"][0]["times"] == {}
    assert data["results"][0]["of_floor"] == 0.5


def test_keras_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(of_keras, "find_spec", lambda name: None)
    why = "keras is not installed"
    assert of_keras.keras_fit(TINY, "jax") == LeftOut("keras.fit on jax", why)


def test_only_what_a_framework_needs_itself_is_missing(monkeypatch):
    there = dict.fromkeys(("torch", "jax", "flax", "optax", "scikit-learn"), "1.0")
    monkeypatch.setattr(measure, "_installed", lambda: there)
    assert not measure.missing("torch")
    assert not measure.missing("jax")
    assert measure.missing("tf") == ["tensorflow", "keras"]


def test_a_process_says_who_is_left_out(monkeypatch, capsys):
    of_numpy = import_module("tetrapla.benchmarks.of_numpy")
    ours = Contestant("ours", "ours", "", 1, lambda: 0.5)
    monkeypatch.setattr(of_numpy, "contestants", lambda p: [ours, LeftOut("a", "no b")])
    contest_worker.main("numpy", "small", "2", "quick", "cpu")
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["results"]] == ["ours"]
    assert (said["left_out"], said["failed"]) == ({"a": "no b"}, {})


def test_a_gpu_trains_the_large_network_for_longer():
    assert asked("small", quick=False) == SMALL
    assert asked("large") == LARGE
    assert asked("small", "gpu:1") == replace(SMALL, device="gpu:1")
    assert asked("large", "gpu").steps == 20 * LARGE.steps
    assert asked("large", "gpu", quick=True).steps == 5 * LARGE.steps


class Graph:
    """What stands for a CUDA graph: the work, done again into what it returned."""

    def __init__(self, work, found):
        self.work, self.found = work, found

    def replay(self):
        again = self.work()
        if again is not None:
            self.found.copy_(again)


@pytest.fixture
def of_torch(monkeypatch):
    """Return the contest of a GPU with PyTorch, without the GPU."""
    place = support.backend("torch").implementation.place
    module = import_module("tetrapla.benchmarks.of_torch")

    def captured(work):
        found = work()
        return Graph(work, found), found

    monkeypatch.setattr(module, "captured", captured)
    monkeypatch.setattr(module, "place", lambda problem: place)
    return module


@pytest.mark.parametrize("whole", [False, True], ids=["step", "epoch"])
def test_a_graph_does_every_step_on_rows_of_its_own(of_torch, monkeypatch, whole):
    few = replace(SMALL, n=80, epochs=3, device="gpu")  # batches of 32, 32 and 16
    problem = replace(few, hidden=(32, 16))
    steps = []
    adam = of_torch.torch.optim.Adam.step

    def step(self):
        steps.append(1)
        adam(self)

    monkeypatch.setattr(of_torch.torch.optim.Adam, "step", step)
    run = of_torch.graphed(problem, problem.n if whole else problem.batch)
    first = run()
    made = 3 if whole else 2  # steps that the stand-in does when it captures
    assert len(steps) == problem.steps + made
    for _ in range(100):
        last = run()
    assert last < first / 10


def test_a_gpus_floor_is_waited_for(of_torch, monkeypatch):
    waited = []
    monkeypatch.setattr(of_torch.torch.cuda, "synchronize", lambda: waited.append(1))
    run = of_torch.floor(replace(TINY, device="gpu"))
    run()
    run(2)
    assert len(waited) == 2


@pytest.mark.parametrize("name", ["tf", "jax"])
def test_a_floor_of_known_length_runs(name):
    support.backend(name)
    module = import_module(f"tetrapla.benchmarks.of_{name}")
    with module.scope("cpu") as device:
        assert device == "cpu"
        for optimizer in (True, False):
            module.floor(replace(TINY, device="gpu"), optimizer)(3)


def test_shares_fit_a_terminal():
    rows = result("none", "ours", 1, 2), result("dropout", "ours", 2, 2)
    found = Shares("tf.keras", rows)
    assert found.share(rows[1]) == 0.75
    assert "0.75" in text(bench.show_shares, found)
    assert found.data()["results"][1]["of_plain_speed"] == 0.75


def test_every_setting_runs():
    runs = list(worker.contestants(TINY, "numpy"))
    assert len({each.name for each in runs}) == len(runs) == 9
    losses = {each.name: each.run() for each in runs}
    assert losses.pop("dropout 0.5 after each hidden layer") != losses["none"]
    assert losses.pop("warm-up and cosine schedule") != losses["none"]
    assert set(losses.values()) == {losses["none"]}
    assert all(
        isinstance(layer, tp.Dropout)
        for layer in worker.with_dropout(TINY.net()).layers[1::2]
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--settings", "--scaling"], "a form of its own"),
        (["--settings", "--svg", "a.svg"], "no figure"),
        (["--settings", "--problems", "small"], "networks of its own"),
        (["--frameworks", "mxnet"], "unknown framework 'mxnet'"),
        (["--problems", "huge"], "unknown problem 'huge'"),
        (["--device", "tpu"], "device must be 'cpu', 'gpu' or 'gpu:N', got 'tpu'"),
        (["--device", "gpu", "--scaling"], "the process's memory, and a GPU has its own"),
        (
            ["--device", "gpu:7", "--frameworks", "numpy"],
            "backend 'numpy' has no device 'gpu:7'; it has cpu",
        ),
        (["--json", "none/a.json"], "there is no folder 'none'"),
    ],
)
def test_what_is_refused(asked, words):
    done = CliRunner().invoke(cli.main, ["bench", *asked], prog_name="tetrapla")
    assert done.exit_code == 2
    assert words in done.output
    assert len(done.output.splitlines()) == 1


ABSENT = {"torch": "backend 'torch' has no device 'gpu'; it has cpu"}


@pytest.fixture
def measured(monkeypatch):
    """Return a way to call the command where frameworks have GPUs, and what it measured."""
    calls = []

    def run(names, absent, *args, failed=None):
        def measuring(*how):
            calls.append(how)
            rows = result("ours", "ours", 1.0), result("floor", "floor", 0.5)
            yield Contest(how[0][0], "small", rows, {}, failed or {})

        monkeypatch.setattr(measure, "missing", lambda framework: [])
        monkeypatch.setattr(measure, "named", lambda asked, device: (names, absent))
        monkeypatch.setattr(measure, "measure", measuring)
        given = ["bench", "--quick", *map(str, args)]
        return CliRunner().invoke(cli.main, given, prog_name="tetrapla"), calls

    return run


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ({}, []),
        ({}, ["--frameworks", "torch"]),
        ({"jax": "G"}, ["--frameworks", "torch,jax"]),
    ],
)
def test_a_device_that_is_not_there_is_refused(measured, names, asked):
    done, calls = measured(names, ABSENT, "--device", "gpu", *asked)
    assert (done.exit_code, calls) == (2, [])
    assert done.output == f"Error: {ABSENT['torch']}\n"


def test_by_default_those_train_that_have_the_device(measured, tmp_path):
    path, figure = tmp_path / "speed.json", tmp_path / "speed.svg"
    how = ("--device", "gpu", "--json", path, "--svg", figure)
    done, calls = measured({"jax": "NVIDIA H200"}, ABSENT, *how)
    assert done.exit_code == 0, done.output
    assert calls == [(("jax",), ("small",), 3, True, "gpu")]
    assert done.output.startswith("NVIDIA H200 (gpu), ")
    assert "numpy is left out: backend 'numpy' has no device 'gpu'" in done.output
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["left_out"].keys() == {"numpy", "torch"}
    assert whole["machine"]["device"] == "gpu"
    assert whole["machine"]["gpu"] == "NVIDIA H200"
    assert whole["contests"][0]["left_out"] == {}
    words = " ".join(t.text for t in ElementTree.parse(figure).getroot().iter() if t.text)
    assert "NVIDIA H200, " in words


def test_the_cpu_is_not_asked_for(measured, tmp_path):
    path = tmp_path / "speed.json"
    done, calls = measured({}, {}, "--frameworks", "numpy,jax", "--json", path)
    assert done.exit_code == 0, done.output
    assert calls == [(("numpy", "jax"), ("small",), 3, True, "cpu")]
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["machine"]["device"] == "cpu"
    assert "gpu" not in whole["machine"]
    assert whole["left_out"] == {}


def test_a_rival_that_failed_is_said_at_the_end(measured, tmp_path):
    path = tmp_path / "speed.json"
    failed = {"torch.compile": "RuntimeError: no compiler"}
    done, _ = measured({}, {}, "--frameworks", "torch", "--json", path, failed=failed)
    assert done.exit_code == 1
    assert "failed: torch.compile (torch, small network)" in done.output
    assert json.loads(path.read_text(encoding="utf-8"))["contests"][0]["failed"] == failed


def test_a_process_says_which_device_it_has(capsys):
    device_worker.main("numpy", "cpu")
    assert json.loads(capsys.readouterr().out) == {"name": "cpu"}
    device_worker.main("numpy", "gpu:1")
    said = "backend 'numpy' has no device 'gpu:1'; it has cpu"
    assert json.loads(capsys.readouterr().out) == {"absent": said}


def test_frameworks_are_asked_in_their_processes(monkeypatch):
    said = {"torch": {"absent": "no"}, "jax": {"name": "NVIDIA H200"}}
    monkeypatch.setattr(measure, "in_process", lambda module, name, device: said[name])
    assert measure.named(["torch", "jax"], "gpu") == (
        {"jax": "NVIDIA H200"},
        {"torch": "no"},
    )


def test_a_process_that_fails_says_why(monkeypatch, tmp_path):
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n", encoding="utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    asked = ["bench", "--settings", "--frameworks", "numpy"]
    done = CliRunner().invoke(cli.main, asked, prog_name="tetrapla")
    assert done.exit_code == 1
    assert "the benchmark of numpy failed:\nno memory" in done.output
