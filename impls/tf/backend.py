"""The contract for TensorFlow: NumPy in, tensors inside, NumPy out.

Quirks: a tensor belongs to the device on which it was made, so each
method runs on its backend's; `Tensor.numpy` may share memory, so it is
copied. On CPUs TensorFlow flushes subnormals to zero.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial, wraps
from typing import Any

import numpy as np
import tensorflow as tf

from tetrapla import spec
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.contract import Array, Arrays, Samples
from tetrapla.spec.threefry import Key

from . import (
    activations,
    fast,
    losses,
    mixed,
    optimizers,
    start,
    training,
)
from .layers import Dense, Sequential, sequential


def array(tensor: Any) -> Array:
    return np.array(tensor.numpy())  # .numpy() may share its memory


def arrays(tensors: Any) -> Arrays:
    return {name: array(t) for name, t in tensors.items()}


def state_of(
    t: Any, slots: Any, read: Callable[[Any], Array] = array
) -> Arrays:
    """Return the canonical state: "t", then "slot/weight"."""
    state: Arrays = {"t": read(t)}
    for slot, of in slots.items():
        for name, value in of.items():
            state[f"{slot}/{name}"] = read(value)
    return state


def resume(t: Any, slots: Any, state: Arrays) -> None:
    """Make the canonical state that of these variables."""
    t.assign(int(state["t"]))
    for slot, of in slots.items():
        for name, value in of.items():
            value.assign(state[f"{slot}/{name}"])


def devices() -> dict[str, str]:
    """Return the devices by tetrapla's names."""
    start.memory()
    there = {"cpu": "/CPU:0"}
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        there["gpu"] = "/GPU:0"
    return there | {f"gpu:{i}": f"/GPU:{i}" for i in range(len(gpus))}


ONEDNN = "TF_ENABLE_ONEDNN_OPTS"  # read once, by TensorFlow


@contextmanager
def products(lower: bool) -> Iterator[None]:
    """Let GPUs multiply float32 as TF32, or not; and then as before."""
    flags = tf.config.experimental
    before = flags.tensor_float_32_execution_enabled()
    if before == lower:  # the flag is the process's
        yield
        return
    flags.enable_tensor_float_32_execution(lower)
    try:
        yield
    finally:
        flags.enable_tensor_float_32_execution(before)


@contextmanager
def settings(lower: bool, device: str | None) -> Iterator[None]:
    """Set what TensorFlow depends on beside a function's arguments."""
    with products(lower), tf.device(device):
        yield


def users_settings() -> Callable[[], AbstractContextManager[None]]:
    """Return a scope of the settings as they are now."""
    flags = tf.config.experimental
    allowed = flags.tensor_float_32_execution_enabled()
    return partial(settings, allowed, None)


def placed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method eagerly, on its backend's device."""

    @wraps(method)
    def call(self: "Backend", *args: Any, **kwargs: Any) -> Any:
        if not tf.executing_eagerly():
            raise RuntimeError(
                f"backend {self.name!r} answers with NumPy arrays, "
                "which a graph has not: call it outside tf.function"
            )
        with self.scope():
            return method(self, *args, **kwargs)

    return call


