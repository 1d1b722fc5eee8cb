"""`tetrapla bench --device gpu`: it runs, on the GPU, in float32."""

import json
import shutil
import sysconfig
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import support
from click.testing import CliRunner

from tetrapla import cli
from tetrapla.benchmarks.problems import asked

pytestmark = pytest.mark.gpu

NAMES = ("torch", "tf", "jax")


@pytest.fixture(params=NAMES)
def name(request):
    support.on_gpu(request.param)
    return request.param


def measured(path, *args):
    how = ["bench", "--device", "gpu", "--quick", "--json", str(path), *args]
    done = CliRunner().invoke(cli.main, how, prog_name="tetrapla")
    assert done.exit_code == 0, done.output
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["machine"]["device"] == "gpu"
    assert f"{whole['machine']['gpu']} (gpu)" in done.output
    return whole


def test_a_contest_has_ratios(name, tmp_path):
    how = ("--frameworks", name, "--problems", "small", "--repeats", "2")
    (contest,) = measured(tmp_path / "speed.json", *how)["contests"]
    assert contest["failed"] == {}
    assert set(contest["left_out"].values()) <= {"keras is not installed"}
    of = {row["name"]: row for row in contest["results"]}
    rivals = {n for n, row in of.items() if row["kind"] in ("peer", "loop")}
    assert len(rivals) >= 2
    for row in of.values():
        if row["kind"] == "ours":
            assert row["times"].keys() == rivals
            assert min(row["times"].values()) > 0
        if row["kind"] not in ("floor", "products"):
            assert 0 < row["loss"] < 2.3  # it has learned: log 10 is a guess
    if name == "torch":
        assert {"CUDA graph per step", "CUDA graph per epoch"} <= rivals


@pytest.mark.filterwarnings("default")  # it would rather have TF32
def test_torch_compile_runs():
    support.on_gpu("torch")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file() or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("Triton needs a C compiler and Python.h")
    of_torch = import_module("tetrapla.benchmarks.of_torch")
    with of_torch.scope("gpu"):
        run = of_torch.compiled(asked("small", "gpu"))
        run()
        assert 0 < run() < 1


def test_settings_run(name, tmp_path):
    whole = measured(
        tmp_path / "a.json", "--settings", "--repeats", "1", "--frameworks", name
    )
    assert len(whole["settings"]) >= 1
    assert all(len(each["results"]) == 9 for each in whole["settings"])


def test_float32_is_float32_in_the_loops(name):
    module = import_module(f"tetrapla.benchmarks.of_{name}")
    a = np.full((64, 64), 1 + 2.0**-12, np.float32)  # 1 in TF32
    eye = np.eye(64, dtype=np.float32)
    with module.scope("gpu"):
        if name == "torch":
            product = (
                module.torch.tensor(a).cuda() @ module.torch.tensor(eye).cuda()
            ).cpu()
        elif name == "jax":
            made = module.jax.jit(lambda a, b: a @ b)(a, eye)
            assert {d.platform for d in made.devices()} == {"gpu"}
            product = made
        else:
            product = module.tf.constant(a) @ module.tf.constant(eye)
            assert "GPU" in product.device
    np.testing.assert_array_equal(np.asarray(product), a)
