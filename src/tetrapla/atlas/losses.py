"""Rows: losses, their reductions, labels and limits."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tetrapla.atlas.row import Answer, Row

Numbers = Sequence[Any]


def torch_loss(name: str, p: Numbers, y: Numbers, **settings: Any) -> float:
    """Return the loss of torch.nn's class of that name, in float64."""
    import torch

    labels = torch.tensor(y)
    labels = labels if labels.dtype == torch.int64 else labels.double()
    module = getattr(torch.nn, name)(**settings)
    return float(module(torch.tensor(p, dtype=torch.float64), labels))


def keras_loss(name: str, p: Numbers, y: Numbers, **settings: Any) -> float:
    """Return the loss of keras.losses' class of that name, in float64."""
    import keras
    import numpy as np

    value = getattr(keras.losses, name)(dtype="float64", **settings)
    return float(value(np.asarray(y), np.asarray(p, np.float64)))


def optax_loss(name: str, p: Numbers, y: Numbers, reduce: str = "mean") -> float:
    """Return the reduced loss of the function of optax.losses, in float64."""
    import jax
    import jax.numpy as jnp
    import optax

    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        values = getattr(optax.losses, name)(jnp.array(p, float), jnp.array(y))
        return float(getattr(values, reduce)())


ROW_OF_FOUR = [[0.0, 0.0, 0.0]] * 4
ONES = [[1.0, 1.0, 1.0]] * 4


def torch_loss_of_logit(z: float, y: float) -> float:
    """Return the loss of a logit in float32."""
    import torch

    return float(torch.nn.BCEWithLogitsLoss()(torch.tensor([[z]]), torch.tensor([[y]])))


def keras_loss_of_logit(z: float, y: float) -> float:
    """Return the loss of a logit in float32."""
    import keras
    import numpy as np

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return float(loss(np.array([[y]], np.float32), np.array([[z]], np.float32)))


def optax_loss_of_logit(z: float, y: float) -> float:
    """Return the loss of a logit in float32."""
    import jax.numpy as jnp
    import optax

    logit, label = (jnp.array([x], jnp.float32) for x in (z, y))
    return float(optax.losses.sigmoid_binary_cross_entropy(logit, label)[0])


def refusal(run: Callable[[], Answer]) -> Answer:
    """Return what a library answers, or the kind of error it raises."""
    try:
        return run()
    except Exception as error:  # whatever the library raises is the answer
        return f"refuses: {type(error).__name__}"


