"""bfloat16 and float16 by the libraries' own mixed precision.

Every library agrees but for its known deviations, each of which is needed
in each half that its row names; and a fault planted in any of them is seen.
"""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import support

from tetrapla import spec
from tetrapla.oracle import habits
from tetrapla.parity.cases import ActivationCase, TrainingCase
from tetrapla.parity.engine import AGREES, DIFFERS, ERROR, KNOWN, verdict
from tetrapla.parity.suite import cases

# Two to a batch: a sum of two halves is rounded once, whoever adds them.
RUN = TrainingCase(
    "training/small",
    "training/small",
    spec.Sequential(spec.Dense(64, 4, "tanh"), spec.Dropout(0.25), spec.Dense(4, 10)),
    spec.Training(2, 2, spec.SGD(0.1), "softmax_cross_entropy"),
    "digits",
    rows=4,
    validation=2,
)
CASES = {case.id: case for case in (*cases(), RUN)}
HALVES = ("bfloat16", "float16")
FOLDERS = {"torch.nn": "torch", "tf.keras": "tf", "jax.flax": "jax"}

SOME = (
    "activation/softmax",
    "loss/mse-mean-of-mean-5x3",
    "loss/softmax-cross-entropy-classes-mean-5x3",
    "layer/dense-tanh-4-3-batch-5",
    "layer/dropout-below-threshold",
    "optimizer/adam",
    "network/deep-8x10",
    RUN.id,
)


@pytest.mark.parametrize("case", SOME)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", support.LIBRARIES)
def test_a_library_agrees_in_halves(name, dtype, case):
    backend = support.backend(name, dtype)
    if name == "tf.keras" and case == "optimizer/adam":
        case += "-uncorrected"  # Keras has no other
    found = verdict(CASES[case], backend)
    assert found.status in (AGREES, KNOWN), (found.message, found.first)


TORCH, KERAS, FLAX = ("torch.nn",), ("tf.keras",), ("jax.flax",)
BFLOAT16, FLOAT16 = ("bfloat16",), ("float16",)

# Where a known deviation shows in halves.
NEEDED = (
    (habits.SIGMOID_SLOPE, support.LIBRARIES, HALVES, "activation/sigmoid"),
    (habits.GELU_SLOPE, TORCH, BFLOAT16, "activation/gelu_erf"),
    (habits.GELU_CUBE, support.LIBRARIES, BFLOAT16, "activation/gelu_tanh"),
    (habits.GELU_CUBE, KERAS + FLAX, FLOAT16, "activation/gelu_tanh"),
    (habits.LOGITS_CANCEL, TORCH, HALVES, "loss/bce-logits-tails-none"),
    (habits.LOGITS_CANCEL, KERAS, HALVES, "loss/bce-logits-mean-of-mean-5x3"),
    (habits.CLAMPED_LOGARITHM, TORCH, HALVES, "loss/bce-probabilities-certain-none"),
    (habits.CLIPPED_PROBABILITY, KERAS, HALVES, "loss/bce-probabilities-certain-none"),
    (
        habits.ALL_CLASSES,
        support.LIBRARIES,
        BFLOAT16,
        "loss/softmax-cross-entropy-wrong-rows-none",
    ),
    (habits.LOG_SUM_CANCELS, FLAX, FLOAT16, "loss/softmax-cross-entropy-wrong-none"),
    (habits.UNCLAMPED_VARIANCE, TORCH + FLAX, HALVES, "optimizer/rmsprop-no-variance"),
    (habits.FLOAT32_CORRECTION, FLAX, HALVES, "optimizer/adam"),
    (habits.FLOAT32_CORRECTION, KERAS, HALVES, "optimizer/adam-uncorrected"),
    (habits.NO_STEP_AT_ZERO, FLAX, HALVES, "optimizer/adagrad-inside"),
    (habits.LEAKY_AT_ZERO, FLAX, HALVES, "activation/leaky_relu"),
    (habits.LOGADDEXP_SLOPE, FLAX, FLOAT16, "activation/softplus"),
    (habits.ELU_EXP, KERAS, HALVES, "activation/elu"),
    (habits.SOFTPLUS_THRESHOLD, KERAS, BFLOAT16, "activation/softplus"),
    (habits.HALF_SUMS, KERAS, BFLOAT16, "layer/dense-identity-3-2-batch-65"),
    (habits.HALF_SUMS, FLAX, HALVES, "layer/dense-identity-3-2-batch-65"),
)
EACH = [(h, n, d, case) for h, ns, ds, case in NEEDED for n in ns for d in ds]


