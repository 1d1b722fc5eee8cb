"""Rows: activations, their forms, defaults and kinks."""

import os
import subprocess
import sys
from functools import partial
from typing import Any

from tetrapla.atlas.row import Row


def torch_at(name: str, z: float, dtype: str = "float64", **settings: Any) -> float:
    """Return torch.nn.functional's activation of z."""
    import torch

    g = getattr(torch.nn.functional, name)
    return float(g(torch.tensor(z, dtype=getattr(torch, dtype)), **settings))


def torch_vector_at(name: str, z: float, dtype: str = "float64") -> float:
    """Return what torch's vectorised kernel makes of eight z."""
    import torch

    x = torch.full((8,), z, dtype=getattr(torch, dtype))
    return float(getattr(torch.nn.functional, name)(x)[0])


def keras_at(name: str, z: float, dtype: str = "float64", **settings: Any) -> float:
    """Return the activation of z of the keras.layers class of that name."""
    import keras
    import numpy as np

    layer = getattr(keras.layers, name)(dtype=dtype, **settings)
    return float(layer(np.array([[z]], dtype))[0, 0])


def keras_function_at(
    name: str, z: float, dtype: str = "float64", **settings: Any
) -> float:
    """Return keras.activations' function of z."""
    import keras
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return float(
            getattr(keras.activations, name)(tf.constant([z], dtype), **settings)[0]
        )


def jax_at(name: str, z: float, dtype: str = "float64", **settings: Any) -> float:
    """Return jax.nn's activation of z."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices("cpu")[0]):
        return float(getattr(jax.nn, name)(jnp.array(z, dtype), **settings))


def torch_slope(name: str, z: float, dtype: str = "float64", **settings: Any) -> float:
    """Return the derivative at z by torch's automatic differentiation."""
    import torch

    x = torch.full((8,), z, dtype=getattr(torch, dtype), requires_grad=True)
    g = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    return float(torch.autograd.grad(g(x, **settings).sum(), x)[0][0])


def tf_slope(name: str, z: float, dtype: str = "float64", **settings: Any) -> float:
    """Return the derivative at z by TensorFlow's tape, of Keras's function."""
    import keras
    import tensorflow as tf

    g = getattr(keras.activations, name, None) or getattr(keras.ops, name)
    with tf.device("/CPU:0"), tf.GradientTape() as tape:
        x = tf.constant([z], dtype)
        tape.watch(x)
        value = g(x, **settings)
    return float(tape.gradient(value, x)[0])


def jax_slope(name: str, z: float, dtype: str = "float64", **settings: Any) -> float:
    """Return the derivative at z by jax.grad."""
    import jax
    import jax.numpy as jnp

    g = getattr(jax.nn, name, None) or getattr(jnp, name)
    with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices("cpu")[0]):
        return float(jax.grad(lambda x: g(x, **settings))(jnp.array(z, dtype)))


def torch_maximum() -> float:
    """Return the derivative of torch.maximum(z, 0) at 0."""
    import torch

    x = torch.zeros(1, requires_grad=True)
    return float(torch.autograd.grad(torch.maximum(x, torch.zeros(1)).sum(), x)[0])


def tf_maximum() -> float:
    """Return the derivative of tf.maximum(z, 0) at 0."""
    import tensorflow as tf

    with tf.device("/CPU:0"), tf.GradientTape() as tape:
        x = tf.zeros(1)
        tape.watch(x)
        value = tf.maximum(x, 0.0)
    return float(tape.gradient(value, x)[0])


def jax_maximum() -> float:
    """Return the derivative of jnp.maximum(z, 0) at 0."""
    import jax
    import jax.numpy as jnp

    return float(jax.grad(lambda x: jnp.maximum(x, 0.0))(0.0))


def torch_where(z: float) -> float:
    """Return the derivative of the naive ELU."""
    import torch

    x = torch.tensor(z, requires_grad=True)
    return float(torch.autograd.grad(torch.where(x > 0, x, torch.exp(x) - 1), x)[0])


