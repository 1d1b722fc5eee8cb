"""The contract for torch: NumPy in, tensors inside, NumPy out.

Quirks: `Tensor.numpy` and `from_numpy` share memory, so both ways copy.
Random words are int64 here (random.py), so a uint32 key becomes one.
The user may be inside no_grad, inference_mode or autocast: each method
runs in modes of its own (`scope`), outside which nothing changes.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tetrapla import spec
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.contract import Array, Arrays, Data, Samples
from tetrapla.spec.threefry import Key

from . import (
    activations,
    fast,
    graphs,
    losses,
    mixed,
    modes,
    optimizers,
    sweep,
    training,
)
from .layers import Dense, Sequential, sequential


def array(tensor: Tensor) -> Array:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # which .numpy() has not
        bits = tensor.view(torch.int16).numpy()
        return bits.view(spec.numpy_dtype("bfloat16")).copy()
    return tensor.numpy().copy()


def arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: array(t) for name, t in tensors.items()}


def state_of(
    optimizer: torch.optim.Optimizer, slots: Any, names: Any, t: Any
) -> Arrays:
    """Return the canonical state: "t", then "slot/weight"."""
    (group,) = optimizer.param_groups
    state: Arrays = {"t": np.array(t, np.int64)}
    for slot, native in slots.items():
        for name, theta in zip(names, group["params"], strict=True):
            value = optimizer.state[theta][native]
            state[f"{slot}/{name}"] = array(value)
    return state


def stacked(every: list[Arrays]) -> Arrays:
    """Return the arrays of all, stacked by name."""
    return {n: np.stack([a[n] for a in every]) for n in every[0]}


def devices() -> dict[str, torch.device]:
    """Return the devices by tetrapla's names."""
    there = {"cpu": torch.device("cpu")}
    gpus = range(torch.cuda.device_count())
    if gpus:
        there["gpu"] = torch.device("cuda")
    return there | {f"gpu:{i}": torch.device("cuda", i) for i in gpus}


