"""Whole runs on real data: four loss curves that are one curve.

Two correct runs drift apart, if slowly at first (design: steps, not
trajectories). Ten epochs of Adam in float64 are short enough for 1e-9,
and 450 steps are long enough for another formula to show.
"""

from functools import cache

import numpy as np
import pytest
import support

import tetrapla as tp

TRAINING = tp.Training(
    epochs=10, batch_size=32, optimizer=tp.Adam(1e-3), loss="softmax_cross_entropy", seed=0
)


@cache
def curve(name):
    """Return the loss of each epoch of the same run on the digits."""
    digits = support.dataset("digits")
    net = digits.network()
    b = support.backend(name, "float64")
    run = b.fit(net, net.init(seed=0), (digits.x_train, digits.y_train), TRAINING)
    return np.array(run.history["loss"])


@pytest.mark.parametrize("name", [name for name in support.BACKENDS if name != "numpy"])
def test_the_loss_curve_is_numpys(name, record_property):
    expected, actual = curve("numpy"), curve(name)
    apart = np.abs(actual - expected) / expected
    record_property("worst relative difference", float(apart.max()))
    assert apart.max() <= 1e-9, (
        f"{name} leaves numpy's curve: the worst relative difference is "
        f"{apart.max():.2e}, in epoch {apart.argmax() + 1}; all: {apart}"
    )


def test_the_run_learns():
    losses = curve("numpy")
    assert len(losses) == 10
    assert losses[-1] < 0.15 < 1.5 < losses[0]
