"""The contract for Keras on TensorFlow: the adapter of `tf`.

Quirk: keras.backend is chosen once, by KERAS_BACKEND or a file of the
user's; where it is not TensorFlow, nothing here can run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tetrapla import spec
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.contract import Array, Arrays

from .. import backend
from . import (
    activations,
    convert,
    fast,
    layers,
    losses,
    optimizers,
    settings,
    training,
)


class Backend(backend.Backend):
    """TensorFlow by calling Keras, on one device."""

    name = "tf.keras"
    activations = activations
    losses = losses
    training = training
    fast = fast
    users_settings = staticmethod(settings.users_settings)

    def __init__(self, device: str = "cpu", dtype: str = "float32"):
        framework = keras.backend.backend()
        if framework != "tensorflow":
            raise BackendUnavailableError(
                f"backend 'tf.keras' needs Keras on TensorFlow, and "
                f"Keras runs on {framework!r}: set KERAS_BACKEND="
                "tensorflow before keras is imported"
            )
        super().__init__(device, dtype)
        kinds = spec.precision(dtype)
        self.of_weights = kinds.weights
        self.policy = f"mixed_{kinds.data}" if kinds.mixed else None

    @contextmanager
    def scope(self) -> Iterator[None]:
        with super().scope(), settings.settings(*settings.OURS):
            yield

    def info(self) -> dict[str, str]:
        return {"keras": keras.__version__} | super().info()

    @backend.placed
    def build(
        self, net: spec.Sequential, weights: Arrays
    ) -> keras.Sequential:
        tensors = self.tensors(weights)
        return layers.sequential(net, tensors, policy=self.policy)

    @backend.placed
    def model(
        self, net: spec.Sequential, weights: Arrays
    ) -> keras.Sequential:
        tensors = self.tensors(weights)
        return layers.sequential(net, tensors, True, self.policy)

    def outputs(
        self, model: keras.Sequential, x: tf.Tensor, key: Any
    ) -> tf.Tensor:
        training.set_key(model, key)
        return model(x)

    @backend.placed
    def weights(self, model: keras.Model) -> Arrays:
        if not isinstance(model, keras.Model):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        return backend.arrays(layers.parameters(model))

    def network(self, model: keras.Model) -> spec.Sequential:
        return convert.network(model)

    @backend.placed
    def optimizer_state(
        self,
        hyper: spec.Optimizer,
        model: keras.Model,
        native: keras.Optimizer,
    ) -> Arrays:
        theta = layers.parameters(model)
        rule = type(optimizers.RULES[hyper.name](hyper))
        if type(native) is not rule:
            raise InvalidInputError(
                f"optimizer must be a {rule.__name__}, as spec is, "
                f"got {type(native).__name__}"
            )
        if not native.built:  # nothing has happened yet
            return self.init_optimizer(hyper, self.weights(model))
        its = [id(v) for v in native._trainable_variables]
        if its != [id(v) for v in theta.values()]:
            raise InvalidInputError(
                "the optimizer is not of this model, or not of all its "
                "weights"
            )
        return self.state(hyper, native, theta)

    @backend.placed
    def to_optimizer(
        self, hyper: spec.Optimizer, model: keras.Model, state: Arrays
    ) -> keras.Optimizer:
        return self.optimizer(hyper, layers.parameters(model), state)

    def theta(
        self, model: keras.Sequential
    ) -> dict[str, keras.Variable]:
        return layers.parameters(model)

    def slots(
        self, hyper: spec.Optimizer, optimizer: Any, names: Any
    ) -> dict[str, dict[str, keras.Variable]]:
        own = optimizers.SLOTS[hyper.name]
        return {
            slot: dict(
                zip(names, getattr(optimizer, own[slot]), strict=True)
            )
            for slot in hyper.slots
        }

    def state(
        self,
        hyper: spec.Optimizer,
        optimizer: Any,
        names: Any,
        read: Callable[[Any], Array] = backend.array,
    ) -> Arrays:
        slots = self.slots(hyper, optimizer, names)
        state = backend.state_of(optimizer.iterations, slots, read)
        return laid_out(hyper, state)

    @backend.placed
    def optimizer(
        self, hyper: spec.Optimizer, weights: Any, state: Arrays
    ) -> keras.Optimizer:
        native = optimizers.optimizer(hyper, list(weights.values()))
        self.resume(hyper, native, weights, state)
        return native

    @backend.placed
    def resume(
        self,
        hyper: spec.Optimizer,
        optimizer: Any,
        names: Any,
        state: Arrays,
    ) -> None:
        """Let the optimizer go on from `state`, at this rate."""
        optimizer.learning_rate = hyper.lr
        slots = self.slots(hyper, optimizer, names)
        state = laid_out(hyper, state)
        backend.resume(optimizer.iterations, slots, state)

    @backend.placed
    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        shapes = tuple(w.shape for w in weights.values())
        native, _ = built(optimizer, shapes, self.of_weights)
        return self.state(optimizer, native, weights)

    @backend.placed
    def update(
        self,
        optimizer: spec.Optimizer,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
    ) -> tuple[Arrays, Arrays]:
        shapes = tuple(w.shape for w in weights.values())
        rule = optimizer.with_lr(0.0)  # whatever the rate is now
        native, theta = kept(rule, shapes, self.of_weights, self.place)
        for variable, w in zip(theta, weights.values(), strict=True):
            variable.assign(w)
        self.resume(optimizer, native, weights, state)
        native.apply([tf.constant(gradients[n]) for n in weights])
        new = dict(zip(weights, theta, strict=True))
        after = self.state(optimizer, native, weights)
        return backend.arrays(new), after

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        if isinstance(what, spec.Loss):
            return losses.supports(what)
        return optimizers.supports(what)


def built(
    hyper: spec.Optimizer, shapes: tuple[Any, ...], dtype: str
) -> tuple[keras.Optimizer, list[keras.Variable]]:
    """Return an optimizer at its start, and its weights, zeros."""
    theta = [
        keras.Variable(np.zeros(shape), dtype=dtype, name=f"theta_{i}")
        for i, shape in enumerate(shapes)
    ]
    return optimizers.optimizer(hyper, theta), theta


@lru_cache(maxsize=8)
def kept(
    rule: spec.Optimizer, shapes: Any, dtype: str, place: str
) -> tuple[keras.Optimizer, list[keras.Variable]]:
    """Return the same again: to build one is as slow as a step.

    The caller gives it weights, a state and a rate before each use. It
    is of the device where it is made.
    """
    return built(rule, shapes, dtype)


def laid_out(hyper: spec.Optimizer, state: Arrays) -> Arrays:
    """Return the state as Keras has it, or back."""
    if hyper.name != "sgd":
        return state
    # SGD's velocity is what is added; 0 - 0 is 0, and no -0
    return {n: a if n == "t" else 0 - a for n, a in state.items()}