def scoped(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method with gradients on and nothing lowered unasked."""

    @wraps(method)
    def call(self: "Backend", *args: Any, **kwargs: Any) -> Any:
        with self.scope():
            return method(self, *args, **kwargs)

    return call


class Backend:
    """PyTorch, on one device."""

    name = "torch"
    activations: Any = activations
    losses: Any = losses
    training: Any = training
    fast: Any = fast
    fast_on_gpu: Any = graphs
    dense: Any = Dense

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
        if self.place.type == "cuda":
            self.fast = self.fast_on_gpu

    def scope(self) -> AbstractContextManager[None]:
        """Return the modes in which this backend computes."""
        off = {"cpu": False, "cuda": False}
        gpu = self.place.type == "cuda"
        exact = partial(modes.exact, gpu, self.dtype == "tf32")
        return modes.within(False, True, off, exact, gpu)

    def info(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "devices": ", ".join(devices()),
            "threads": str(torch.get_num_threads()),
            "float32 products on a GPU": modes.single(),
            "deterministic": modes.deterministic(self.place),
            "flushes subnormals": flushes_subnormals(),
        }

    def tensor(self, given: Array) -> Tensor:
        if given.dtype == np.uint32:
            given = given.astype(np.int64)
        if given.dtype.name == "bfloat16":
            bits = torch.tensor(given.view(np.int16), device=self.place)
            return bits.view(torch.bfloat16)
        return torch.tensor(given, device=self.place)

    def tensors(self, given: Arrays) -> dict[str, Tensor]:
        return {name: self.tensor(a) for name, a in given.items()}

    def key(self, key: Key | None) -> Tensor | None:
        return None if key is None else self.tensor(key)

    @scoped
    def build(self, net: spec.Sequential, weights: Arrays) -> Any:
        return self.model(net, weights)

    def model(self, net: spec.Sequential, weights: Arrays) -> Any:
        """Return the module that answers and trains."""
        return sequential(net, self.tensors(weights), self.dense)

    @scoped
    def weights(self, model: Any) -> Arrays:
        if not isinstance(model, Sequential):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        return arrays(model.weights())

    @scoped
    def activation(
        self, activation: spec.Activation, z: Array
    ) -> Array:
        g = self.activations.activation
        return array(g(activation, self.tensor(z)))

    @scoped
    def activation_gradient(
        self, activation: spec.Activation, z: Array, upstream: Array
    ) -> Array:
        dz = self.activations.activation_gradient(
            activation, self.tensor(z), self.tensor(upstream)
        )
        return array(dz)

    @scoped
    def forward(
        self,
        net: spec.Sequential,
        weights: Arrays,
        x: Array,
        *,
        key: Key | None = None,
    ) -> Array:
        model = self.model(net, weights)
        with torch.no_grad():
            given = self.tensor(x), self.key(key)
            return array(self.outputs(model, *given))

    def outputs(self, model: Any, x: Tensor, key: Tensor | None) -> Any:
        """Return the model's outputs; with a key, dropout is on."""
        return model(x, key)

    @scoped
    def loss(self, loss: spec.Loss, outputs: Array, y: Array) -> Any:
        value = self.losses.loss(
            loss, self.tensor(outputs), self.tensor(y)
        )
        return array(value)[()]  # a scalar where it has no axes

    @scoped
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
            self.tensor(x),
            self.tensor(y),
            self.key(key),
        )
        return spec.LossAndGradients(
            array(value)[()], arrays(dw), array(dx)
        )

    @scoped
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
            self.tensor(x),
            self.tensor(y),
            self.key(key),
        )
        return arrays(stages)

    def slots(self, hyper: spec.Optimizer) -> dict[str, str]:
        """Return the slots, and what the optimizer calls them."""
        return {slot: slot for slot in hyper.slots}

    def optimizer(
        self,
        hyper: spec.Optimizer,
        weights: dict[str, Tensor],
        state: Arrays,
    ) -> torch.optim.Optimizer:
        """Return an optimizer that goes on from `state`."""
        optimizer = optimizers.optimizer(hyper, weights)
        optimizer.param_groups[0]["t"] = int(state["t"])
        for name, theta in weights.items():
            for slot in hyper.slots:
                value = self.tensor(state[f"{slot}/{name}"])
                optimizer.state[theta][slot] = value
        return optimizer

    @scoped
    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        theta = self.tensors(weights)
        native = optimizers.optimizer(optimizer, theta)
        slots, t = self.slots(optimizer), self.counted(native, 0)
        return state_of(native, slots, weights, t)

    @scoped
    def update(
        self,
        optimizer: spec.Optimizer,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
    ) -> tuple[Arrays, Arrays]:
        theta = self.tensors(weights)
        for name, weight in theta.items():
            weight.grad = self.tensor(gradients[name])
        native = self.optimizer(optimizer, theta, state)
        native.step()
        slots = self.slots(optimizer)
        t = self.counted(native, state["t"] + 1)
        return arrays(theta), state_of(native, slots, weights, t)

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        return spec.Support("native")

    def fit(
        self, net: spec.Sequential, data: Samples, loop: spec.Loop
    ) -> spec.TrainingRun:
        loop.outside, loop.inside = modes.users_modes(), self.scope
        loop.weights = lambda: self.weights(model)
        loop.tensor = self.tensor
        hyper, first = loop.training.optimizer, loop.state
        with self.scope():
            model = self.model(net, first.weights)
            optimizer = self.optimizer(
                hyper, self.theta(model), self.laid_out(first.optimizer)
            )
            x, y = (spec.samples(a, self.tensor) for a in data)
            loss, slots = loop.training.loss, self.slots(hyper)

            def state() -> Arrays:
                steps = loop.state.step - first.step
                t = first.optimizer["t"] + steps
                t = self.counted(optimizer, t)
                now = state_of(optimizer, slots, net.shapes, t)
                return self.laid_out(now)

            loop.optimizer = state
            fit = self.training.fit if loop.plain else self.fast.fit
            fit(model, loss, optimizer, x, y, loop)
            return loop.result()

    @scoped
    def fit_rates(
        self, net: spec.Sequential, data: Data, loops: spec.Loops
    ) -> list[spec.TrainingRun]:
        hyper, names = loops.training.optimizer, net.shapes
        starts = [loop.state for loop in loops.each]
        model = self.model(net, starts[0].weights)
        theta = self.tensors(stacked([s.weights for s in starts]))
        native = optimizers.optimizer(hyper, theta)  # at its start

        def weights(i: int) -> Arrays:
            return {name: array(w[i]) for name, w in theta.items()}

        def optimizer(i: int) -> Arrays:
            slots, t = self.slots(hyper), loops.each[i].state.step
            every = state_of(native, slots, names, t)
            return {n: a[i] if a.ndim else a for n, a in every.items()}

        for i, loop in enumerate(loops.each):
            loop.weights = partial(weights, i)
            loop.optimizer = partial(optimizer, i)
            loop.tensor = self.tensor
        x, y = self.tensor(data[0]), self.tensor(data[1])
        loss = loops.training.loss
        sweep.fit(model, loss, native, theta, x, y, loops)
        return [loop.result() for loop in loops.each]

    def counted(self, optimizer: torch.optim.Optimizer, t: Any) -> Any:
        """Return the optimizer's own t, which must be this one."""
        return optimizer.param_groups[0]["t"]

    def theta(self, model: Any) -> dict[str, Tensor]:
        """Return the model's parameters, by the weights' names."""
        return model.weights()

    def laid_out(self, state: Arrays) -> Arrays:
        """Return a state as the parameters lie, or back."""
        return state


def flushes_subnormals() -> str:
    smallest = torch.tensor(2.0**-149, device="cpu")
    return "no" if (smallest * 1).item() > 0 else "yes"
