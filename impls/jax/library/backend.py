"""The contract for Flax NNX and Optax: the adapter of `jax`.

Quirks: Optax raises floats to a step that is int32, which jax's strict
dtype promotion refuses: the scope is one of the standard promotion.
"""

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import Any

import flax
import jax
import optax
from flax import nnx

from tetrapla import spec
from tetrapla.spec import InvalidInputError
from tetrapla.spec.contract import Arrays

from .. import backend
from . import convert, fast, layers, losses, optimizers, training


class Backend(backend.Backend):
    """JAX by calling Flax NNX and Optax, on one device."""

    name = "jax.flax"
    optimizers = optimizers
    training = training
    fast = fast
    differentiate = staticmethod(training.loss_and_gradients)
    fit_rates: Any = None  # the library's optimizer has one rate
    half: Any = None  # what modules compute in beside float32 weights

    def __init__(self, device: str = "cpu", dtype: str = "float32"):
        super().__init__(device, dtype)
        kinds = spec.precision(dtype)
        if kinds.mixed:
            self.half = spec.numpy_dtype(kinds.data)

    @contextmanager
    def scope(self) -> Any:
        promotion = jax.numpy_dtype_promotion("standard")
        with super().scope(), promotion:
            yield

    def info(self) -> dict[str, str]:
        flax_and_optax = {
            "flax": flax.__version__,
            "optax": optax.__version__,
        }
        return flax_and_optax | super().info()

    @backend.scoped
    def build(
        self, net: spec.Sequential, weights: Arrays
    ) -> layers.Sequential:
        tensors = self.tensors(weights)
        return layers.sequential(net, tensors, dtype=self.half)

    def model(
        self, net: spec.Sequential, weights: Arrays
    ) -> layers.Sequential:
        tensors = self.tensors(weights)
        return layers.sequential(net, tensors, True, self.half)

    def outputs(
        self, model: layers.Sequential, x: Any, key: Any
    ) -> Any:
        return training.forward(model, x, key)

    @backend.scoped
    def weights(self, model: nnx.Module) -> Arrays:
        if not isinstance(model, nnx.Module):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        named: dict[str, Any] = {}
        place = -1
        for leaf in layers.leaves(model):
            place += isinstance(leaf, nnx.Linear | nnx.Dropout)
            if isinstance(leaf, nnx.Linear):
                named[f"{place}.weight"] = leaf.kernel[...]
                if leaf.bias is None:
                    raise InvalidInputError("a Linear without a bias")
                named[f"{place}.bias"] = leaf.bias[...]
        return backend.arrays(named)

    def network(self, model: nnx.Module) -> spec.Sequential:
        return convert.network(model)

    @backend.scoped
    def optimizer_state(
        self,
        hyper: spec.Optimizer,
        model: nnx.Sequential,
        native: nnx.Optimizer,
    ) -> Arrays:
        check_flat(model)
        kept = optimizers.trees(hyper, native.opt_state)
        missing = [slot for slot, tree in kept.items() if tree is None]
        if missing:
            raise InvalidInputError(
                f"the optimizer has no {missing[0]!r}, {hyper} has"
            )
        state = optimizers.state_of(hyper, model, native)
        slots, names = hyper.slots, layers.parameters(model)
        return backend.state_of(state, slots, names, state["t"])

    @backend.scoped
    def to_optimizer(
        self,
        hyper: spec.Optimizer,
        model: nnx.Sequential,
        state: Arrays,
    ) -> nnx.Optimizer:
        check_flat(model)
        names = layers.parameters(model)
        ours = backend.native_state(state, hyper.slots, names)
        rule = optimizers.at_own_rate(hyper)
        return optimizers.of_model(hyper, model, ours, rule)

    def running(
        self,
        hyper: spec.Optimizer,
        model: layers.Sequential,
        state: optimizers.State,
    ) -> tuple[tuple[Any, ...], Callable[[], optimizers.State]]:
        rule = optimizers.at_any_rate(hyper)
        native = optimizers.of_model(hyper, model, state, rule)
        now = partial(optimizers.state_of, hyper, model, native)
        return (native,), now

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        if isinstance(what, spec.Loss):
            return losses.supports(what)
        return optimizers.supports(what)


def check_flat(model: Any) -> None:
    """Refuse a model whose optimizer's state has another shape."""
    flat = isinstance(model, nnx.Sequential)
    if flat and list(model.layers) == layers.leaves(model):
        return
    raise InvalidInputError(
        "an optimizer is read and made for a flat nnx.Sequential; got "
        f"a {type(model).__name__} with modules inside modules"
    )