def torch_broadcast(p: Numbers, y: Numbers) -> Answer:
    """Return PyTorch's squared error, without its warning."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch_loss("MSELoss", p, y)


COLUMN, FLAT = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
LOGITS = [[2.0, 0.0, -1.0]]


def torch_after_sigmoid() -> float:
    """Return BCELoss of sigmoid(40) and 0."""
    import torch

    p = torch.sigmoid(torch.tensor([[40.0]]))
    return float(torch.nn.BCELoss()(p, torch.zeros(1, 1)))


def keras_after_sigmoid() -> float:
    """Return BinaryCrossentropy of sigmoid(40) and 0."""
    import keras

    p = keras.activations.sigmoid(keras.ops.convert_to_tensor([[40.0]], "float32"))
    return float(keras.losses.BinaryCrossentropy()(keras.ops.zeros((1, 1)), p))


def optax_smoothed() -> float:
    """Return the loss of smoothed labels."""
    import jax
    import jax.numpy as jnp
    import optax

    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        labels = optax.smooth_labels(jnp.array([[1.0, 0.0, 0.0]]), 0.1)
        return float(optax.losses.softmax_cross_entropy(jnp.array(LOGITS), labels)[0])


ROWS = (
    Row(
        "mse-sum",
        "losses",
        "What reduction='sum' adds up",
        "twelve errors of 1 in four rows of three",
        "PyTorch adds up all elements. Keras's loss of an example is the mean over its "
        "last axis, and those are added up. Optax reduces nothing itself.",
        {
            "torch": partial(torch_loss, "MSELoss", ROW_OF_FOUR, ONES, reduction="sum"),
            "keras": partial(
                keras_loss, "MeanSquaredError", ROW_OF_FOUR, ONES, reduction="sum"
            ),
            "jax": partial(optax_loss, "squared_error", ROW_OF_FOUR, ONES, reduce="sum"),
        },
        (
            "https://github.com/pytorch/pytorch/issues/3924",
            "https://github.com/keras-team/keras/issues/18818",
        ),
        ("mse", "mean-squared-error", "reduction"),
        align={
            "torch": {"reduction": "mean"},
            "keras": {"reduction": "sum_over_batch_size"},
            "jax": {"reduce": "mean"},
        },
        write={
            "torch": "torch.nn.MSELoss()",
            "keras": "keras.losses.MeanSquaredError()",
            "jax": "optax.losses.squared_error(p, y).mean()",
        },
    ),
    Row(
        "mse-half",
        "losses",
        "The factor 1/2 of a squared error",
        "an error of 2",
        "PyTorch and Keras have none; optax.l2_loss has it, optax.losses.squared_error "
        "has not.",
        {
            "torch": partial(torch_loss, "MSELoss", [[2.0]], [[0.0]]),
            "keras": partial(keras_loss, "MeanSquaredError", [[2.0]], [[0.0]]),
            "jax": lambda name="l2_loss": optax_loss(name, [[2.0]], [[0.0]]),
        },
        ("https://optax.readthedocs.io/en/latest/api/losses.html#optax.losses.l2_loss",),
        ("mse", "mean-squared-error", "l2-loss"),
        align={"torch": {}, "keras": {}, "jax": {"name": "squared_error"}},
        write={"jax": "optax.losses.squared_error(p, y).mean()"},
    ),
    Row(
        "bce-certain",
        "losses",
        "The cost of a certain and wrong probability",
        "binary cross-entropy of p = 0, y = 1: infinity, mathematically",
        "PyTorch clamps the logarithm at -100; Keras clips p to 1e-7 from either end, and "
        "its gradient there is 0. Optax takes logits only.",
        {
            "torch": partial(torch_loss, "BCELoss", [[0.0]], [[1.0]]),
            "keras": partial(keras_loss, "BinaryCrossentropy", [[0.0]], [[1.0]]),
        },
        (
            "https://github.com/pytorch/pytorch/issues/103316",
            "https://github.com/keras-team/keras/issues/15249",
            "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
        ),
        ("bce", "binary-cross-entropy", "clip"),
        never="use logits: BCEWithLogitsLoss, from_logits=True, "
        "sigmoid_binary_cross_entropy.",
    ),
    Row(
        "bce-logits-small",
        "losses",
        "The loss of a confident and right logit in float32",
        "binary cross-entropy of z = -20, y = 0: 2.06e-9, mathematically",
        "(1 - y) z - log sigmoid(z) and max(z, 0) - z y + log(1 + exp(-|z|)) are the same "
        "formula; the first cancels for z < 0, y = 0.",
        {
            "torch": partial(torch_loss_of_logit, -20.0, 0.0),
            "keras": partial(keras_loss_of_logit, -20.0, 0.0),
            "jax": partial(optax_loss_of_logit, -20.0, 0.0),
        },
        ("https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",),
        ("bce", "binary-cross-entropy", "logits"),
        never="it is in PyTorch's kernel; in float64 it shows from z = -37 on.",
    ),
    Row(
        "cross-entropy-logits",
        "losses",
        "Whether cross-entropy takes logits",
        "softmax cross-entropy of the numbers (2, 0, -1), class 0, by default",
        "PyTorch's and Optax's always take logits. Keras's takes probabilities unless "
        "from_logits=True: logits would be clipped and normalised. A softmax layer before "
        "PyTorch's applies softmax twice.",
        {
            "torch": partial(torch_loss, "CrossEntropyLoss", LOGITS, [0]),
            "keras": partial(keras_loss, "SparseCategoricalCrossentropy", LOGITS, [0]),
            "jax": partial(
                optax_loss, "softmax_cross_entropy_with_integer_labels", LOGITS, [0]
            ),
        },
        (
            "https://github.com/huggingface/transformers/issues/7827",
            "https://github.com/keras-team/keras/issues/6636",
            "https://github.com/pytorch/pytorch/issues/8199",
        ),
        ("cross-entropy", "softmax-cross-entropy", "logits", "softmax"),
        align={"torch": {}, "keras": {"from_logits": True}, "jax": {}},
        write={"keras": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"},
    ),
    Row(
        "remembered-logits",
        "losses",
        "A loss on probabilities that come straight from a sigmoid",
        "binary cross-entropy of sigmoid(40), y = 0, in float32",
        "In float32 sigmoid(40) is 1. PyTorch's clamped logarithm makes 100 of it. Keras "
        "looks where the probability came from, and computes from the logit: 40; through "
        "any other operation it clips, 15.9. Optax takes logits only.",
        {"torch": torch_after_sigmoid, "keras": keras_after_sigmoid},
        ("https://github.com/keras-team/keras/issues/15271",),
        ("bce", "binary-cross-entropy", "sigmoid", "logits", "from-logits"),
        never="give the loss logits, in all three.",
    ),
    Row(
        "single-output",
        "losses",
        "Softmax cross-entropy of a single output",
        "the logit 3, class 0",
        "A softmax over one class is 1 and its loss 0, whatever the weights: nothing is "
        "learned. Keras warns. Two classes need two outputs, or binary cross-entropy.",
        {
            "torch": partial(torch_loss, "CrossEntropyLoss", [[3.0]], [0]),
            "keras": partial(
                keras_loss, "SparseCategoricalCrossentropy", [[3.0]], [0], from_logits=True
            ),
            "jax": partial(
                optax_loss, "softmax_cross_entropy_with_integer_labels", [[3.0]], [0]
            ),
        },
        ("https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",),
        ("cross-entropy", "softmax-cross-entropy", "softmax"),
        align={"torch": {}, "keras": {}, "jax": {}},
    ),
    Row(
        "label-smoothing",
        "losses",
        "Label smoothing",
        "logits (2, 0, -1), class 0, smoothing 0.1",
        "All three give each of K classes 0.1 / K and the label the rest.",
        {
            "torch": partial(
                torch_loss, "CrossEntropyLoss", LOGITS, [0], label_smoothing=0.1
            ),
            "keras": partial(
                keras_loss,
                "CategoricalCrossentropy",
                LOGITS,
                [[1.0, 0.0, 0.0]],
                from_logits=True,
                label_smoothing=0.1,
            ),
            "jax": optax_smoothed,
        },
        ("https://github.com/mindspore-ai/mindspore/issues/73",),
        ("cross-entropy", "softmax-cross-entropy", "labels", "smoothing"),
        align={"torch": {}, "keras": {}, "jax": {}},
    ),
    Row(
        "cross-entropy-labels",
        "losses",
        "Integer or one-hot labels",
        "what the loss for one-hot labels answers to the integer label 0",
        "PyTorch's CrossEntropyLoss takes either and tells them by shape and dtype. Keras "
        "and Optax have one loss for each.",
        {
            "torch": lambda: refusal(lambda: torch_loss("CrossEntropyLoss", LOGITS, [0])),
            "keras": lambda: refusal(
                lambda: keras_loss("CategoricalCrossentropy", LOGITS, [0], from_logits=True)
            ),
            "jax": lambda: refusal(
                lambda: optax_loss("softmax_cross_entropy", LOGITS, [0])
            ),
        },
        ("https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",),
        ("cross-entropy", "softmax-cross-entropy", "labels", "one-hot"),
        never="integers: CrossEntropyLoss, SparseCategoricalCrossentropy, "
        "softmax_cross_entropy_with_integer_labels; one-hot: CrossEntropyLoss, "
        "CategoricalCrossentropy, softmax_cross_entropy. Optax broadcasts an integer "
        "label without a word.",
    ),
    Row(
        "labels-broadcast",
        "losses",
        "Labels of shape (n,) against outputs of shape (n, 1)",
        "mean squared error of [[0], [1], [2]] with [0, 1, 2]: 0, where they are paired",
        "Broadcasting pairs each output with each label, (n, n) in all. PyTorch does so "
        "and warns; Keras adds the axis to the labels; Optax refuses, and jax.numpy in a "
        "loss of one's own broadcasts without a word.",
        {
            "torch": partial(torch_broadcast, COLUMN, FLAT),
            "keras": partial(keras_loss, "MeanSquaredError", COLUMN, FLAT),
            "jax": lambda: refusal(lambda: optax_loss("squared_error", COLUMN, FLAT)),
        },
        (
            "https://github.com/pytorch/pytorch/issues/16045",
            "https://github.com/tensorflow/tensorflow/issues/1343",
        ),
        ("mse", "labels", "broadcasting", "shape"),
        never="give labels the shape of the outputs: y[:, None]. tetrapla refuses too.",
    ),
)
