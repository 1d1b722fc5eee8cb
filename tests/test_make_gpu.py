"""`make gpu`: its processes, and its summary of what they have written so far."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import support

from tetrapla.parity import engine

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def written(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def job(folder, name, code=None, **how):
    made = import_module("gpu_jobs").Job(name, folder)
    made.process, made.code, made.seconds = SimpleNamespace(), code, 7.0
    vars(made).update(how)
    return made


def section(text, title):
    return text.partition(f"## {title}")[2].partition("\n## ")[0]


def summed_up(folder, *tests, parity, speed=(), note=""):
    jobs = [job(folder, "info", 0), *tests, parity, *speed]
    return import_module("gpu_summary").summary(folder, {"GPU": "none"}, jobs, note)


def test_tests_are_added_up_and_failures_said_in_full(tmp_path):
    there = {"none": 1, "jax": 3, "torch": 4}
    written(
        tmp_path / "tests-none.jsonl",
        {"there": there, "selected": 1},
        {"test": "a", "outcome": "not finished"},
        {"test": "a", "outcome": "skipped", "message": "no GPU", "seconds": 0},
    )
    written(
        tmp_path / "tests-jax.jsonl",
        {"there": there, "selected": 3},
        {"test": "b[jax]", "outcome": "passed", "message": "", "seconds": 31.0},
        {
            "test": "c[jax]",
            "outcome": "failed",
            "message": "1 is not 2\na.py:3",
            "seconds": 1,
        },
        {"test": "c[jax]", "outcome": "passed", "message": "", "seconds": 1},
        {"test": "d[jax]", "outcome": "not finished"},
    )
    (tmp_path / "tests-jax.err").write_text(
        "W0000 a warning\nFatal Python error: Aborted\n\nThread 1:\n  File other.py\n"
        "Current thread 2:\n  File here.py, line 3\n"
    )
    tests = job(tmp_path, "tests-none", 0), job(tmp_path, "tests-jax", -6)
    waiting = job(tmp_path, "tests-torch", process=None)
    text = summed_up(
        tmp_path, *tests, waiting, parity=job(tmp_path, "parity", process=None)
    )
    assert "**Not finished**: tests-torch (not begun), parity (not begun)." in text
    said = section(text, "Tests")
    assert said.startswith(": 1 passed, 1 failed, 1 skipped, 5 not finished\n")
    assert "| jax | 1 | 1 | 0 | 1 | ended by signal 6 after 7 s |" in said
    assert "- ✗ c[jax]\n  ```text\n  1 is not 2\n  a.py:3\n  ```\n" in said
    assert "- ✗ tests-jax ended by signal 6 after 7 s in d[jax]\n" in said
    assert "Aborted\n  Current thread 2:\n    File here.py, line 3\n  ```" in said
    assert "- 1 not run: no GPU" in said
    assert "- slow: b[jax], 31 s" in said


def test_what_parity_has_so_far_is_in_its_table(tmp_path, monkeypatch):
    line, checks = import_module("gpu_parity").line, engine.checks
    cases = support.cases(
        "activation/tanh", "activation/elu", "activation/elu-nan"
    ).values()
    tanh, elu, _ = cases
    b = support.backend("numpy")
    right = engine.verdict(elu, b)

    def wrong(case, backend):
        return (replace(check, got=check.got + 1) for check in checks(case, backend))

    monkeypatch.setattr(engine, "checks", wrong)
    (differs,) = engine.judged(None, engine.verdict(tanh, b))
    crashed = replace(right, backend="jax@gpu", status="error", message="it ended abruptly")
    written(
        tmp_path / "parity.jsonl",
        {
            "backends": ["numpy", "numpy@gpu", "jax@gpu"],
            "dtypes": ["float32"],
            "cases": [[c.id, c.component, ["float32"]] for c in cases],
        },
        *map(line, (right, replace(differs, cause="another formula"), crashed)),
    )
    with (tmp_path / "parity.jsonl").open("a") as file:
        file.write('{"case": "activation/el')  # a line that is being written
    written(tmp_path / "info.jsonl", {"backend": "numpy@gpu", "missing": "no device 'gpu'"})
    stopped = job(tmp_path, "parity", stopped=True)
    text = summed_up(tmp_path, parity=stopped, note="cut off: the limit has come")
    assert (
        "Cut off: the limit has come. **Not finished**: parity (stopped after 7 s)." in text
    )
    said = section(text, "Parity")
    assert said.startswith(": 1 differs, 1 agrees, 1 error, 3 not finished\n")
    assert "- ✗ numpy activation/tanh float32: a[0, 0]: got 1, expected 0 +-" in said
    outside = f"{tanh.z.size} of its elements; 2 of 2 tensors"
    assert f"  - another formula; tanh(z)\n  - outside: {outside}\n" in said
    raised = "- ✗ jax@gpu, 1 run (activation/elu float32):"
    assert f"{raised}\n  ```text\n  it ended abruptly\n  ```" in said
    share = f"{right.fraction:.2g} (1/2)"
    assert f"| activation/elu | {share} | ✗ error (1/2) |" in said
    assert "| share of the bound | numpy | jax@gpu |" in said
    assert "| activation/tanh | ✗ " in said
    assert "**numpy@gpu**: not run: no device 'gpu'" in text


def test_the_speed_is_what_was_printed_or_why_not(tmp_path):
    parity = job(tmp_path, "parity", 0)
    (tmp_path / "speed.txt").write_text("a table\n")
    text = summed_up(tmp_path, parity=parity, speed=[job(tmp_path, "speed", 0)])
    assert "\nFinished.\n" in text
    assert "```text\na table\n```" in section(text, "Speed")
    (tmp_path / "speed.err").write_text("a warning\nError: no keras\n")
    text = summed_up(tmp_path, parity=parity, speed=[job(tmp_path, "speed", 2)])
    assert "Not measured: Error: no keras" in section(text, "Speed")
    assert "Not measured: no backend has a GPU" in summed_up(tmp_path, parity=parity)


def test_a_test_is_of_the_backend_among_its_parameters():
    of = import_module("gpu_tests").backend_of

    def item(**params):
        return SimpleNamespace(callspec=SimpleNamespace(params=params))

    assert of(item(dtype="float32", name="torch.nn")) == "torch.nn"
    assert of(item(name="torch", kind="layer/dense")) == "torch"
    assert of(item(dtype="float32", case=object())) == "none"
    assert of(SimpleNamespace()) == "none"


def test_a_process_is_stopped_with_all_that_it_started(tmp_path):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', '''\n"
    code += "import os, time; print(os.getpid(), flush=True); time.sleep(60)''' ])"
    jobs = import_module("gpu_jobs")
    slow, quick = jobs.Job("slow", tmp_path, "-c", code), jobs.Job("quick", tmp_path, "-V")
    for _ in jobs.work([slow, quick], 2, {}):
        if quick.finished and slow.log.read_text():
            break
    slow.stop()
    status = Path(f"/proc/{slow.log.read_text().strip()}/status")
    until = time.monotonic() + 10
    while status.exists() and "zombie" not in status.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (slow.finished, str(quick)[:12]) == (False, "ended with 0")
    assert str(slow).startswith("stopped after")


def test_a_run_that_reaches_its_limit_has_a_summary_and_fails(tmp_path):
    how = ["--device", "cpu", "--filter", "activation/tanh", "--limit", "2"]
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", tmp_path / "gpu", *how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    text = (tmp_path / "gpu" / "summary.md").read_text()
    assert "Cut off: the limit has come." in text
    assert "parity (not begun)" in text
    assert "| torch | " in text


def test_pairs_are_in_the_summary_the_worst_first():
    about = {"case": "c", "tensor": "a", "index": [0], "values": [1.5, 2.5], "ulps": 2.0}
    found = [
        about
        | dict(zip(("left", "right", "dtype", "fraction", "component"), row, strict=True))
        for row in (
            ("jax", "torch", "float32", 0.5, "activation/elu"),
            ("jax", "jax@gpu", "float32", 0.0, "activation/elu"),
            ("jax", "jax@gpu", "float64", 1.5, "layer/dense"),
        )
    ]
    said = "\n".join(import_module("gpu_summary").pairs(found))
    assert "- ✗ jax 1.5, jax@gpu 2.5:\n  c a float64 at [0]" in said
    assert said.partition("---|\n")[2].splitlines() == [
        "| jax, jax@gpu | 0 (2 ULP) | ✗ 1.5 (2 ULP) layer/dense |",
        "| jax, torch | 0.5 (2 ULP) activation/elu |  |",
    ]
