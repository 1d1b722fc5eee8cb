"""Mixed precision: data are halves, weights float32.

A product is added up in float32, rounded to the dtype of x, and rounded
again with its bias, which is added in float32: so the sum that is the
bias's gradient is one of float32's. The casts are differentiated too,
so that the gradients of the weights are float32.
"""

import tensorflow as tf

from .activations import wide
from .layers import Dense as InOne


class Dense(InOne):
    """a = g(z), z = x W + b, in the dtype of x."""

    # 1. multiply, and add the bias
    def linear(self, x: tf.Tensor) -> tf.Tensor:  # (batch, inputs)
        xw = wide(x @ tf.cast(self.weight, x.dtype))
        return tf.cast(xw + self.bias, x.dtype)  # (batch, outputs)
