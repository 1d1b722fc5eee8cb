"""From one seed the same bits in every backend and dtype, in `fit` too.

What `fit` drew is read off its losses: networks whose outputs are sums of
powers of two, which no rounding touches, trained with a rate of 0.
"""

import numpy as np
import pytest
import support

import tetrapla as tp

UNITS = 10  # their squared sum has 20 bits: exact in float32
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
ALL = pytest.mark.parametrize("name", support.ALL)


def masks_of_fit(b, rate, settings, n):
    """Return the mask of each step of `fit`, of one sample each."""
    net = tp.Sequential(tp.Dense(1, UNITS), tp.Dropout(rate), tp.Dense(UNITS, 1))
    powers = 2.0 ** -np.arange(UNITS)
    weights = {
        "0.weight": np.zeros((1, UNITS)),
        "0.bias": np.full(UNITS, 1 - rate),  # a kept unit's a is 1
        "2.weight": powers[:, None],
        "2.bias": np.zeros(1),
    }
    seen = []
    b.fit(
        net,
        weights,
        (np.zeros((n, 1)), np.zeros((n, 1))),
        settings,
        on_step=lambda report: seen.append(report.loss),
    )
    sums = np.sqrt(seen) * 2.0 ** (UNITS - 1)
    assert (sums == np.rint(sums)).all()
    return (sums.astype(int)[:, None] >> np.arange(UNITS - 1, -1, -1)) & 1 == 1


@ALL
@DTYPES
def test_the_masks_of_fit(name, dtype):
    b = support.backend(name, dtype)
    settings = tp.Training(2, 1, tp.SGD(0.0), "mse", seed=17)
    found = masks_of_fit(b, 0.5, settings, 6)
    draw, fold_in = tp.threefry.bernoulli, tp.threefry.fold_in
    stream = fold_in(tp.threefry.key(17), tp.threefry.DROPOUT)
    expected = [draw(fold_in(fold_in(stream, s), 1), 0.5, (1, UNITS))[0] for s in range(12)]
    np.testing.assert_array_equal(found, expected)


@ALL
@DTYPES
def test_the_order_of_fit(name, dtype):
    batch_size = 3  # its loss is the sum of three powers of four: which, can be read
    b = support.backend(name, dtype)
    net = tp.Sequential(tp.Dense(1, 1))
    weights = {"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)}
    x = 2.0 ** np.arange(7)[:, None]
    settings = tp.Training(
        3, batch_size, tp.SGD(0.0), tp.MeanSquaredError(reduction="sum"), seed=17
    )
    seen = []
    b.fit(
        net,
        weights,
        (x, np.zeros((7, 1))),
        settings,
        on_step=lambda report: seen.append(report.loss),
    )
    fold_in, stream = tp.threefry.fold_in, tp.threefry.key(17)
    stream = fold_in(stream, tp.threefry.SHUFFLE)
    expected = []
    for epoch in range(3):
        order = tp.threefry.permutation(fold_in(stream, epoch), 7)
        for i in range(0, 7, batch_size):
            expected.append(sum(4.0**row for row in order[i : i + batch_size]))
    assert seen == expected


@ALL
@DTYPES
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.999])
def test_the_masks_of_a_pass(name, dtype, rate):
    b = support.backend(name, dtype)
    net = tp.Sequential(tp.Dense(2, 33), tp.Dropout(rate), tp.Dense(33, 1))
    key = tp.threefry.fold_in(tp.threefry.key(3), 2**32 - 1)
    x = np.ones((5, 2))
    stages = b.trace(net, net.init(0), x, np.ones((5, 1)), "mse", key=key)
    expected = tp.threefry.uniform(tp.threefry.fold_in(key, 1), (5, 33))
    np.testing.assert_array_equal(stages["1.mask"], expected < np.float32(1 - rate))


@ALL
@DTYPES
def test_the_initial_weights(name, dtype):
    b = support.backend(name, dtype)
    net = tp.Sequential(tp.Dense(5, 7, weight_init="he_normal"), tp.Dense(7, 2))
    first = net.init(seed=9)
    held = b.weights(b.build(net, first))
    for n, w in first.items():
        np.testing.assert_array_equal(held[n], w.astype(dtype), strict=True)


LIBRARY_DROPOUT = {
    "torch.nn": ("torch.nn", "Dropout"),
    "tf.keras": ("keras.layers", "Dropout"),
    "jax.flax": ("flax.nnx", "Dropout"),
}


@pytest.mark.parametrize("name", support.LIBRARIES)
def test_build_has_the_librarys_own_dropout(name):
    from importlib import import_module

    b = support.backend(name)
    net = tp.Sequential(tp.Dense(2, 3), tp.Dropout(0.25), tp.Dense(3, 1))
    model = b.build(net, net.init(0))
    module, kind = LIBRARY_DROPOUT[name]
    own = getattr(import_module(module), kind)
    layers = list(model) if name == "torch.nn" else model.layers
    assert [type(layer) for layer in layers].count(own) == 1
