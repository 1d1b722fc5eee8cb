"""One CPU, several ways to compute: threads, flushed subnormals, oneDNN.

Each is set before a framework starts, so each has a process of its own. All
must stay within the same bounds; that some of them change bits is seen, and
listed in docs/precision.md.
"""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
import support

CODE = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
names, before = json.loads(sys.argv[1]), sys.argv[2]
exec(before)
from tetrapla.backends import load
from tetrapla.parity import engine, suite
from tetrapla.parity.comparison import str_of

# All of the first two kinds, which are quick: what a flag of the CPU changes may be seen
# of one function at one number. Of the others the first.
ALL = ("activation/", "loss/")
KINDS = ("layer/dense-4096", "layer/dense-subnormal", "network/deep",
         "training/digits-adam")
every = suite.cases()
chosen = [c for c in every if c.id.startswith(ALL)]
chosen += [next(c for c in every if c.id.startswith(kind)) for kind in KINDS]
found = {}
for name in names:
    for dtype in ("float32", "float64", "bfloat16"):
        backend = load(name, dtype=dtype)
        for case in chosen:
            # XLA compiles each anew: a minute for each dtype.
            quick = name != "jax" or dtype == "float32" or not case.id.startswith(ALL)
            if dtype not in case.dtypes or not quick:
                continue
            seen = []
            def keep(case, backend, check):
                if check.got is not None:
                    seen.append(np.asarray(check.got, float).tobytes())
            verdict = engine.verdict(case, backend, keep)
            first = str_of(verdict.first) if verdict.first else verdict.message
            key = f"{name} {dtype} {case.id}"
            found[key] = [verdict.status, first, hash(tuple(seen))]
print(json.dumps(found))
"""
ONE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
FLUSHED = "import torch; assert torch.set_flush_denormal(True)"


@cache
def answers(names, before="", **env):
    for name in names:
        support.backend(name)
    settings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONHASHSEED": "0", **env}
    command = [sys.executable, "-c", CODE, json.dumps(names), before]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=settings
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


WAYS = {
    "one thread, NumPy and PyTorch": (("numpy", "torch"), "", ONE),
    "one thread, TensorFlow": (("tf",), "", ONE),
    "one thread, JAX": (("jax",), "", ONE),
    "subnormals flushed": (("torch",), FLUSHED, {}),
    "oneDNN off": (("tf",), "", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_within_the_same_bounds(way):
    names, before, env = way
    found = answers(names, before, **env)
    assert len(found) > 100 * len(names)
    assert not {k: first for k, (status, first, _) in found.items() if status != "agrees"}


PRODUCT = """
import ml_dtypes, numpy as np, tensorflow as tf
rng = np.random.default_rng(0)
a, b = (rng.standard_normal(s).astype(ml_dtypes.bfloat16) for s in ((64, 7), (7, 5)))
exact = a.astype(np.float32) @ b.astype(np.float32)
cut = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)
got = tf.matmul(a, b).numpy()
print((got == exact.astype(got.dtype)).all(), (got == cut.astype(got.dtype)).all())
"""


def test_tensorflow_cuts_a_product_of_bfloat16_without_onednn():
    """If it rounds one day, mixed.py can multiply halves as they are."""
    support.backend("tf")
    settings = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", PRODUCT],
        capture_output=True,
        text=True,
        check=True,
        env=settings,
    )
    assert done.stdout.strip() == "False True"


def test_flushing_is_seen():
    plain, flushed = answers(("torch",)), answers(("torch",), FLUSHED)
    changed = [case for case in plain if plain[case] != flushed[case]]
    assert any("dense-subnormal" in case for case in changed)
    # log1p of a normal number is 0 (_log1p in budgets.py).
    assert "torch float32 loss/bce-probabilities-tails-none" in changed
