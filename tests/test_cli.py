"""The command line: what it prints, where, and with which exit code."""

import json
import os
import signal
import subprocess
import sys

import pytest
import support
from click.testing import CliRunner

import tetrapla
from tetrapla import cli, weights
from tetrapla.data import DATASETS
from tetrapla.spec import OPTIMIZERS

PYTHON = [sys.executable, "-m", "tetrapla"]


def tetra(*args):
    """Run the command in this process."""
    return CliRunner().invoke(cli.main, [str(a) for a in args], prog_name="tetrapla")


def rows(output):
    """Return the epochs' rows: those that start with a number."""
    lines = [line.split() for line in output.splitlines()]
    return [line for line in lines if line and line[0].isdecimal()]


def test_version():
    result = tetra("--version")
    assert (result.exit_code, result.stdout) == (0, f"tetrapla {tetrapla.__version__}\n")


def test_help_names_every_command():
    result = tetra("--help")
    assert result.exit_code == 0
    for name, (_, text) in cli.COMMANDS.items():
        assert f"{name} " in result.stdout
        assert text in result.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_every_command(name):
    result = tetra(name, "-h")
    assert result.exit_code == 0
    assert f"Usage: tetrapla {name}" in result.stdout


def test_help_imports_neither_numpy_nor_rich_nor_a_framework():
    code = """
import sys
from tetrapla.cli import main
main(["--help"], standalone_mode=False)
heavy = {"numpy", "rich", "torch", "tensorflow", "jax", "sklearn", "safetensors"}
print("imported:", sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "imported: []" in run.stdout, run.stdout + run.stderr


def test_python_m_is_the_same_command():
    run = subprocess.run([*PYTHON, "--version"], capture_output=True, text=True)
    assert run.stdout == tetra("--version").stdout


# ---- info


def test_info_names_every_backend():
    result = tetra("info")
    assert result.exit_code == 0
    for name in ("python", "numpy", "torch", "tf", "jax"):
        assert name in result.stdout


def test_info_as_json():
    report = json.loads(tetra("info", "--json").stdout)
    assert report["tetrapla"] == tetrapla.__version__
    for name in support.BACKENDS:
        support.backend(name)  # skips where it is missing
        assert "not usable" not in report["backends"][name]


def test_info_asks_on_the_gpu_too(monkeypatch):
    class Told:
        def __init__(self, label):
            self.label = label

        def info(self):
            if self.label.startswith("jax"):
                return {"devices": "cpu, gpu, gpu:0", "deterministic": self.label}
            return {"devices": "cpu"}

    monkeypatch.setattr("tetrapla.commands.info.labelled", Told)
    backends = json.loads(tetra("info", "--json").stdout)["backends"]
    assert backends["jax@gpu"]["deterministic"] == "jax@gpu"
    assert [name for name in backends if "@" in name] == ["jax@gpu", "jax.flax@gpu"]


def test_info_says_how_to_install_what_is_missing():
    code = """
