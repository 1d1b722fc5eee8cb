"""The contract for torch.nn and torch.optim: the adapter of `torch`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetrapla import spec
from tetrapla.spec import InvalidInputError
from tetrapla.spec.contract import Array, Arrays

from .. import backend
from . import (
    activations,
    convert,
    fast,
    layers,
    losses,
    optimizers,
    training,
)


class Backend(backend.Backend):
    """PyTorch by calling its library, on one device."""

    name = "torch.nn"
    activations = activations
    losses = losses
    training = training
    fast = fast
    fast_on_gpu = fast
    fit_rates: Any = None  # the library's optimizer has one rate

    @backend.scoped
    def build(
        self, net: spec.Sequential, weights: Arrays
    ) -> nn.Sequential:
        return layers.sequential(net, self.tensors(weights))

    def model(
        self, net: spec.Sequential, weights: Arrays
    ) -> nn.Sequential:
        tensors = self.tensors(weights)
        return layers.sequential(net, tensors, shared=True)

    def outputs(
        self, model: nn.Sequential, x: Tensor, key: Tensor | None
    ) -> Tensor:
        training.set_key(model, key)
        return training.outputs_of(model, x)

    @backend.scoped
    def weights(self, model: nn.Module) -> Arrays:
        if not isinstance(model, nn.Module):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        named = layers.parameters(model)
        return self.laid_out(backend.arrays(named))

    def network(self, model: nn.Module) -> spec.Sequential:
        return convert.network(model)

    @backend.scoped
    def optimizer_state(
        self,
        hyper: spec.Optimizer,
        model: nn.Module,
        native: torch.optim.Optimizer,
    ) -> Arrays:
        names = layers.parameters(model)
        state = self.init_optimizer(hyper, self.weights(model))
        check_of_model(hyper, names, native)
        for name, theta in names.items():
            kept = native.state.get(theta, {})
            if "step" in kept:
                state["t"] = np.array(int(kept["step"]), np.int64)
            for slot, own in self.slots(hyper).items():
                if kept and own not in kept:
                    raise InvalidInputError(
                        f"the optimizer has no {own!r}, {hyper} has"
                    )
                if kept.get(own) is not None:
                    value = transposed(backend.array(kept[own]))
                    state[f"{slot}/{name}"] = value
        return state

    @backend.scoped
    def to_optimizer(
        self, hyper: spec.Optimizer, model: nn.Module, state: Arrays
    ) -> torch.optim.Optimizer:
        theta = layers.parameters(model)
        return self.optimizer(hyper, theta, self.laid_out(state))

    def counted(self, optimizer: torch.optim.Optimizer, t: Any) -> Any:
        return t  # torch's SGD counts no steps

    def theta(self, model: nn.Sequential) -> dict[str, Any]:
        return layers.parameters(model)

    def laid_out(self, state: Arrays) -> Arrays:
        return {name: transposed(a) for name, a in state.items()}

    def slots(self, hyper: spec.Optimizer) -> dict[str, str]:
        names = optimizers.SLOTS[hyper.name]
        return {slot: names[slot] for slot in hyper.slots}

    def optimizer(
        self,
        hyper: spec.Optimizer,
        weights: dict[str, Tensor],
        state: Arrays,
    ) -> torch.optim.Optimizer:
        native = optimizers.optimizer(hyper, weights)
        slots = {
            i: {"step": torch.tensor(float(state["t"]))}
            | {
                own: self.tensor(state[f"{slot}/{name}"])
                for slot, own in self.slots(hyper).items()
            }
            for i, name in enumerate(weights)
        }
        native.load_state_dict(native.state_dict() | {"state": slots})
        return native

    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        # torch makes most of its state in the first step
        state: Arrays = {"t": np.array(0, np.int64)}
        for slot, first in optimizer.slots.items():
            for name, w in weights.items():
                state[f"{slot}/{name}"] = np.full_like(w, first)
        return state

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        if isinstance(what, spec.Loss):
            return spec.Support("native")
        return optimizers.supports(what)


def check_of_model(
    hyper: spec.Optimizer, names: dict[str, Tensor], native: Any
) -> None:
    """Refuse an optimizer of another rule, or of other weights."""
    rule = type(optimizers.optimizer(hyper, names))
    if type(native) is not rule:
        raise InvalidInputError(
            f"optimizer must be a {rule.__name__}, as spec is, "
            f"got {type(native).__name__}"
        )
    groups = native.param_groups
    its = {id(theta) for group in groups for theta in group["params"]}
    if any(id(theta) not in its for theta in names.values()):
        raise InvalidInputError("the optimizer is not of this model")


def transposed(a: Array) -> Array:
    """Return a matrix from torch's layout, or in it; else as it is."""
    if a.ndim != 2:
        return a
    turned = np.empty(a.shape[::-1], a.dtype)
    for i in range(0, len(a), 64):  # rows that stay in the cache
        turned[:, i : i + 64] = a[i : i + 64].T
    return turned
