"""Rows: dense layers and dropout."""

from functools import partial
from typing import Any

import numpy as np

from tetrapla.atlas.row import Row
from tetrapla.spec.contract import Array

INPUTS, OUTPUTS = 400, 300


def torch_dense(zero_bias: bool = False) -> dict[str, Array]:
    """Return the weights of a new torch.nn.Linear; the user's random state is kept."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = torch.nn.Linear(INPUTS, OUTPUTS)
        if zero_bias:
            torch.nn.init.zeros_(layer.bias)
    return {"weight": layer.weight.detach().numpy(), "bias": layer.bias.detach().numpy()}


def keras_dense() -> dict[str, Array]:
    """Return the weights of a new keras.layers.Dense."""
    import keras

    layer = keras.layers.Dense(OUTPUTS)
    layer.build((None, INPUTS))
    return {
        "weight": keras.ops.convert_to_numpy(layer.kernel),
        "bias": keras.ops.convert_to_numpy(layer.bias),
    }


def flax_dense() -> dict[str, Array]:
    """Return the weights of a new flax.nnx.Linear."""
    from flax import nnx

    layer: Any = nnx.Linear(INPUTS, OUTPUTS, rngs=nnx.Rngs(0))
    return {"weight": np.asarray(layer.kernel[...]), "bias": np.asarray(layer.bias[...])}


DENSE: dict[str, Any] = {"torch": torch_dense, "keras": keras_dense, "jax": flax_dense}


def layout(library: str) -> str:
    """Return the weight's shape in words."""
    shape = DENSE[library]()["weight"].shape
    return {(INPUTS, OUTPUTS): "(in, out)", (OUTPUTS, INPUTS): "(out, in)"}[shape]


def spread(library: str) -> str:
    """Return the distribution of the weights: its shape and its scale."""
    w = DENSE[library]()["weight"]
    return distribution(w)


def bias(library: str, **settings: Any) -> str:
    """Return the distribution of the bias."""
    return distribution(DENSE[library](**settings)["bias"])


def distribution(w: Array) -> str:
    """Name a distribution by its kurtosis and its largest value.

    A uniform one has the kurtosis 1.8, a normal one 3, one cut off at two
    standard deviations 2.37.

    >>> distribution(np.zeros(3))
    'zeros'
    """
    if not w.any():
        return "zeros"
    std, most = float(w.std()), float(np.abs(w).max())
    kurtosis = float((w**4).mean() / std**4)
    for name, expected, reach in (
        ("uniform", 1.8, 3**0.5),
        ("truncated normal", 2.37, 2.27),
    ):
        if abs(kurtosis - expected) < 0.15 and most < 1.02 * reach * std:
            return f"{name}, {fan(std)}"
    return f"normal, {fan(std)}"


def fan(std: float) -> str:
    """Return a standard deviation as the formula that it is nearest to."""
    known = {
        "std 1 / sqrt(in)": INPUTS**-0.5,
        "std 1 / sqrt(3 in)": (3 * INPUTS) ** -0.5,
        "std sqrt(2 / in)": (2 / INPUTS) ** 0.5,
        "std sqrt(2 / (in + out))": (2 / (INPUTS + OUTPUTS)) ** 0.5,
    }
    name, value = min(known.items(), key=lambda item: abs(item[1] - std))
    return name if abs(value - std) < 0.05 * value else f"std {std:.3g}"


