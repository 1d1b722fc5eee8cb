"""jax's code on another device, without a GPU: XLA can make one CPU look like two."""

import json
import os
import subprocess
import sys

import pytest
import support

import tetrapla as tp
from tetrapla.parity import engine

pytest.importorskip("jax")
from tetrapla.impls.jax import fast

CODE = """
import json
import jax, numpy as np
import tetrapla as tp
from tetrapla.impls.jax import backend

first, second = jax.devices()
backend.devices = lambda: {"cpu": first, "gpu": second}
net = tp.Sequential(tp.Dense(5, 7, "tanh"), tp.Dropout(0.3), tp.Dense(7, 3))
weights, rng = net.init(seed=0), np.random.default_rng(0)
x, y = rng.standard_normal((40, 5)), rng.integers(0, 3, 40)
settings = tp.Training(2, 8, tp.Adam(0.01), "softmax_cross_entropy")
seen = set()

def look(report=None):
    for array in jax.live_arrays():
        seen.update(device.id for device in array.devices())

for name in ("jax", "jax.flax"):
    for dtype in ("float64", "float32", "bfloat16"):
        b = tp.load(name, "gpu", dtype)
        model = b.build(net, weights)
        look()
        for plain in (False, True):
            b.fit(net, weights, (x, y), settings, plain=plain, on_step=look)
print(json.dumps([sorted(seen), second.id]))
"""


def test_nothing_is_on_the_first_device():
    env = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    ran = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
    )
    seen, second = json.loads(ran.stdout)
    assert seen == [second]


TRAINING = support.cases("training/breast-cancer-dropout", "training/diabetes-adamw")


@pytest.mark.parametrize("together", [4, 16])  # the runs have 5 to 14 steps an epoch
@pytest.mark.parametrize("case", TRAINING.values(), ids=TRAINING)
@pytest.mark.parametrize("name", ["jax", "jax.flax"])
def test_turns_of_several_steps_do_no_more_than_asked(monkeypatch, name, case, together):
    """As on a GPU, where the host waits in each turn of a loop."""
    asked = []

    def in_a_turn(platform, numbers):
        asked.append(platform)
        return together

    monkeypatch.setattr(fast, "in_a_turn", in_a_turn)
    verdict = engine.verdict(case, tp.load(name))
    if verdict.status == "no":
        pytest.skip(verdict.message)
    assert verdict.status in ("agrees", "known deviation"), (verdict.message, verdict.first)
    assert set(asked) == {"cpu"}


def test_a_turn_has_several_steps_where_they_are_small():
    assert fast.in_a_turn("cpu", 1000) == 1
    assert fast.in_a_turn("gpu", 1000) > 1
    assert fast.in_a_turn("gpu", 10**8) == 1
