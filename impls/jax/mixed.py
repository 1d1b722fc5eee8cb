"""Mixed precision: data are halves, weights float32.

A product is added up in float32, rounded to the dtype of x, and rounded
again with its bias, which is added in float32: so the sum that is the
bias's gradient is one of float32's. The gradients of the weights are
added up in float32, and stay so.

Quirks: on a GPU, XLA leaves out a cast to a half and back, unless
reduce_precision says that it is meant (xla#41605). And a product with
one row or column is no matrix product there: each term is rounded to
the half, unless the sum is asked for in float32. To differentiate such
a sum is to multiply halves by float32, which tensor cores do not: so
the product has its gradients by hand.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from .activations import wide
from .layers import Dense as InOne

added_up = partial(jnp.matmul, preferred_element_type=jnp.float32)


def rounded(x: Array, dtype: Any) -> Array:
    """Return x in a half, rounded whatever the compiler does."""
    bits = jnp.finfo(dtype).nmant  # of the fraction
    return lax.reduce_precision(x, 8, bits).astype(dtype)


@jax.custom_vjp
def product(x: Array, w: Array) -> Array:
    """Return x W, in the dtype of x."""
    return product_forward(x, w)[0]


def product_forward(
    x: Array, w: Array
) -> tuple[Array, tuple[Array, Array]]:
    w = rounded(w, x.dtype)
    return rounded(added_up(x, w), x.dtype), (x, w)


def product_backward(
    kept: tuple[Array, Array], dxw: Array
) -> tuple[Array, Array]:
    x, w = kept
    dx = rounded(added_up(dxw, w.T), x.dtype)
    return dx, added_up(x.T, dxw)


product.defvjp(product_forward, product_backward)


class Dense(InOne):
    """a = g(z), z = x W + b, in the dtype of x."""

    # 1. multiply, and add the bias
    def linear(self, x: Array) -> Array:  # (batch, inputs)
        xw = wide(product(x, self.weight[...]))
        return (xw + self.bias).astype(x.dtype)  # (batch, outputs)
