"""Mixed precision: data are halves, weights float32.

Halves are multiplied as the float32 numbers that they are, and rounded
once, with the bias: TensorFlow's own product of bfloat16 is cut, and
not rounded, on CPUs where oneDNN does not multiply. The casts are
differentiated too, so that the gradients of the weights are float32.
"""

import tensorflow as tf

from .activations import wide
from .layers import Dense as InOne


class Dense(InOne):
    """a = g(z), z = x W + b, in the dtype of x."""

    # 1. multiply, and add the bias
    def linear(self, x: tf.Tensor) -> tf.Tensor:  # (batch, inputs)
        w = wide(tf.cast(self.weight, x.dtype))
        z = wide(x) @ w + self.bias
        return tf.cast(z, x.dtype)  # (batch, outputs)
