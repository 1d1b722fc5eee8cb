"""The loop of training.py, faster: arrays that are made once.

Products, relu and dropout are those of layers.py, written into arrays
that are there already. Sums over a batch and over classes are products
with ones, which BLAS adds up in an order of its own, and Adam's two
corrections are one factor each. The weights are one vector, of which
the layers' are views, so that a rule is called once for all; rows,
masks and losses are those of many steps at once.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import (
    Adam,
    Identity,
    Loop,
    Loss,
    ReLU,
    SoftmaxCrossEntropy,
    Stretch,
    Together,
    bulk,
)

from . import layers, losses
from .activations import activation, activation_gradient
from .optimizers import Optimizer, Slots, bias_correction

Array = NDArray[Any]
BLOCK = 2**16  # weights: so a rule's temporary arrays stay in cache
NUMBERS = 2**20  # of a stretch, in its widest layer


def bits_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the integers that are as wide as these numbers."""
    return np.dtype(f"i{dtype.itemsize}")


def constant(value: float, dtype: np.dtype[Any]) -> Array:
    """Return a number that no operation has to convert again."""
    return np.array(value, dtype)


class Dense:
    """a = g(z), z = x W + b, and backward, for one batch size."""

    def __init__(
        self,
        layer: layers.Dense,
        gradients: list[Array],
        batch: int,
        first: bool,
    ) -> None:
        self.first = first
        self.weight, self.bias = layer.weight, layer.bias
        self.weight_grad, self.bias_grad = gradients
        self.activation = layer.activation
        self.relu = isinstance(layer.activation, ReLU)
        self.identity = isinstance(layer.activation, Identity)
        inputs, outputs = layer.weight.shape
        self.zero = constant(0, layer.weight.dtype)
        self.one = constant(1, np.dtype(np.int8))
        self.ones = np.ones(batch, layer.weight.dtype)
        self.z = np.empty((batch, outputs), layer.weight.dtype)
        self.a = np.empty_like(self.z)
        self.off = np.empty(self.z.shape, np.bool_)
        self.kept = self.off.view(np.int8)
        self.word = bits_of(self.z.dtype)
        self.dx = np.empty((batch, inputs), layer.weight.dtype)

    def forward(self, x: Array) -> Array:
        self.x = x
        np.dot(x, self.weight, out=self.z)
        self.z += self.bias
        if self.identity:
            return self.z
        if self.relu:
            return np.maximum(self.z, self.zero, out=self.a)
        return activation(self.activation, self.z)

    def backward(self, da: Array) -> Array:
        dz = da
        if self.relu:
            np.less_equal(self.z, self.zero, out=self.off)
            # 1 becomes 0, and 0 becomes -1, all ones
            np.subtract(self.kept, self.one, out=self.kept)
            bits = dz.view(self.word)
            bits &= self.kept  # ten times as fast as where()
        elif not self.identity:
            dz = activation_gradient(self.activation, self.z, da)
        np.dot(self.x.T, dz, out=self.weight_grad)
        np.dot(self.ones, dz, out=self.bias_grad)
        if self.first:  # nobody asks for the gradient of the data
            return dz
        return np.dot(dz, self.weight.T, out=self.dx)


class Dropout:
    """a = x / keep where kept, 0 where dropped, for one batch size.

    A mask is ones or zeros in all bits of a number: "and" with it is 0
    where dropped, of infinity too.
    """

    def __init__(
        self,
        layer: layers.Dropout,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
    ) -> None:
        self.keep, self.place = layer.keep, layer.place
        self.a = np.empty(shape, dtype)  # (batch, inputs)
        self.word = bits_of(dtype)

    def draw(self, keys: Array) -> None:
        """Draw the masks of the steps of these keys."""
        kept = bulk.masks(keys, self.place, self.keep, self.a.shape)
        masks = kept.astype(self.word)
        self.masks = iter(np.negative(masks, out=masks))

    def forward(self, x: Array) -> Array:
        self.mask = next(self.masks)
        return self.masked(np.divide(x, self.keep, out=self.a))

    def backward(self, da: Array) -> Array:
        da /= self.keep
        return self.masked(da)

    def masked(self, a: Array) -> Array:
        bits = a.view(self.word)
        bits &= self.mask
        return a


def flattened(arrays: dict[str, Array]) -> Array:
    """Return one vector of all; each becomes a view of its part."""
    flat = np.concatenate([a.ravel() for a in arrays.values()])
    arrays |= parts(flat, arrays)
    return flat


def parts(flat: Array, like: dict[str, Array]) -> dict[str, Array]:
    """Return views of a vector, of these shapes."""
    views, start = {}, 0
    for name, a in like.items():
        views[name] = flat[start : start + a.size].reshape(a.shape)
        start += a.size
    return views