import sys, importlib.util
find = importlib.util.find_spec
import tetrapla.backends
tetrapla.backends.find_spec = lambda name: None if name == "jax" else find(name)
tetrapla.backends.BUILT_IN = {k: tetrapla.backends.BUILT_IN[k] for k in ("numpy", "jax")}
from tetrapla.cli import main
main(["info"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "pip install 'tetrapla[jax]'" in run.stdout


# ---- train


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_train_on_every_backend(backend):
    support.backend(backend)
    result = tetra("train", "lecture", "--backend", backend, "--epochs", 3)
    assert result.exit_code == 0, result.output
    assert [row[0] for row in rows(result.stdout)] == ["1", "2", "3"]
    assert f"{backend} on cpu, float32" in result.stdout


def test_backends_print_the_same_losses():
    printed = {}
    for backend in support.BACKENDS:
        support.backend(backend)
        args = ("--backend", backend, "--dtype", "float64", "--epochs", 2)
        printed[backend] = [
            row[:4] for row in rows(tetra("train", "lecture", *args).stdout)
        ]
    assert all(p == printed["numpy"] for p in printed.values()), printed


@pytest.mark.parametrize("dataset", DATASETS)
def test_train_on_every_dataset(dataset):
    support.dataset(dataset)
    result = tetra("train", dataset, "--epochs", 5, "--lr", 0.01)
    assert result.exit_code == 0, result.output
    losses = [float(row[1]) for row in rows(result.stdout)]
    assert len(losses) == 5
    assert losses[-1] < losses[0]
    assert ("R^2" if dataset == "diabetes" else "accuracy") in result.stdout


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_train_with_every_optimizer(optimizer):
    result = tetra("train", "lecture", "--optimizer", optimizer, "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert f"learning rate {OPTIMIZERS[optimizer]().lr:g}" in result.stdout


@pytest.mark.parametrize(
    ("hidden", "widths"), [("8,4", "2-8-4-1"), ("5", "2-5-1"), ("none", "2-1")]
)
def test_hidden_layers(hidden, widths):
    result = tetra("train", "lecture", "--hidden", hidden, "--epochs", 1)
    assert f" {widths}, " in result.stdout


def test_saved_weights_are_those_of_the_run(tmp_path):
    path = tmp_path / "w.safetensors"
    args = ("--epochs", 2, "--batch-size", "all", "--save", path, "--dtype", "float64")
    result = tetra("train", "lecture", *args)
    assert f"saved {path}" in result.stdout
    net, w = weights.load(path)
    lecture = DATASETS["lecture"]()
    assert net == lecture.network()
    b = support.backend("numpy", "float64")
    loss = b.loss(lecture.loss, b.forward(net, w, lecture.x_test), lecture.y_test)
    assert rows(result.stdout)[-1][2] == f"{loss:.6f}"


def test_a_run_goes_on_in_another_backend(tmp_path):
    folder = tmp_path / "run"
    settings = ("--dropout", 0.2, "--l2", 1e-3, "--schedule", "warmup", "--patience", 9)
    begun = tetra(
        "train", "breast-cancer", "--checkpoint", folder, "--epochs", 2, *settings
    )
    assert begun.exit_code == 0, begun.output
    whole = tetra("train", "breast-cancer", "--epochs", 2, *settings)
    assert [r[:4] for r in rows(whole.stdout)] == [r[:4] for r in rows(begun.stdout)]
    support.backend("torch")
    gone_on = tetra("train", "--backend", "torch", "--resume", folder, "--epochs", 3)
    assert gone_on.exit_code == 0, gone_on.output
    assert f"resumed    {folder}, after 2 of 3 epochs" in gone_on.stdout
    assert "torch on cpu, float32" in gone_on.stdout
    assert [row[0] for row in rows(gone_on.stdout)] == ["3"]
    again = tetra("train", "--resume", folder)
    assert rows(again.stdout) == []  # there is nothing left to do
    assert again.exit_code == 0


def test_a_run_goes_on_as_it_was_begun(tmp_path):
    support.backend("torch")
    folder = tmp_path / "run"
    plan = ("--epochs", 6, "--schedule", "cosine", "--backend", "torch")
    kept = ("--every", 1, "--keep", 2, "--checkpoint", folder)
    tetra("train", "lecture", *plan, "--stop-after", 3, *kept)
    result = tetra("train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert "torch on cpu, float32" in result.stdout
    assert [row[0] for row in rows(result.stdout)] == ["4", "5", "6"]
    assert len(list(folder.iterdir())) == 2
    # Planned for 6 epochs, and so the run that was never stopped.
    whole = tetra("train", "lecture", *plan)
    assert [r[:4] for r in rows(whole.stdout)[3:]] == [r[:4] for r in rows(result.stdout)]
    again = tetra("train", "--resume", folder, "--epochs", 3)
    assert "nothing to do: 6 epochs are done" in again.stdout


def test_early_stopping_says_so():
    result = tetra("train", "digits", "--epochs", 60, "--patience", 1, "--lr", 0.03)
    assert "stopped early: the held-out loss was lowest" in result.stdout
    assert len(rows(result.stdout)) < 60


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "run"
    result = tetra("train", "lecture", "--checkpoint", folder)
    assert result.exit_code == 2
    assert result.stderr == f"Error: cannot keep checkpoints in {folder}: Not a directory\n"
    result = tetra("train", "lecture", "--every", 3)
    assert (result.exit_code, "--every needs --checkpoint DIR" in result.stderr) == (
        2,
        True,
    )


def test_resuming_says_what_it_passed_over(tmp_path):
    folder = tmp_path / "run"
    tetra("train", "lecture", "--checkpoint", folder, "--epochs", 3)
    last = sorted(folder.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-1])
    result = tetra("train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert f"passed over: {last}" in result.stderr
    assert [row[0] for row in rows(result.stdout)] == ["3"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--lr", 1], "--lr is the run's own and cannot be given with --resume"),
        (["--seed", 1], "--seed is the run's own"),
        (["digits"], "is of lecture, not of digits"),
    ],
)
def test_what_a_run_that_goes_on_cannot_be_told(tmp_path, args, message):
    folder = tmp_path / "run"
    tetra("train", "lecture", "--checkpoint", folder, "--epochs", 1)
    result = tetra("train", *args, "--resume", folder)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_a_folder_without_a_run(tmp_path):
    result = tetra("train", "--resume", tmp_path)
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: there are no checkpoints in {tmp_path}\n",
    )
    tetra("train", "lecture", "--checkpoint", tmp_path / "run", "--epochs", 1)
    result = tetra("train", "lecture", "--checkpoint", tmp_path / "run")
    assert result.exit_code == 2
    assert "holds the checkpoints of a run, up to step 1" in result.stderr


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_schedules(schedule):
    plain = tetra("train", "lecture", "--epochs", 6)
    result = tetra("train", "lecture", "--epochs", 6, "--schedule", schedule)
    assert result.exit_code == 0, result.output
    first, last = rows(result.stdout)[0], rows(result.stdout)[-1]
    assert first[:2] == rows(plain.stdout)[0][:2]
    assert last[:2] != rows(plain.stdout)[-1][:2]


# ---- misuse: one line on stderr, exit code 2, no traceback

MISUSE = [
    (["nonsense"], "No such command 'nonsense'"),
    (["train"], "Missing argument"),
    (["train", "mnist"], "'mnist' is not one of 'digits'"),
    (["train", "lecture", "--backend", "theano"], "unknown backend 'theano'; there are"),
    (["train", "lecture", "--device", "tpu"], "device must be"),
    (["train", "lecture", "--dtype", "int8"], "'int8' is not one of"),
    (["train", "lecture", "--epochs", "0"], "epochs must be >= 1, got 0"),
    (["train", "lecture", "--batch-size", "0"], "batch_size must be >= 1, got 0"),
    (["train", "lecture", "--batch-size", "half"], "'half' is not a number or 'all'"),
    (["train", "lecture", "--lr", "nan"], "lr must be finite, got nan"),
    (["train", "lecture", "--hidden", "a,b"], "'a,b' is not a list such as 128,64"),
    (["train", "lecture", "--hidden", "0"], "outputs must be >= 1, got 0"),
    (["train", "lecture", "--seed", "-1"], "seed must be in [0, 4294967296), got -1"),
    (["train", "lecture", "--save", "no/such/folder/w"], "there is no folder"),
]


@pytest.mark.parametrize(("args", "message"), MISUSE, ids=lambda a: " ".join(a)[:50])
def test_misuse(args, message):
    result = tetra(*args)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_missing_framework_is_one_line():
    code = """
import sys, tetrapla.backends
tetrapla.backends.find_spec = lambda name: None
from tetrapla.cli import main
main(["train", "lecture", "--backend", "torch"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == (
        "Error: backend 'torch' needs torch: pip install 'tetrapla[torch]'\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_control_c_exits_130_with_a_word():
    with support.listening("train", "lecture", "--epochs", 1000000) as process:
        while "100 " not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_a_library_trains_by_its_own_rule_and_numpy_can_follow():
    support.backend("torch.nn")
    command = ["train", "breast-cancer", "--epochs", "2"]
    own = CliRunner().invoke(cli.main, [*command, "--backend", "torch.nn"])
    assert own.exit_code == 0, own.output
    assert "adam of torch, learning rate 0.001" in own.output
    same = CliRunner().invoke(cli.main, [*command, "--dialect", "torch"])

    def rows(result):
        words = [line.split() for line in result.output.splitlines()]
        return [w[:3] for w in words if w and w[0] in ("1", "2")]

    assert rows(own) == rows(same) != []