def torch_dropped(rate: float) -> float:
    """Return the share of ones that dropout keeps in training."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kept = torch.nn.Dropout(rate)(torch.ones(100_000))
    return round(float((kept != 0).float().mean()), 2)


def keras_dropped(rate: float) -> float:
    """Return the share of ones that dropout keeps in training."""
    import keras

    layer = keras.layers.Dropout(rate, seed=0)
    kept = keras.ops.convert_to_numpy(
        layer(np.ones((1, 100_000), "float32"), training=True)
    )
    return round(float((kept != 0).mean()), 2)


def flax_dropped(rate: float) -> float:
    """Return the share of ones that dropout keeps in training."""
    import jax.numpy as jnp
    from flax import nnx

    layer = nnx.Dropout(rate, rngs=nnx.Rngs(0))
    return round(float((layer(jnp.ones(100_000)) != 0).mean()), 2)


def torch_fresh() -> str:
    """Return what a new Dropout does when it is called."""
    import torch

    with torch.random.fork_rng(devices=[]):
        return acts(torch.nn.Dropout(0.5)(torch.ones(1000)).numpy())


def keras_fresh() -> str:
    """Return what a new Dropout does when it is called."""
    import keras

    layer = keras.layers.Dropout(0.5, seed=0)
    return acts(keras.ops.convert_to_numpy(layer(np.ones((1, 1000), "float32"))))


def flax_fresh() -> str:
    """Return what a new Dropout does when it is called."""
    import jax.numpy as jnp
    from flax import nnx

    return acts(np.asarray(nnx.Dropout(0.5, rngs=nnx.Rngs(0))(jnp.ones(1000))))


def acts(out: Array) -> str:
    """Say whether some of the ones were dropped."""
    return "drops" if (out == 0).any() else "passes all on"


def torch_mask() -> str:
    """Return the first mask of seed 0."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return bits(torch.nn.Dropout(0.5)(torch.ones(16)).numpy())


def keras_mask() -> str:
    """Return the first mask of seed 0."""
    import keras

    layer = keras.layers.Dropout(0.5, seed=0)
    out = layer(np.ones((1, 16), "float32"), training=True)
    return bits(keras.ops.convert_to_numpy(out))


def flax_mask() -> str:
    """Return the first mask of seed 0."""
    import jax.numpy as jnp
    from flax import nnx

    return bits(np.asarray(nnx.Dropout(0.5, rngs=nnx.Rngs(0))(jnp.ones(16))))


def bits(out: Array) -> str:
    """Return 1 for what was kept and 0 for what was dropped."""
    return "".join("1" if x else "0" for x in out.ravel())


def torch_last_batch() -> float:
    """Return the mean of batch means, as a loop writes it down."""
    import torch

    loss = torch.nn.MSELoss()
    zeros, p = torch.zeros(3, 1), torch.tensor([[1.0], [1.0], [2.0]])
    batches = [float(loss(p[i : i + 2], zeros[i : i + 2])) for i in (0, 2)]
    return sum(batches) / len(batches)


def keras_last_batch() -> float:
    """Return the loss that evaluate reports, batch by batch."""
    import keras

    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Identity()])
    model.compile(loss="mse")
    x, y = np.array([[1.0], [1.0], [2.0]], np.float32), np.zeros((3, 1), np.float32)
    return float(model.evaluate(x, y, batch_size=2, verbose=0))


