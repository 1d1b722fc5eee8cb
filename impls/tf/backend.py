"""The contract for TensorFlow: NumPy in, tensors inside, NumPy out.

Quirks: a tensor belongs to the device on which it was made, so each
method runs on its backend's; `Tensor.numpy` may share memory, so it is
copied. On CPUs TensorFlow flushes subnormals to zero.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import tensorflow as tf

from tetrapla import spec
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.contract import Array, Arrays, Data
from tetrapla.spec.threefry import Key

from . import activations, losses, optimizers, training
from .layers import Sequential, sequential


def array(tensor: Any) -> Array:
    return np.array(tensor.numpy())  # .numpy() may share its memory


def arrays(tensors: Any) -> Arrays:
    return {name: array(t) for name, t in tensors.items()}


def state_of(optimizer: optimizers.Optimizer) -> Arrays:
    """Return the canonical state: "t", then "slot/weight"."""
    state: Arrays = {"t": array(optimizer.t)}
    for slot in optimizer.hyper.slots:
        for name, s in optimizer.slots.items():
            state[f"{slot}/{name}"] = array(s[slot])
    return state


def devices() -> dict[str, str]:
    """Return the devices by tetrapla's names."""
    there = {"cpu": "/CPU:0"}
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        there["gpu"] = "/GPU:0"
    return there | {f"gpu:{i}": f"/GPU:{i}" for i in range(len(gpus))}


def placed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method eagerly, on its backend's device."""

    @wraps(method)
    def call(self: "Backend", *args: Any, **kwargs: Any) -> Any:
        if not tf.executing_eagerly():
            raise RuntimeError(
                "backend 'tf' answers with NumPy arrays, which a graph "
                "has not: call it outside tf.function"
            )
        with tf.device(self.place):
            return method(self, *args, **kwargs)

    return call


class Backend:
    """TensorFlow, on one device."""

    def __init__(self, device: str = "cpu", dtype: str = "float32"):
        there = devices()
        if device not in there:
            raise BackendUnavailableError(
                f"backend 'tf' has no device {device!r}; "
                f"it has {', '.join(there)}"
            )
        self.device = device
        self.dtype = dtype
        self.place = there[device]

    def info(self) -> dict[str, str]:
        tf32 = (
            tf.config.experimental.tensor_float_32_execution_enabled()
        )
        with tf.device("/CPU:0"):
            half = tf.constant(2.0**-126) * tf.constant(0.5)
        return {
            "tensorflow": tf.__version__,
            "devices": ", ".join(devices()),
            "TF32 on GPUs": "allowed" if tf32 else "off",
            "flushes subnormals": "yes" if float(half) == 0 else "no",
        }

    @placed
    def tensor(self, given: Array) -> tf.Tensor:
        return tf.constant(given)

    def tensors(self, given: Arrays) -> dict[str, tf.Tensor]:
        return {name: tf.constant(a) for name, a in given.items()}

    def key(self, key: Key | None) -> tf.Tensor | None:
        return None if key is None else tf.constant(key)

    @placed
    def build(
        self, net: spec.Sequential, weights: Arrays
    ) -> Sequential:
        return sequential(net, self.tensors(weights))

    @placed
    def weights(self, model: Sequential) -> Arrays:
        if not isinstance(model, Sequential):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        return arrays(model.weights())

    @placed
    def activation(
        self, activation: spec.Activation, z: Array
    ) -> Array:
        return array(activations.activation(activation, tf.constant(z)))

    @placed
    def activation_gradient(
        self, activation: spec.Activation, z: Array, upstream: Array
    ) -> Array:
        z, da = tf.constant(z), tf.constant(upstream)
        return array(activations.activation_gradient(activation, z, da))

    @placed
    def forward(
        self,
        net: spec.Sequential,
        weights: Arrays,
        x: Array,
        *,
        key: Key | None = None,
    ) -> Array:
        model = self.build(net, weights)
        return array(model(tf.constant(x), self.key(key)))

    @placed
    def loss(self, loss: spec.Loss, outputs: Array, y: Array) -> Any:
        value = losses.loss(loss, tf.constant(outputs), tf.constant(y))
        return array(value)[()]  # a scalar where it has no axes

    @placed
    def loss_and_gradients(
        self,
        net: spec.Sequential,
        weights: Arrays,
        x: Array,
        y: Array,
        loss: spec.Loss,
        *,
        key: Key | None = None,
    ) -> spec.LossAndGradients:
        value, dw, dx = training.loss_and_gradients(
            self.build(net, weights),
            loss,
            tf.constant(x),
            tf.constant(y),
            self.key(key),
        )
        return spec.LossAndGradients(
            array(value)[()], arrays(dw), array(dx)
        )

    @placed
    def trace(
        self,
        net: spec.Sequential,
        weights: Arrays,
        x: Array,
        y: Array,
        loss: spec.Loss,
        *,
        key: Key | None = None,
    ) -> Arrays:
        stages = training.trace(
            self.build(net, weights),
            loss,
            tf.constant(x),
            tf.constant(y),
            self.key(key),
        )
        return arrays(stages)

    @placed
    def optimizer(
        self, hyper: spec.Optimizer, weights: Any, state: Arrays
    ) -> optimizers.Optimizer:
        """Return an optimizer that goes on from `state`."""
        optimizer = optimizers.optimizer(hyper, weights)
        optimizer.t.assign(int(state["t"]))
        for name, s in optimizer.slots.items():
            for slot in s:
                s[slot].assign(state[f"{slot}/{name}"])
        return optimizer

    @placed
    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        theta = self.tensors(weights)
        return state_of(optimizers.optimizer(optimizer, theta))

    @placed
    def update(
        self,
        optimizer: spec.Optimizer,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
    ) -> tuple[Arrays, Arrays]:
        theta = {n: tf.Variable(w) for n, w in weights.items()}
        native = self.optimizer(optimizer, theta, state)
        native.step(self.tensors(gradients))
        return arrays(theta), state_of(native)

    def supports(self, optimizer: spec.Optimizer) -> spec.Support:
        return spec.Support("native")

    def fit(
        self, net: spec.Sequential, data: Data, loop: spec.Loop
    ) -> spec.TrainingRun:
        model = self.build(net, loop.state.weights)
        settings = loop.training
        loop.weights = lambda: self.weights(model)
        loop.tensor = self.tensor
        optimizer = self.optimizer(
            settings.optimizer, model.weights(), loop.state.optimizer
        )
        x, y = self.tensor(data[0]), self.tensor(data[1])
        training.fit(model, settings.loss, optimizer, x, y, loop)
        return loop.result(state_of(optimizer))
