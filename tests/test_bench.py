"""`tetrapla bench`: its arithmetic, its tables and what it refuses."""

import sys
from io import StringIO

import pytest
from click.testing import CliRunner
from rich.console import Console

import tetrapla as tp
from tetrapla import cli
from tetrapla.benchmarks import settings_worker as worker
from tetrapla.benchmarks.contest import Contestant, Result, contest
from tetrapla.benchmarks.measure import Contest
from tetrapla.benchmarks.problems import Problem
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
        (["--json", "none/a.json"], "there is no folder 'none'"),
    ],
)
def test_what_is_refused(asked, words):
    done = CliRunner().invoke(cli.main, ["bench", *asked], prog_name="tetrapla")
    assert done.exit_code == 2
    assert words in done.output


def test_a_process_that_fails_says_why(monkeypatch, tmp_path):
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n", encoding="utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    asked = ["bench", "--settings", "--frameworks", "numpy"]
    done = CliRunner().invoke(cli.main, asked, prog_name="tetrapla")
    assert done.exit_code == 1
    assert "the benchmark of numpy failed:\nno memory" in done.output
