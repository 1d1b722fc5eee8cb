"""Activations a = g(z); the tape derives g'.

Quirks: abs and maximum have derivatives of their own choice at a tie,
so every kink is a `where`, whose derivative is that of the branch
taken. The branch not taken must stay finite: 0 times inf is NaN. In a
graph, tf.where takes its dtype from the first branch, so a number may
stand in the second only.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from tetrapla.spec import Activation


def identity(z: tf.Tensor) -> tf.Tensor:
    return z


def sigmoid(z: tf.Tensor) -> tf.Tensor:
    e = tf.exp(tf.where(z <= 0, z, -z))  # exp(-|z|)
    return tf.where(z <= 0, e, 1) / (1 + e)


def tanh(z: tf.Tensor) -> tf.Tensor:
    return tf.tanh(z)


def relu(z: tf.Tensor) -> tf.Tensor:
    return tf.where(z <= 0, tf.zeros_like(z), z)


def softmax(z: tf.Tensor) -> tf.Tensor:
    z = z - tf.stop_gradient(tf.reduce_max(z, axis=-1, keepdims=True))
    e = tf.exp(z)
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


def leaky_relu(z: tf.Tensor, negative_slope: float) -> tf.Tensor:
    return tf.where(z <= 0, negative_slope * z, z)


def elu(z: tf.Tensor, alpha: float) -> tf.Tensor:
    # the branch not taken must not overflow: expm1 sees z <= 0 only
    e = tf.math.expm1(tf.where(z <= 0, z, 0))
    return tf.where(z <= 0, alpha * e, z)


def softplus(z: tf.Tensor) -> tf.Tensor:
    e = tf.exp(tf.where(z <= 0, z, -z))
    return relu(z) + tf.math.log1p(e)


def silu(z: tf.Tensor) -> tf.Tensor:
    return z * sigmoid(z)


def gelu_erf(z: tf.Tensor) -> tf.Tensor:
    # 1 + erf(z / sqrt 2) = erfc(-z / sqrt 2) without cancelling
    return 0.5 * z * tf.math.erfc(-math.sqrt(0.5) * z)


def gelu_tanh(z: tf.Tensor) -> tf.Tensor:
    # beyond 30, tanh(u) is -1 or 1: z^3 need not overflow
    c = tf.clip_by_value(z, -30, 30)
    u = math.sqrt(2 / math.pi) * (c + 0.044715 * c * c * c)
    return z * sigmoid(2 * u)  # (1 + tanh u) / 2 does not cancel so


FUNCTIONS: dict[str, Callable[..., tf.Tensor]] = {
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


def wide(x: tf.Tensor) -> tf.Tensor:
    """Return halves as float32: functions round once, at their end."""
    return tf.cast(x, tf.float32) if x.dtype.size == 2 else x


def activation(spec: Activation, z: tf.Tensor) -> tf.Tensor:
    """Return g(z), for the g that the specification names."""
    a = FUNCTIONS[spec.name](wide(z), **spec.parameters)
    return tf.cast(a, z.dtype)


def activation_gradient(
    spec: Activation, z: tf.Tensor, da: tf.Tensor
) -> tf.Tensor:
    """Return dz = g'(z) da."""
    with tf.GradientTape() as tape:
        tape.watch(z)
        a = activation(spec, z)
    return tape.gradient(a, z, output_gradients=da)
