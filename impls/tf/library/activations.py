"""Activations a = g(z) as keras layers; the tape derives g'.

Quirks: a layer computes in its own dtype, and by default that is
float32. keras.layers.LeakyReLU's slope is 0.3 unless given, its
function's 0.2, and the layer refuses a negative one; gelu is the erf
form. sigmoid and softmax remember the z they were given, and Keras's
losses then compute from that (`_keras_logits`, see losses.py).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tetrapla.spec import Activation


def identity(**how: Any) -> keras.Layer:
    return keras.layers.Activation("linear", **how)


def sigmoid(**how: Any) -> keras.Layer:
    return keras.layers.Activation("sigmoid", **how)


def tanh(**how: Any) -> keras.Layer:
    return keras.layers.Activation("tanh", **how)


def relu(**how: Any) -> keras.Layer:
    return keras.layers.ReLU(**how)


def softmax(**how: Any) -> keras.Layer:
    return keras.layers.Softmax(axis=-1, **how)


def leaky_relu(negative_slope: float, **how: Any) -> keras.Layer:
    if negative_slope < 0:  # only the function takes it
        g = keras.activations.leaky_relu
        g = partial(g, negative_slope=negative_slope)
        return keras.layers.Activation(g, **how)
    return keras.layers.LeakyReLU(negative_slope, **how)


def elu(alpha: float, **how: Any) -> keras.Layer:
    return keras.layers.ELU(alpha, **how)


def softplus(**how: Any) -> keras.Layer:
    return keras.layers.Activation("softplus", **how)


def silu(**how: Any) -> keras.Layer:
    return keras.layers.Activation("silu", **how)


def gelu_erf(**how: Any) -> keras.Layer:
    return keras.layers.Activation("gelu", **how)


def gelu_tanh(**how: Any) -> keras.Layer:
    g = partial(keras.activations.gelu, approximate=True)
    return keras.layers.Activation(g, **how)


MODULES: dict[str, Callable[..., keras.Layer]] = {
    "identity": identity,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "softmax": softmax,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "softplus": softplus,
    "silu": silu,
    "gelu_erf": gelu_erf,
    "gelu_tanh": gelu_tanh,
}


def module(spec: Activation, **how: Any) -> keras.Layer:
    """Return Keras's layer of the g that the specification names."""
    return MODULES[spec.name](**spec.parameters, **how)


def activation(spec: Activation, z: tf.Tensor) -> tf.Tensor:
    """Return g(z)."""
    return module(spec, dtype=z.dtype.name, name=spec.name)(z)


def activation_gradient(
    spec: Activation, z: tf.Tensor, da: tf.Tensor
) -> tf.Tensor:
    """Return dz = g'(z) da."""
    with tf.GradientTape() as tape:
        tape.watch(z)
        a = activation(spec, z)
    return tape.gradient(a, z, output_gradients=da)
