"""`tetrapla parity`: what it prints, writes and exits with."""

import json
import os
import re
from dataclasses import replace

import pytest
import support
from click.testing import CliRunner

from tetrapla import backends
from tetrapla.backends import load
from tetrapla.commands.parity import parity
from tetrapla.parity import engine, processes
from tetrapla.parity.pairwise import Pairwise
from tetrapla.parity.report import short
from tetrapla.parity.suite import cases
from tetrapla.spec import BackendUnavailableError


def invoke(*arguments):
    return CliRunner().invoke(parity, [*arguments], catch_exceptions=False)


def test_one_component_agrees(tmp_path):
    path = tmp_path / "parity.json"
    result = invoke("--backends", "numpy", "--filter", "relu", "--json", str(path))
    assert result.exit_code == 0
    assert "activation/leaky_relu" in result.stdout
    assert "1 backend, float32 and float64: all agree" in result.stdout
    report = json.loads(path.read_text())
    assert report["count"]["differs"] == report["count"]["error"] == 0
    assert report["count"]["agrees"] == len(report["verdicts"])
    assert list(report["backends"]) == ["numpy"]
    assert [p.name for p in tmp_path.iterdir()] == ["parity.json"]


def test_a_failure_exits_with_1_and_says_where(monkeypatch, tmp_path):
    checks = engine.checks

    def wrong(case, backend):
        return (replace(check, got=check.got + 1) for check in checks(case, backend))

    monkeypatch.setattr(engine, "checks", wrong)
    path = tmp_path / "parity.json"
    choice = ("--backends", "numpy", "--dtype", "float64", "--filter", "activation/tanh")
    result = invoke(*choice, "--json", str(path))
    assert result.exit_code == 1
    assert "✗ numpy float64 activation/tanh: a[0, 0]: got 1, expected 0" in result.stdout
    assert "runs disagree: numpy (activation/tanh)" in result.stdout
    report = json.loads(path.read_text())
    assert report["verdicts"][0]["first"] == "a"
    assert report["verdicts"][0]["comparisons"][0]["outside"]
    line = "numpy goes wrong first in activation/tanh (float64), a: another formula"
    assert line in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backends", "nunpy"], "unknown backend 'nunpy'; there are numpy, torch"),
        (["--backends", "numpy,"], "--backends has an empty name in 'numpy,'"),
        (["--dtype", "float8"], "unknown dtype 'float8'; there are float64, float32, tf32"),
        (["--filter", "no such"], "no case has 'no such' in its name"),
        (
            ["--filter", "differences", "--dtype", "float32"],
            "no case with 'differences' in its name runs in float32",
        ),
        (["--json", "/no/such/folder/a.json"], "there is no folder '/no/such/folder'"),
    ],
)
def test_misuse_exits_with_2_and_one_line(arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def _without_torch(monkeypatch):
    def require(name):
        if name != "numpy":
            raise BackendUnavailableError(f"pip install 'tetrapla[{name}]'")

    monkeypatch.setattr("tetrapla.commands.parity.require", require)


def test_a_missing_backend_is_named(monkeypatch):
    _without_torch(monkeypatch)
    result = invoke("--filter", "activation/tanh")
    assert result.exit_code == 0
    assert "torch not run: pip install 'tetrapla[torch]'" in result.stdout


def test_a_missing_backend_that_was_asked_for_is_misuse(monkeypatch):
    _without_torch(monkeypatch)
    result = invoke("--filter", "activation/tanh", "--backends", "numpy,torch")
    assert result.exit_code == 2
    assert result.stderr == "Error: pip install 'tetrapla[torch]'\n"


def test_list_prints_names_and_loads_nothing(monkeypatch):
    monkeypatch.setattr("tetrapla.commands.parity.require", None)
    result = invoke("--list", "--filter", "optimizer/adamw")
    assert result.exit_code == 0
    assert "optimizer/adamw" in result.stdout.splitlines()
    assert all("optimizer/adamw" in line for line in result.stdout.splitlines())


def test_short_numbers():
    assert [short(x) for x in (0, 0.126, 99.5, 123, 9.9e3, 1.5e4, 3e15, float("inf"))] == [
        "0.00",
        "0.13",
        "99.50",
        "123",
        "9900",
        "1.5e4",
        "3.0e15",
        "inf",
    ]


def test_everything_is_written_nan_and_all(tmp_path):
    path, page = tmp_path / "parity.json", tmp_path / "parity.html"
    choice = ("--backends", "numpy", "--filter", "activation/tanh")
    result = invoke(*choice, "--json", str(path), "--html", str(page), "--pairs")
    assert result.exit_code == 0
    report = json.loads(path.read_text())
    nan = next(v for v in report["verdicts"] if v["case"] == "activation/tanh-nan")
    assert nan["comparisons"][0]["fraction"] <= 1
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_pairs_of_backends(tmp_path):
    support.backend("torch", "float32")
    path = tmp_path / "parity.json"
    choice = ("--backends", "numpy,torch", "--filter", "activation/tanh", "--pairs")
    result = invoke(*choice, "--json", str(path))
    assert result.exit_code == 0
    assert "share of the sum of both bounds, and ULPs; the worst pair" in result.stdout
    assert "│ numpy, torch │ ✓ 0." in result.stdout
    pairs = json.loads(path.read_text())["pairs"]
    assert {(p["left"], p["right"]) for p in pairs} == {("numpy", "torch")}
    assert all(float(p["fraction"]) <= 1 for p in pairs)


def test_a_trace_shows_every_stage_of_every_step():
    choice = ("--backends", "numpy", "--filter", "training/lecture-full", "--trace")
    result = invoke(*choice, "--dtype", "float32")
    assert result.exit_code == 0
    assert "1.dz @ 1.weight.T" in result.stdout
    assert "sgd: update" in result.stdout
    assert "fit, epoch 2" in result.stdout
    refused = invoke("--filter", "activation", "--trace")
    assert refused.exit_code == 2
    assert "--trace shows training runs" in refused.stderr


def test_float64_fails_beside_float32(monkeypatch):
    """A fault too fine for float32 fails a run that asked for float32 alone."""
    checks = engine.checks

    def wrong(case, backend):
        for check in checks(case, backend):
            if backend.dtype == "float64":
                check = replace(check, got=check.got + 1e-12)
            yield check

    monkeypatch.setattr(engine, "checks", wrong)
    choice = ("--backends", "numpy", "--dtype", "float32", "--filter", "activation/elu")
    result = invoke(*choice)
    assert result.exit_code == 1
    assert "another formula" in result.stdout


@pytest.mark.parametrize("cores", [1, 4])  # with 4, of both some cases
def test_processes_give_what_one_process_gives(monkeypatch, cores):
    """Verdicts and pairs are those of engine.run, in its order."""
    support.backend("torch", "float32")
    monkeypatch.setattr(processes, "_cores", lambda: min(cores, processes.MOST))
    monkeypatch.setattr(processes, "FEWEST", 2)
    chosen = [c for c in cases() if c.id.startswith(("activation/elu", "layer/differ"))]
    names, dtypes = ["numpy", "torch"], ["float64", "float32"]
    heard = []
    found, kept, absent = processes.run(names, dtypes, chosen, heard.append)
    pairwise = Pairwise()
    loaded = [load(name, dtype=dtype) for name in names for dtype in dtypes]
    alone = list(engine.run(chosen, loaded, on_check=pairwise))
    assert repr(found) == repr(alone)  # as text, in which NaN is itself
    assert sorted(map(repr, heard)) == sorted(map(repr, found))
    assert list(kept.pairs()) == list(pairwise.pairs())
    assert not absent


NAMES = ["numpy", "torch", "torch.nn", "jax", "torch@gpu", "jax@gpu", "jax.flax@gpu"]
GROUPS = processes._by_framework(NAMES)


@pytest.mark.parametrize("cores", [1, 2, 5, 8, 16, 200])
@pytest.mark.parametrize("every", [1, 7, 200])
def test_each_backend_runs_each_case_once(monkeypatch, cores, every):
    monkeypatch.setattr(processes, "_cores", lambda: min(cores, processes.MOST))
    ids = [case.id for case in cases()[::every]]
    shards = processes._shards(GROUPS, ids)
    dealt = [(name, i) for shard in shards for name in shard.names for i in shard.ids]
    assert sorted(dealt) == sorted((name, i) for name in NAMES for i in ids)
    if cores <= len(GROUPS) or len(ids) < processes.FEWEST / 2:
        assert len(shards) == len(GROUPS)
    assert len(shards) < processes.MOST + len(NAMES)


def test_spare_cores_go_to_the_slowest_framework(monkeypatch):
    monkeypatch.setattr(processes, "_cores", lambda: 16)
    shards = processes._shards(GROUPS, [case.id for case in cases()])
    of = [shard.names for shard in shards]
    assert of[:12] == [["jax@gpu"]] * 6 + [["jax.flax@gpu"]] * 6
    assert of[-3:] == [["torch@gpu"], ["torch", "torch.nn"], ["numpy"]]
    weights = [sum(map(processes._weight, shard.ids)) for shard in shards[:12]]
    assert max(weights) - min(weights) <= 1


def _dies_in_the_second_case(names, dtypes, ids):
    if names == ["numpy"]:
        return processes._run(names, dtypes, ids)
    processes._run(names, dtypes, ids[:1])
    os._exit(1)


def _fails(names, dtypes, ids):
    if names == ["numpy"]:
        return processes._run(names, dtypes, ids)
    raise RuntimeError("no driver")


@pytest.mark.parametrize(
    ("stub", "of_torch", "message"),
    [
        (_dies_in_the_second_case, ["agrees", "error", "error"], "ended abruptly"),
        (_fails, ["error"] * 3, "failed with RuntimeError: no driver"),
    ],
)
def test_a_process_that_dies_fails_its_backend_and_no_other(
    monkeypatch, stub, of_torch, message
):
    support.backend("torch", "float32")
    monkeypatch.setattr(processes, "_run", stub)
    chosen = [c for c in cases() if c.id.startswith("activation/elu")]
    chosen = [c for c in chosen if "float32" in c.dtypes][:3]
    heard = []
    found, _, _ = processes.run(["numpy", "torch"], ["float32"], chosen, heard.append)
    status = {
        name: [v.status for v in found if v.backend == name] for name in ("numpy", "torch")
    }
    assert status == {"numpy": ["agrees"] * len(chosen), "torch": of_torch}
    missing = next(v for v in found if v.status == "error")
    where = f"not yet through with {missing.case}"
    assert missing.message == f"the process of torch {message}, {where}"
    assert sorted(map(repr, heard)) == sorted(map(repr, found))


def _unavailable_unless_numpy(names, dtypes, ids):
    load = processes.labelled

    def only_numpy(name, dtype):
        if name != "numpy":
            raise BackendUnavailableError(f"backend {name!r} found no accelerator")
        return load(name, dtype=dtype)

    processes.labelled = only_numpy
    return processes._run(names, dtypes, ids)


def test_a_backend_that_is_installed_but_cannot_be_loaded_is_named(monkeypatch):
    monkeypatch.setattr(processes, "_run", _unavailable_unless_numpy)
    monkeypatch.setattr("tetrapla.commands.parity.BUILT_IN", ["numpy", "torch"])
    monkeypatch.setattr("tetrapla.commands.parity.available", dict)
    monkeypatch.setattr("tetrapla.commands.parity.require", lambda name: None)
    result = invoke("--filter", "activation/tanh")
    assert result.exit_code == 0
    assert "torch not run: backend 'torch' found no accelerator" in result.stdout


class OnGpu:
    """A backend that says it is on a GPU."""

    def __init__(self, backend):
        self._backend = backend
        self.device, self.label = "gpu", f"{backend.name}@gpu"

    def __getattr__(self, name):
        return getattr(self._backend, name)


def test_what_has_no_gpu_runs_on_the_cpu_beside_the_others(monkeypatch):
    support.backend("torch", "float32")
    real = processes._judge

    def run(names, dtypes, cases, on_verdict):
        return real(names, dtypes, [case.id for case in cases], on_verdict)

    def labelled(label, dtype):
        if label == "torch@gpu":
            return OnGpu(load("torch", dtype=dtype))
        return backends.labelled(label, dtype)

    monkeypatch.setattr(processes, "run", run)
    monkeypatch.setattr(processes, "labelled", labelled)
    choice = ("--device", "gpu", "--filter", "activation/elu", "--pairs")
    result = invoke("--backends", "torch,numpy", *choice)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "numpy@gpu not run: backend 'numpy' has no device 'gpu'; it has cpu" in said
    assert "; it ran on the CPU" in said
    assert re.search("torch@gpu +┃ numpy", result.stdout)
    assert "│ torch@gpu, numpy │" in result.stdout  # the pair
    alone = invoke("--backends", "numpy", *choice)
    assert alone.exit_code == 2
    assert alone.stderr == "Error: backend 'numpy' has no device 'gpu'; it has cpu\n"


def test_a_device_that_nobody_has(monkeypatch):
    """Each asked backend is named, with what it has, and it is misuse."""
    support.backend("torch", "float32")
    says = {
        "numpy@gpu:9": "backend 'numpy' has no device 'gpu:9'; it has cpu",
        "torch@gpu:9": "backend 'torch' has no device 'gpu:9'; it has cpu, gpu",
        "torch.nn@gpu:9": "backend 'torch.nn' has no device 'gpu:9'; it has cpu, gpu",
    }

    def run(names, dtypes, cases, on_verdict):
        return processes.Outcome([], Pairwise(), {n: says[n] for n in reversed(names)})

    monkeypatch.setattr(processes, "run", run)
    choice = ("--device", "gpu:9", "--filter", "activation/elu")
    result = invoke("--backends", "numpy,torch,torch.nn", *choice)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: none of the backends has the device 'gpu:9'. "
        "numpy: only cpu. torch, torch.nn: only cpu, gpu\n"
    )
    says["torch@gpu:9"] = "torch is broken"
    result = invoke("--backends", "numpy,torch", *choice)
    assert "numpy: only cpu. torch: torch is broken\n" in result.stderr