class Steps(Together):
    """Training steps, with all that they write into."""

    def __init__(
        self,
        model: layers.Sequential,
        loss: Loss,
        optimizer: Optimizer,
        x: Any,
        y: Any,
        l2: float,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.x, self.y, self.l2 = x, y, l2
        weights = optimizer.weights
        self.theta = flattened(weights)
        self.g = np.empty_like(self.theta)
        self.gradients = parts(self.g, weights)
        for i, layer in enumerate(model.layers):
            if isinstance(layer, layers.Dense):
                layer.weight = weights[f"{i}.weight"]
                layer.bias = weights[f"{i}.bias"]
        self.slots = {}
        for slot in optimizer.hyper.slots:
            own = {n: s[slot] for n, s in optimizer.slots.items()}
            self.slots[slot] = flattened(own)
            for name in weights:
                optimizer.slots[name][slot] = own[name]
        hyper = optimizer.hyper
        self.is_adam = (
            isinstance(hyper, Adam)
            and hyper.eps_place == "outside"
            and not hyper.amsgrad
        )
        self.blocks = []
        for start in range(0, len(self.theta), BLOCK):
            part = slice(start, start + BLOCK)
            s = {name: slot[part] for name, slot in self.slots.items()}
            self.blocks.append((self.theta[part], self.g[part], s))
        if self.is_adam:
            b1, b2 = hyper.beta1, hyper.beta2
            numbers = b1, 1 - b1, b2, 1 - b2, hyper.eps
            dtype = self.theta.dtype
            self.constants = [constant(n, dtype) for n in numbers]
        block = min(BLOCK, len(self.theta))
        self.scratch = np.empty((2, block), self.theta.dtype)
        self.networks: dict[int, list[Dense | Dropout]] = {}
        outputs = list(weights.values())[-1].size
        self.no_outputs = np.empty((0, outputs), self.theta.dtype)
        self.column = np.ones((outputs, 1), self.theta.dtype)

    def network(self, batch: int) -> list[Dense | Dropout]:
        """Return the layers, with arrays for batches of that size."""
        if batch in self.networks:
            return self.networks[batch]
        made: list[Dense | Dropout] = []
        width = self.x.shape[1]
        for i, layer in enumerate(self.model.layers):
            if isinstance(layer, layers.Dropout):
                shape = batch, width
                made.append(Dropout(layer, shape, self.theta.dtype))
            else:
                names = f"{i}.weight", f"{i}.bias"
                g = [self.gradients[name] for name in names]
                made.append(Dense(layer, g, batch, first=i == 0))
                width = layer.weight.shape[1]
        self.networks[batch] = made
        return made

    def run(self, stretch: Stretch, start: int, stop: int) -> Array:
        part = stretch.part(start, stop)
        x, y = self.x[part.rows], self.y[part.rows]
        if isinstance(self.loss, SoftmaxCrossEntropy):
            y = losses.one_hot(y, self.no_outputs)
        for batch in set(part.sizes):
            for layer in self.network(batch):
                if isinstance(layer, Dropout):
                    layer.draw(part.keys_of(batch))
        width = self.no_outputs.shape[1]
        outputs = np.empty((len(x), width), self.theta.dtype)
        for rows, eta in part.batches():
            network = self.network(rows.stop - rows.start)
            a = x[rows]  # forward
            for layer in network:
                a = layer.forward(a)
            outputs[rows] = a
            da = self.loss_gradient(a, y[rows])  # gradient
            for layer in reversed(network):
                da = layer.backward(da)
            self.update(eta)  # update
        each = replace(self.loss, reduction="none")
        values = losses.loss(each, outputs, y)
        return part.reduced(values, self.loss)

    def loss_gradient(self, outputs: Array, y: Array) -> Array:
        if not isinstance(self.loss, SoftmaxCrossEntropy):
            return losses.loss_gradient(self.loss, outputs, y)
        highest = np.maximum.reduce(outputs, axis=1, keepdims=True)
        da = np.subtract(outputs, highest)
        np.exp(da, out=da)
        da /= np.dot(da, self.column)
        # rows that add up to 1, but for rounding
        if self.y.ndim == 2:
            da *= np.dot(y, self.column)
        da -= y
        if self.loss.reduction == "mean":
            da /= len(y)
        return da

    def update(self, eta: float) -> None:
        optimizer = self.optimizer
        if self.l2 != 0:
            for name, theta in optimizer.weights.items():
                if theta.ndim == 2:
                    self.gradients[name] += self.l2 * theta
        optimizer.t += 1
        update = self.adam if self.is_adam else optimizer.update
        decays = optimizer.hyper.weight_decay != 0
        for theta, g, s in self.blocks:
            if decays:
                g = optimizer.decay(theta, g, eta)
            update(theta, g, s, optimizer.t, eta)

    def adam(
        self, theta: Array, g: Array, s: Slots, t: int, eta: float
    ) -> None:
        """Adam: theta -= eta / c1 m / (sqrt(v) / sqrt(c2) + eps)."""
        hyper, m, v = self.optimizer.hyper, s["m"], s["v"]
        c1 = bias_correction(hyper.beta1, t)
        c2 = bias_correction(hyper.beta2, t)
        a, b = self.scratch[0][: len(g)], self.scratch[1][: len(g)]
        beta1, rest1, beta2, rest2, eps = self.constants
        m *= beta1
        m += np.multiply(rest1, g, out=a)
        v *= beta2
        np.multiply(g, g, out=a)
        v += np.multiply(rest2, a, out=a)
        np.sqrt(v, out=a)
        a *= 1 / math.sqrt(c2)
        a += eps
        np.divide(m, a, out=b)
        b *= eta / c1
        theta -= b

    def keep(self) -> tuple[Array, dict[str, Array], int]:
        slots = {name: slot.copy() for name, slot in self.slots.items()}
        return self.theta.copy(), slots, self.optimizer.t

    def restore(
        self, kept: tuple[Array, dict[str, Array], int]
    ) -> None:
        theta, slots, self.optimizer.t = kept
        self.theta[...] = theta
        for name, slot in slots.items():
            self.slots[name][...] = slot


def fit(
    model: layers.Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Any,
    y: Any,
    loop: Loop,
) -> None:
    steps = Steps(model, loss, optimizer, x, y, loop.training.l2)
    widths = [w.shape[-1] for w in optimizer.weights.values()]
    most = NUMBERS // max(x.shape[1], *widths)
    loop.train(steps, len(x), most)