class Backend:
    """TensorFlow, on one device."""

    name = "tf"
    activations: Any = activations
    losses: Any = losses
    training: Any = training
    fast: Any = fast
    dense: Any = Dense
    users_settings: Any = staticmethod(users_settings)

    def __init__(self, device: str = "cpu", dtype: str = "float32"):
        there = devices()
        if device not in there:
            raise BackendUnavailableError(
                f"backend {self.name!r} has no device {device!r}; "
                f"it has {', '.join(there)}"
            )
        self.device = device
        self.dtype = dtype
        self.place = there[device]
        if spec.precision(dtype).mixed:
            self.dense = mixed.Dense

    def scope(self) -> AbstractContextManager[None]:
        """Return the settings in which this backend computes."""
        return settings(self.dtype == "tf32", self.place)

    def info(self) -> dict[str, str]:
        tf32 = (
            tf.config.experimental.tensor_float_32_execution_enabled()
        )
        with tf.device("/CPU:0"):
            half = tf.constant(2.0**-126) * tf.constant(0.5)
        about = {
            "tensorflow": tf.__version__,
            "devices": ", ".join(devices()),
            "TF32 on GPUs": "allowed" if tf32 else "off",
            "flushes subnormals": "yes" if float(half) == 0 else "no",
            "oneDNN": os.environ.get(
                "TF_ENABLE_ONEDNN_OPTS", "default"
            ),
            "deterministic": start.deterministic(self.device),
        }
        if self.device != "cpu":
            about["memory"] = start.memory()
        return about

    @placed
    def tensor(self, given: Array) -> tf.Tensor:
        return tf.constant(given)

    def tensors(self, given: Arrays) -> dict[str, tf.Tensor]:
        return {name: tf.constant(a) for name, a in given.items()}

    def key(self, key: Key | None) -> tf.Tensor | None:
        return None if key is None else tf.constant(key)

    @placed
    def build(self, net: spec.Sequential, weights: Arrays) -> Any:
        return self.model(net, weights)

    @placed
    def model(self, net: spec.Sequential, weights: Arrays) -> Any:
        """Return the module that answers and trains."""
        return sequential(net, self.tensors(weights), self.dense)

    @placed
    def weights(self, model: Any) -> Arrays:
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
        g = self.activations.activation
        return array(g(activation, tf.constant(z)))

    @placed
    def activation_gradient(
        self, activation: spec.Activation, z: Array, upstream: Array
    ) -> Array:
        dz = self.activations.activation_gradient(
            activation, tf.constant(z), tf.constant(upstream)
        )
        return array(dz)

    @placed
    def forward(
        self,
        net: spec.Sequential,
        weights: Arrays,
        x: Array,
        *,
        key: Key | None = None,
    ) -> Array:
        model = self.model(net, weights)
        x, key = tf.constant(x), self.key(key)
        return array(self.outputs(model, x, key))

    def outputs(self, model: Any, x: Any, key: Any) -> tf.Tensor:
        """Return the model's outputs; with a key, dropout is on."""
        return model(x, key)

    @placed
    def loss(self, loss: spec.Loss, outputs: Array, y: Array) -> Any:
        outputs, y = tf.constant(outputs), tf.constant(y)
        value = self.losses.loss(loss, outputs, y)
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
        value, dw, dx = self.training.loss_and_gradients(
            self.model(net, weights),
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
        stages = self.training.trace(
            self.model(net, weights),
            loss,
            tf.constant(x),
            tf.constant(y),
            self.key(key),
        )
        return arrays(stages)

    def slots(
        self, hyper: spec.Optimizer, optimizer: Any, names: Any
    ) -> dict[str, dict[str, Any]]:
        """Return the optimizer's variables, by slot and weight."""
        own = optimizer.slots
        return {
            slot: {name: own[name][slot] for name in names}
            for slot in hyper.slots
        }

    def state(
        self,
        hyper: spec.Optimizer,
        optimizer: Any,
        names: Any,
        read: Callable[[Any], Array] = array,
    ) -> Arrays:
        """Return the optimizer's canonical state."""
        slots = self.slots(hyper, optimizer, names)
        return state_of(optimizer.t, slots, read)

    @placed
    def optimizer(
        self, hyper: spec.Optimizer, weights: Any, state: Arrays
    ) -> Any:
        """Return an optimizer that goes on from `state`."""
        optimizer = optimizers.optimizer(hyper, weights)
        self.resume(hyper, optimizer, weights, state)
        return optimizer

    @placed
    def resume(
        self,
        hyper: spec.Optimizer,
        optimizer: Any,
        names: Any,
        state: Arrays,
    ) -> None:
        """Let the optimizer go on from `state`."""
        slots = self.slots(hyper, optimizer, names)
        resume(optimizer.t, slots, state)

    @placed
    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        theta = self.tensors(weights)
        native = optimizers.optimizer(optimizer, theta)
        return self.state(optimizer, native, weights)

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
        return arrays(theta), self.state(optimizer, native, theta)

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        return spec.Support("native")

    def fit(
        self, net: spec.Sequential, data: Samples, loop: spec.Loop
    ) -> spec.TrainingRun:
        loop.outside, loop.inside = self.users_settings(), self.scope
        return self.fitted(net, data, loop)

    @placed
    def fitted(
        self, net: spec.Sequential, data: Samples, loop: spec.Loop
    ) -> spec.TrainingRun:
        hyper, loss = loop.training.optimizer, loop.training.loss
        loop.tensor = self.tensor
        first = loop.state
        x, y = (spec.samples(a, self.tensor) for a in data)
        if loop.plain:
            model = self.model(net, first.weights)
            theta = self.theta(model)
            rule = self.optimizer(hyper, theta, first.optimizer)
            loop.weights = lambda: self.weights(model)
            loop.optimizer = lambda: self.state(hyper, rule, net.shapes)
            self.training.fit(model, loss, rule, x, y, loop)
            return loop.result()
        key = self.program_key(net, loop.training)
        make = partial(self.program, net, loop)
        with self.fast.kept.lent(key, make) as program:
            model, rule = program.model, program.optimizer
            theta, read = self.theta(model), program.read
            for name, v in theta.items():
                v.assign(first.weights[name])
            self.resume(hyper, rule, net.shapes, first.optimizer)
            loop.weights = lambda: {
                n: read(v) for n, v in theta.items()
            }
            of_run = hyper, rule, net.shapes
            loop.optimizer = lambda: self.state(*of_run, read)
            self.fast.fit(program, x, y, loop, self.place)
            return loop.result()

    def program_key(
        self, net: spec.Sequential, training: spec.Training
    ) -> tuple[Any, ...]:
        """Return all that a compiled program depends on, but shapes."""
        rule = training.optimizer.with_lr(0.0)  # set in each step
        of_run = rule, training.loss, training.l2
        return self.name, self.place, self.dtype, net, *of_run

    @placed
    def program(self, net: spec.Sequential, loop: spec.Loop) -> Any:
        """Return a program with a model and an optimizer of its own."""
        model, first = self.model(net, loop.state.weights), loop.state
        loss, l2 = loop.training.loss, loop.training.l2
        hyper, theta = loop.training.optimizer, self.theta(model)
        rule = self.optimizer(hyper, theta, first.optimizer)
        return self.fast.Program(model, loss, rule, l2)

    def theta(self, model: Any) -> dict[str, tf.Variable]:
        """Return the model's variables, by the weights' names."""
        return model.weights()