def tf_where(z: float) -> float:
    """Return the derivative of the naive ELU."""
    import tensorflow as tf

    with tf.device("/CPU:0"), tf.GradientTape() as tape:
        x = tf.constant(z)
        tape.watch(x)
        value = tf.where(x > 0, x, tf.exp(x) - 1)
    return float(tape.gradient(value, x))


def jax_where(z: float) -> float:
    """Return the derivative of the naive ELU."""
    import jax
    import jax.numpy as jnp

    return float(jax.grad(lambda x: jnp.where(x > 0, x, jnp.exp(x) - 1))(z))


def tf_softmax_beside_nan(onednn: str = "1") -> float:
    """Return the softmax of (0, NaN, 1) at 0, in a process with oneDNN on or off.

    TensorFlow reads the setting once, as it starts. Without it, it goes by the CPU.
    """
    code = """
import tensorflow as tf
z = tf.constant([[0.0, float("nan"), 1.0]])
with tf.device("/CPU:0"):
    print(float(tf.nn.softmax(z)[0, 0]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": onednn},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ran.stdout)


def torch_softmax_beside_nan() -> float:
    """Return the softmax of (0, NaN, 1) at 0."""
    import torch

    z = torch.tensor([0.0, float("nan"), 1.0])
    return float(torch.softmax(z, dim=0)[0])


def jax_softmax_beside_nan() -> float:
    """Return the softmax of (0, NaN, 1) at 0."""
    import jax
    import jax.numpy as jnp

    return float(jax.nn.softmax(jnp.array([0.0, jnp.nan, 1.0]))[0])


ROWS = (
    Row(
        "gelu-form",
        "activations",
        "Which GELU is the default",
        "GELU of 1",
        "z Phi(z) with the error function, or the paper's approximation by tanh. PyTorch "
        "and Keras default to the first, jax.nn to the second; gelu_new and "
        "gelu_pytorch_tanh elsewhere are the second.",
        {
            "torch": partial(torch_at, "gelu", 1.0),
            "keras": partial(keras_function_at, "gelu", 1.0),
            "jax": partial(jax_at, "gelu", 1.0),
        },
        (
            "https://github.com/huggingface/transformers/issues/16497",
            "https://github.com/jax-ml/jax/issues/4428",
            "https://docs.jax.dev/en/latest/_autosummary/jax.nn.gelu.html",
        ),
        ("gelu", "gelu-erf", "gelu-tanh"),
        align={"torch": {}, "keras": {}, "jax": {"approximate": False}},
        write={"jax": "jax.nn.gelu(z, approximate=False)"},
    ),
    Row(
        "gelu-tail",
        "activations",
        "The slope of GELU's tail in float32",
        "GELU'(-7): -6.27e-11, mathematically",
        "1 + erf(z / sqrt 2) cancels for negative z. PyTorch's vectorised float32 kernel "
        "adds the slope to 1/2, so that what is below 2^-25 is lost.",
        {
            "torch": partial(torch_slope, "gelu", -7.0, "float32"),
            "keras": partial(tf_slope, "gelu", -7.0, "float32"),
            "jax": partial(jax_slope, "gelu", -7.0, "float32", approximate=False),
        },
        ("https://github.com/pytorch/pytorch/issues/187806",),
        ("gelu", "gelu-erf"),
        never="compute it in float64, or with erfc: tetrapla's from-scratch GELU.",
    ),
    Row(
        "gelu-largest",
        "activations",
        "GELU above half of the largest float32",
        "GELU of 2e38",
        "z (1 + erf(z / sqrt 2)) is halved last in PyTorch's vectorised float32 kernel, "
        "and twice 2e38 is infinite.",
        {
            "torch": partial(torch_vector_at, "gelu", 2e38, "float32"),
            "keras": partial(keras_function_at, "gelu", 2e38, "float32"),
            "jax": partial(jax_at, "gelu", 2e38, "float32", approximate=False),
        },
        (
            "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cpu/"
            "Activation.cpp",
        ),
        ("gelu", "gelu-erf", "overflow"),
        never="clip z, or compute it in float64.",
    ),
    Row(
        "sigmoid-float16",
        "activations",
        "Sigmoid of float16, far below 0",
        "the sigmoid of -12 in float16; it is 6.1e-6",
        "XLA computes 1 / (1 + exp(-z)), and exp(12) is infinite in float16. PyTorch and "
        "Keras compute it in float32, or in a form that does not overflow. SiLU is z times "
        "the same.",
        {
            "torch": partial(torch_at, "sigmoid", -12.0, "float16"),
            "keras": partial(keras_function_at, "sigmoid", -12.0, "float16"),
            "jax": partial(jax_at, "sigmoid", -12.0, "float16"),
        },
        (
            "https://github.com/openxla/xla/blob/main/xla/hlo/transforms/expanders/"
            "logistic_expander.cc",
        ),
        ("sigmoid", "silu", "float16", "overflow"),
        never="compute it in float32: jax.nn.sigmoid(z.astype(jnp.float32)), cast back.",
    ),
    Row(
        "leaky-relu-slope",
        "activations",
        "LeakyReLU's default slope for negative inputs",
        "LeakyReLU of -1",
        "PyTorch and JAX take 0.01 of the paper; Keras's layer takes 0.3, Keras's "
        "function of the same name 0.2.",
        {
            "torch": partial(torch_at, "leaky_relu", -1.0),
            "keras": partial(keras_at, "LeakyReLU", -1.0),
            "jax": partial(jax_at, "leaky_relu", -1.0),
        },
        ("https://keras.io/api/layers/activation_layers/leaky_relu/",),
        ("leaky-relu", "leakyrelu"),
        align={"torch": {}, "keras": {"negative_slope": 0.01}, "jax": {}},
        write={"keras": "keras.layers.LeakyReLU(negative_slope=0.01)"},
    ),
    Row(
        "leaky-relu-function",
        "activations",
        "LeakyReLU as a function, and its slope at 0",
        "the derivative of each library's function at exactly 0",
        "At 0 PyTorch and Keras take the slope of the negative side, JAX that of the "
        "positive side: where(z >= 0, z, slope z).",
        {
            "torch": partial(torch_slope, "leaky_relu", 0.0),
            "keras": partial(tf_slope, "leaky_relu", 0.0),
            "jax": partial(jax_slope, "leaky_relu", 0.0),
        },
        ("https://docs.jax.dev/en/latest/_autosummary/jax.nn.leaky_relu.html",),
        ("leaky-relu", "leakyrelu", "kink", "gradient"),
        never="no setting changes it; it matters for inputs that are exactly 0, as after "
        "a ReLU.",
    ),
    Row(
        "relu-at-zero",
        "activations",
        "ReLU's derivative at 0",
        "relu'(0)",
        "0 in all three; JAX defines it so by a rule of its own.",
        {
            "torch": partial(torch_slope, "relu", 0.0),
            "keras": partial(tf_slope, "relu", 0.0),
            "jax": partial(jax_slope, "relu", 0.0),
        },
        ("https://docs.jax.dev/en/latest/_autosummary/jax.nn.relu.html",),
        ("relu", "kink", "gradient"),
        align={"torch": {}, "keras": {}, "jax": {}},
    ),
    Row(
        "maximum-at-zero",
        "activations",
        "The derivative of maximum(z, 0) at 0",
        "z = 0, a tie",
        "PyTorch and JAX split the gradient of a tie evenly; TensorFlow gives it to the "
        "first argument. So maximum(z, 0) is not relu(z) there in any of them.",
        {
            "torch": torch_maximum,
            "keras": tf_maximum,
            "jax": jax_maximum,
        },
        (
            "https://github.com/jax-ml/jax/issues/37821",
            "https://github.com/pytorch/pytorch/issues/184572",
        ),
        ("maximum", "relu", "kink", "gradient", "ties"),
        never="write relu(z), which is 0 at 0 in all three.",
    ),
    Row(
        "abs-at-zero",
        "activations",
        "The derivative of |z| at 0",
        "abs'(0)",
        "PyTorch and TensorFlow take 0, JAX the slope of the positive side.",
        {
            "torch": partial(torch_slope, "abs", 0.0),
            "keras": partial(tf_slope, "abs", 0.0),
            "jax": partial(jax_slope, "abs", 0.0),
        },
        ("https://github.com/jax-ml/jax/issues/37820",),
        ("abs", "kink", "gradient"),
        never="log(1 + exp(-|z|)) inherits it: write the two sides with where.",
    ),
    Row(
        "softplus-threshold",
        "activations",
        "Where softplus becomes linear",
        "softplus(25) - 25 in float64: 1.39e-11, mathematically",
        "PyTorch returns z itself from beta z > 20 on: nothing in float32, a relative "
        "1e-10 in float64.",
        {
            "torch": lambda **settings: torch_at("softplus", 25.0, **settings) - 25,
            "keras": lambda: keras_function_at("softplus", 25.0) - 25,
            "jax": lambda: jax_at("softplus", 25.0) - 25,
        },
        (
            "https://github.com/pytorch/pytorch/issues/31110",
            "https://github.com/pytorch/pytorch/issues/55587",
        ),
        ("softplus",),
        align={"torch": {"threshold": 40}, "keras": {}, "jax": {}},
        write={"torch": "torch.nn.Softplus(threshold=40)"},
    ),
    Row(
        "sigmoid-slope",
        "activations",
        "The slope of a saturated sigmoid in float32",
        "sigmoid'(20): 2.06e-9, mathematically",
        "s (1 - s) cancels as s nears 1: the gradient is 0 from z = 17 on.",
        {
            "torch": partial(torch_slope, "sigmoid", 20.0, "float32"),
            "keras": partial(tf_slope, "sigmoid", 20.0, "float32"),
            "jax": partial(jax_slope, "sigmoid", 20.0, "float32"),
        },
        ("https://github.com/pytorch/pytorch/issues/39435",),
        ("sigmoid", "saturation"),
        never="let the loss take logits; the gradient is then sigmoid(z) - y.",
    ),
    Row(
        "elu-where",
        "activations",
        "The gradient of where(z > 0, z, exp(z) - 1) at a large z",
        "z = 1000 in float32",
        "The branch not taken overflows to infinity; its gradient is 0 times infinity, "
        "NaN, in every framework that differentiates both branches. Their own elu avoids "
        "it.",
        {
            "torch": partial(torch_where, 1000.0),
            "keras": partial(tf_where, 1000.0),
            "jax": partial(jax_where, 1000.0),
        },
        (
            "https://github.com/jax-ml/jax/issues/1052",
            "https://docs.jax.dev/en/latest/faq.html#gradients-contain-nan-where-using-where",
        ),
        ("elu", "where", "nan", "gradient"),
        never="put a where inside too: exp(where(z > 0, 0, z)).",
    ),
    Row(
        "softmax-nan",
        "activations",
        "The softmax of a row with a NaN, by oneDNN",
        "softmax of (0, NaN, 1), float32, at the first: NaN, mathematically",
        "TensorFlow lets oneDNN compute it on CPUs with AVX512-VNNI or AVX-VNNI: there "
        "the row's largest number is taken by an instruction that passes over NaN, and "
        "what is beside the NaN becomes 0. The answer here is with oneDNN on; it is off "
        "by default on other CPUs. In float64, and in log softmax, it is NaN.",
        {
            "torch": torch_softmax_beside_nan,
            "keras": tf_softmax_beside_nan,
            "jax": jax_softmax_beside_nan,
        },
        (
            "https://github.com/tensorflow/tensorflow/pull/55408",
            "https://github.com/uxlfoundation/oneDNN/blob/main/src/cpu/x64/jit_uni_softmax.cpp",
        ),
        ("softmax", "nan", "onednn"),
        align={"torch": {}, "keras": {"onednn": "0"}, "jax": {}},
        write={"keras": 'os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # before the import'},
    ),
)