ROWS = (
    Row(
        "dense-layout",
        "layers",
        "How a dense layer keeps its weight",
        f"{INPUTS} inputs, {OUTPUTS} outputs",
        "torch.nn.Linear computes x W^T + b, Keras and Flax x W + b.",
        {name: partial(layout, name) for name in DENSE},
        (
            "https://github.com/huggingface/transformers/issues/4514",
            "https://flax.readthedocs.io/en/latest/guides/convert_pytorch_to_flax.html",
        ),
        ("dense", "linear", "weight", "layout", "kernel"),
        never="transpose; tetrapla.weights.convert does, names included.",
    ),
    Row(
        "dense-weight-init",
        "layers",
        "A new dense layer's weights",
        f"{INPUTS} inputs, {OUTPUTS} outputs: the distribution that was drawn",
        "PyTorch: kaiming_uniform with a = sqrt(5), which is uniform on +-1/sqrt(in). "
        "Keras: Glorot uniform, on +-sqrt(6 / (in + out)). Flax: LeCun normal, cut off at "
        "two standard deviations.",
        {name: partial(spread, name) for name in DENSE},
        (
            "https://github.com/pytorch/pytorch/issues/57109",
            "https://github.com/pytorch/pytorch/issues/15314",
            "https://github.com/google/flax/issues/3125",
        ),
        ("dense", "linear", "init", "initialiser", "initializer", "kernel"),
        write={
            "torch": "torch.nn.init.xavier_uniform_(layer.weight)",
            "keras": "keras.layers.Dense(n)",
            "jax": "nnx.Linear(m, n, kernel_init=nnx.initializers.glorot_uniform(), "
            "rngs=rngs)",
        },
        never="the same distribution, not the same numbers: generators differ. "
        "tetrapla's net.init(seed) is the same bits everywhere.",
    ),
    Row(
        "dense-bias-init",
        "layers",
        "A new dense layer's bias",
        f"{INPUTS} inputs, {OUTPUTS} outputs: the distribution that was drawn",
        "PyTorch draws it as the weight, uniform on +-1/sqrt(in); Keras and Flax start at "
        "0.",
        {name: partial(bias, name) for name in DENSE},
        ("https://github.com/yenchenlin/nerf-pytorch/pull/21",),
        ("dense", "linear", "init", "bias"),
        write={"torch": "torch.nn.init.zeros_(layer.bias)"},
        align={"torch": {"zero_bias": True}, "keras": {}, "jax": {}},
    ),
    Row(
        "dropout-rate",
        "dropout",
        "Whether the rate is what is dropped or what is kept",
        "Dropout(0.2) in training: the share that is kept",
        "All three drop that share and divide the rest by 1 - rate. TensorFlow 1's "
        "tf.nn.dropout took keep_prob. The keyword is p in PyTorch, rate in Keras and "
        "Flax.",
        {
            "torch": partial(torch_dropped, 0.2),
            "keras": partial(keras_dropped, 0.2),
            "jax": partial(flax_dropped, 0.2),
        },
        (
            "https://github.com/huggingface/transformers/issues/22767",
            "https://github.com/hassony2/kinetics_i3d_pytorch/issues/6",
        ),
        ("dropout", "rate"),
        align={"torch": {}, "keras": {}, "jax": {}},
    ),
    Row(
        "dropout-default-mode",
        "dropout",
        "What a new dropout layer does when it is called",
        "Dropout(0.5) of a thousand ones, nothing else said",
        "PyTorch's modules and Flax's NNX modules are born in training mode; Keras's "
        "layers act in training only where they are told training=True.",
        {"torch": torch_fresh, "keras": keras_fresh, "jax": flax_fresh},
        ("https://github.com/google/flax/pull/3841",),
        ("dropout", "training", "evaluation", "eval"),
        write={
            "torch": "model.train() or model.eval()",
            "keras": "model(x, training=True) or training=False",
            "jax": "model.train() or model.eval()",
        },
        never="say which, always.",
    ),
    Row(
        "dropout-mask",
        "dropout",
        "The mask of a seed",
        "sixteen places, rate 0.5, seed 0",
        "Each library has its own generator and its own way to draw a mask.",
        {"torch": torch_mask, "keras": keras_mask, "jax": flax_mask},
        ("https://github.com/pytorch/pytorch/issues/25690",),
        ("dropout", "seed", "random", "mask"),
        never="no seed makes them equal; tetrapla's masks are the same bits in all.",
    ),
    Row(
        "history-last-batch",
        "training",
        "How the last, smaller batch counts in an epoch's loss",
        "squared errors 1, 1 and 4 in batches of two and one: their mean is 2",
        "A loop that averages the batches' means counts the last one's example double; "
        "Keras weights a batch by its size.",
        {"torch": torch_last_batch, "keras": keras_last_batch},
        ("https://github.com/tensorflow/tensorflow/issues/38596",),
        ("loss", "history", "epoch", "batch"),
        never="in a loop of one's own, weight by len(batch).",
    ),
)
