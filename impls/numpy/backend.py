"""The contract for NumPy: nothing to convert, only to copy.

Quirks: NumPy alone warns of overflow and of 0/0; the contract answers
inf and NaN silently, as the other frameworks do. It has the CPU only.
"""

from functools import partial
from typing import Any

import numpy as np

from tetrapla import spec
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.contract import Array, Arrays, Samples
from tetrapla.spec.threefry import Key

from . import activations, fast, losses, mixed, optimizers, training
from .layers import Dense, Sequential, sequential

silently = np.errstate(all="ignore")


def copies(arrays: Arrays) -> Arrays:
    return {name: np.array(a) for name, a in arrays.items()}


def state_of(optimizer: optimizers.Optimizer) -> Arrays:
    """Return the canonical state: "t", then "slot/weight"."""
    state: Arrays = {"t": np.array(optimizer.t, np.int64)}
    for slot in optimizer.hyper.slots:
        for name, s in optimizer.slots.items():
            state[f"{slot}/{name}"] = np.array(s[slot])
    return state


def with_state(
    hyper: spec.Optimizer, weights: Arrays, state: Arrays
) -> optimizers.Optimizer:
    """Return an optimizer that goes on from `state`, in its arrays."""
    optimizer = optimizers.optimizer(hyper, {})  # no first slots
    optimizer.weights, optimizer.t = weights, int(state["t"])
    for name in weights:
        optimizer.slots[name] = {
            slot: state[f"{slot}/{name}"] for slot in hyper.slots
        }
    return optimizer


class Backend:
    """NumPy, on the CPU."""

    fast: Any = fast

    def __init__(self, device: str = "cpu", dtype: str = "float32"):
        if device != "cpu":
            raise BackendUnavailableError(
                f"backend 'numpy' has no device {device!r}; it has cpu"
            )
        self.device = device
        self.dtype = dtype
        self.dense = Dense
        if spec.precision(dtype).mixed:
            self.dense, self.fast = mixed.Dense, None

    def model(
        self, net: spec.Sequential, weights: Arrays
    ) -> Sequential:
        """Return the layers that answer and train."""
        return sequential(net, weights, self.dense)

    def info(self) -> dict[str, str]:
        return {"numpy": np.__version__, "devices": "cpu"}

    def build(
        self, net: spec.Sequential, weights: Arrays
    ) -> Sequential:
        return self.model(net, copies(weights))

    def weights(self, model: Sequential) -> Arrays:
        if not isinstance(model, Sequential):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        return copies(model.weights())

    @silently
    def activation(
        self, activation: spec.Activation, z: Array
    ) -> Array:
        return np.array(activations.activation(activation, z))

    @silently
    def activation_gradient(
        self, activation: spec.Activation, z: Array, upstream: Array
    ) -> Array:
        dz = activations.activation_gradient(activation, z, upstream)
        return np.array(dz)

    @silently
    def forward(
        self,
        net: spec.Sequential,
        weights: Arrays,
        x: Array,
        *,
        key: Key | None = None,
    ) -> Array:
        return np.array(self.model(net, weights)(x, key))

    @silently
    def loss(self, loss: spec.Loss, outputs: Array, y: Array) -> Any:
        return losses.loss(loss, outputs, y)

    @silently
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
        model = self.model(net, weights)
        given = training.loss_and_gradients(model, loss, x, y, key)
        return spec.LossAndGradients(*given)

    @silently
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
        model = self.model(net, weights)
        return copies(training.trace(model, loss, x, y, key))

    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        return state_of(optimizers.optimizer(optimizer, weights))

    @silently
    def update(
        self,
        optimizer: spec.Optimizer,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
    ) -> tuple[Arrays, Arrays]:
        theta = copies(weights)
        native = with_state(optimizer, theta, copies(state))
        native.step(gradients)
        return theta, state_of(native)

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        return spec.Support("native")

    def fit(
        self, net: spec.Sequential, data: Samples, loop: spec.Loop
    ) -> spec.TrainingRun:
        own = copies if loop.plain else dict  # fast.py has its own
        model = self.model(net, own(loop.state.weights))
        optimizer = with_state(
            loop.training.optimizer,
            model.weights(),
            own(loop.state.optimizer),
        )
        loop.weights = lambda: self.weights(model)
        loop.optimizer = lambda: state_of(optimizer)
        loop.outside = partial(np.errstate, **np.geterr())
        loop.inside = partial(np.errstate, all="ignore")
        with np.errstate(all="ignore"):
            fit: Any = training.fit if loop.plain else self.fast.fit
            fit(model, loop.training.loss, optimizer, *data, loop)
        return loop.result()
