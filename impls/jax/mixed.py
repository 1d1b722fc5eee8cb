"""Mixed precision: data are halves, weights float32.

A product is added up in float32, rounded to the dtype of x, and rounded
again with its bias, which is added in float32: so the sum that is the
bias's gradient is one of float32's. The casts are differentiated too,
so that the gradients of the weights are float32.

Quirk: on a GPU, XLA leaves out a cast to a half and back, unless
reduce_precision says that it is meant (xla#41605).
"""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from .activations import wide
from .layers import Dense as InOne


def rounded(x: Array, dtype: Any) -> Array:
    """Return x in a half, rounded whatever the compiler does."""
    bits = jnp.finfo(dtype).nmant  # of the fraction
    return lax.reduce_precision(x, 8, bits).astype(dtype)


class Dense(InOne):
    """a = g(z), z = x W + b, in the dtype of x."""

    # 1. multiply, and add the bias
    def linear(self, x: Array) -> Array:  # (batch, inputs)
        xw = wide(x @ rounded(self.weight[...], x.dtype))
        return (xw + self.bias).astype(x.dtype)  # (batch, outputs)