@pytest.mark.parametrize(
    ("habit", "name", "dtype", "case"), EACH, ids=lambda v: str(v).replace("/", "-")
)
def test_a_known_deviation_is_needed_in_halves(habit, name, dtype, case):
    found = verdict(CASES[case], support.backend(name, dtype))
    assert found.status == KNOWN
    assert habit in found.known


# Activations of which a library has its own form in halves.
EVERYWHERE = (
    spec.Tanh(),
    spec.ELU(),
    spec.Softplus(),
    spec.SiLU(),
    spec.GELUTanh(),
)


@pytest.mark.parametrize("g", EVERYWHERE, ids=lambda g: g.name)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", support.LIBRARIES)
def test_an_activation_of_every_half(name, dtype, g):
    """A half has 65,536 values: all of them can be asked."""
    with np.errstate(invalid="ignore"):
        every = np.arange(2**16, dtype=np.uint16).view(spec.numpy_dtype(dtype))
        z = every.astype(np.float64)
    z = z[np.isfinite(z)].reshape(-1, 1)
    case = ActivationCase("every half", f"activation/{g.name}", g, z)
    found = verdict(case, support.backend(name, dtype))
    assert found.status in (AGREES, KNOWN), (found.message, found.first)


def library(name: str, module: str) -> Any:
    return import_module(f"tetrapla.impls.{FOLDERS[name]}.library.{module}")


def differs(case: str, backend: Any) -> None:
    found = verdict(CASES[case], backend)
    assert found.status in (DIFFERS, ERROR), found.status


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", support.LIBRARIES)
def test_weights_kept_in_halves_are_seen(name, dtype, monkeypatch):
    backend = support.backend(name, dtype)
    own = backend.implementation
    half = spec.numpy_dtype(dtype)
    if name == "tf.keras":  # a policy of halves alone
        monkeypatch.setattr(own, "policy", dtype)
    else:
        tensors = own.tensors
        rounded = lambda given: tensors({n: a.astype(half) for n, a in given.items()})  # noqa: E731
        monkeypatch.setattr(own, "tensors", rounded, raising=False)
    differs("layer/dense-tanh-4-3-batch-5", backend)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", support.LIBRARIES)
def test_a_loss_in_halves_is_seen(name, dtype, monkeypatch):
    backend = support.backend(name, dtype)
    losses, training = library(name, "losses"), library(name, "training")
    monkeypatch.setattr(losses, "wide", lambda outputs: outputs)
    if name == "jax.flax":  # what is compiled knows the right one
        monkeypatch.setattr(training, "loss_of", losses.loss)
    differs("loss/softmax-cross-entropy-classes-none-5x3", backend)


@pytest.mark.parametrize("dtype", HALVES)
def test_weights_that_autocast_keeps_are_seen(dtype, monkeypatch):
    """Inside another autocast, torch's goes on with the weights of the first step."""
    backend = support.backend("torch.nn", dtype)
    import torch

    def keeping(x: Any) -> Any:
        half = x.dtype.itemsize == 2
        return torch.autocast(x.device.type, x.dtype, enabled=half)

    monkeypatch.setattr(library("torch.nn", "training"), "lowered", keeping)
    differs(RUN.id, backend)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", support.LIBRARIES)
def test_a_model_keeps_its_weights_in_float32(name, dtype):
    backend = support.backend(name, dtype)
    net = spec.Sequential(spec.Dense(3, 4, "relu"), spec.Dense(4, 2))
    weights = net.init(seed=0)
    held = backend.weights(backend.build(net, weights))
    for key, w in weights.items():
        assert held[key].dtype == np.float32
        np.testing.assert_array_equal(held[key], w)


def test_keras_policy_is_each_layers_and_not_the_users():
    backend = support.backend("tf.keras", "float16")
    import keras

    before = keras.config.dtype_policy().name
    net = spec.Sequential(spec.Dense(3, 4, "relu"), spec.Dense(4, 2))
    model = backend.build(net, net.init(seed=0))
    assert {layer.dtype_policy.name for layer in model.layers} == {"mixed_float16"}
    assert keras.config.dtype_policy().name == before
