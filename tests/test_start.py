"""What a framework reads once, when it starts: reported as it was, and left as it was."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import support

# What is printed: what is said of a GPU, and what a later process would inherit.
JAX = """
import json, os
{before}
import tetrapla as tp
tp.load("jax")
from tetrapla.impls.jax import start
os.environ["XLA_FLAGS"] = "--xla_gpu_deterministic_ops=true"
left = [n for n in os.environ if n.startswith("XLA_PYTHON")]
print(json.dumps([start.deterministic("gpu"), start.memory(), left]))
"""
TF = """
import json, os
import tensorflow as tf
{before}
import tetrapla as tp
tp.load("tf")
from tetrapla.impls.tf import start
left = [n for n in os.environ if "GROWTH" in n]
print(json.dumps([start.deterministic("gpu"), start.memory(), left]))
"""
NOTHING = "pass"
STARTED = "import jax; jax.devices()"
ON = "--xla_gpu_deterministic_ops=true"


def said(code, **env):
    names = ("XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE", "TF_FORCE_GPU_ALLOW_GROWTH")
    clean = {n: v for n, v in os.environ.items() if n not in names}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"} | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


NOT_PROMISED = (
    "not promised: XLA_FLAGS had no --xla_gpu_deterministic_ops=true at the start"
)


@pytest.mark.parametrize(
    ("flags", "same"),
    [(None, NOT_PROMISED), (ON, "yes"), (f"{ON} {ON[:-4]}false", NOT_PROMISED)],
)
def test_jax_that_tetrapla_starts(flags, same):
    support.backend("jax")
    found = said(JAX.format(before=NOTHING), **({"XLA_FLAGS": flags} if flags else {}))
    assert found == [same, "as needed", []]


def test_jax_that_the_user_has_started():
    support.backend("jax")
    same, memory, left = said(JAX.format(before=STARTED))
    assert same.startswith(
        "unknown: JAX had read XLA_FLAGS before tetrapla did; now it has"
    )
    assert memory.startswith("too late to take it as needed: JAX had started")
    assert left == []


def test_jax_whose_memory_the_user_has_settled():
    support.backend("jax")
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    _, memory, left = said(JAX.format(before=NOTHING), **{name: "true"})
    assert (memory, left) == (f"{name}=true, as set", [name])


def test_jax_starts_without_memory_in_advance(monkeypatch):
    support.backend("jax")
    from tetrapla.impls.jax import start

    for name in start.MEMORY:
        monkeypatch.delenv(name, raising=False)
    with start.as_needed():
        assert os.environ[start.IN_ADVANCE] == "false"
    assert start.IN_ADVANCE not in os.environ
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", ".5")
    with start.as_needed():
        assert start.IN_ADVANCE not in os.environ


SWITCHED = "tf.config.experimental.enable_op_determinism()"


@pytest.mark.parametrize(
    ("before", "env", "same"),
    [
        (NOTHING, {}, False),
        (NOTHING, {"TF_DETERMINISTIC_OPS": "1"}, True),
        (SWITCHED, {}, True),
        (f"{SWITCHED}; os.environ['TF_DETERMINISTIC_OPS'] = '0'", {}, True),
    ],
)
def test_tensorflow_says_whether_it_is_deterministic(before, env, same):
    support.backend("tf")
    found, memory, left = said(TF.format(before=before), **env)
    assert (
        found == "yes" if same else found.startswith("not promised: TF_DETERMINISTIC_OPS")
    )
    assert (memory, left) == ("as needed", [])


def test_a_tensorflow_that_does_not_say(monkeypatch):
    support.backend("tf")
    from tensorflow.python.framework import config

    from tetrapla.impls.tf import start

    monkeypatch.delattr(config, "is_op_determinism_enabled")
    assert start.deterministic("gpu").startswith("unknown")
    assert start.deterministic("cpu") == "yes"


def growing(asked, error=None):
    """Return TensorFlow as it would be with two GPUs, and what it is told of them."""
    told = []

    def set_growth(gpu, on):
        if error is not None:
            raise error
        told.append((gpu, on))

    how = SimpleNamespace(get_memory_growth=lambda gpu: asked, set_memory_growth=set_growth)
    devices = SimpleNamespace(
        experimental=how, list_physical_devices=lambda kind: ["first", "second"]
    )
    return SimpleNamespace(config=devices), told


@pytest.mark.parametrize(
    ("asked", "error", "env", "words"),
    [
        (None, None, None, "as needed"),
        (True, None, None, "as needed, as set"),
        (False, None, None, "all of it in advance, as set"),
        (None, ValueError(), None, "in logical devices, as set"),
        (None, RuntimeError(), None, "too late to take it as needed: TensorFlow had"),
        (None, None, "false", "TF_FORCE_GPU_ALLOW_GROWTH=false, as set"),
    ],
)
def test_what_tensorflow_takes_of_a_gpu(asked, error, env, words, monkeypatch):
    support.backend("tf")
    from tetrapla.impls.tf import start

    monkeypatch.delenv(start.GROWTH, raising=False)
    if env is not None:
        monkeypatch.setenv(start.GROWTH, env)
    tf, told = growing(asked, error)
    monkeypatch.setattr(start, "tf", tf)
    found = start.memory.__wrapped__()
    assert found.startswith(words)
    assert told == ([("first", True), ("second", True)] if found == "as needed" else [])


def test_info_says_it_of_a_gpu_only(monkeypatch):
    for name in ("tf", "jax"):
        b = support.backend(name).implementation
        assert "memory" not in b.info()
        with monkeypatch.context() as patch:
            patch.setattr(b, "device", "gpu")
            assert b.info()["memory"]
