"""Mixed precision: data are halves, weights float32.

A product is added up in float32, rounded to the dtype of x, and rounded
again with its bias, which is added in float32. The gradients of the
weights are sums in float32.
"""

from .activations import activation_gradient, wide
from .layers import Array
from .layers import Dense as InOne


def product(x: Array, y: Array) -> Array:
    """Return x y, in the dtype of x."""
    xy = wide(x) @ wide(y.astype(x.dtype))
    return xy.astype(x.dtype)


class Dense(InOne):
    """a = g(z), z = x W + b, in the dtype of x."""

    # 1. multiply, and add the bias
    def linear(self, x: Array) -> Array:
        self.x = x  # (batch, inputs)
        xw = wide(product(x, self.weight))
        return (xw + self.bias).astype(x.dtype)  # (batch, outputs)

    # 2. the chain rule, from the output back
    def backward(self, da: Array) -> Array:
        self.dz = activation_gradient(self.activation, self.z, da)
        self.weight_grad = wide(self.x.T) @ wide(self.dz)
        self.bias_grad = wide(self.dz).sum(axis=0)
        return product(self.dz, self.weight.T)  # dx
