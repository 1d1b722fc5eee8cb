"""The contract for Flax NNX and Optax: the adapter of `jax`.

Quirks: Optax raises floats to a step that is int32, which jax's strict
dtype promotion refuses: the scope is one of the standard promotion.
"""

from contextlib import contextmanager
from typing import Any

import flax
import jax
import optax

from tetrapla import spec
from tetrapla.spec import InvalidInputError
from tetrapla.spec.contract import Arrays

from .. import backend
from . import layers, losses, optimizers, training


class Backend(backend.Backend):
    """JAX by calling Flax NNX and Optax, on one device."""

    name = "jax.flax"
    optimizers = optimizers
    training = training
    differentiate = staticmethod(training.loss_and_gradients)

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
        return layers.sequential(net, self.tensors(weights))

    def model(
        self, net: spec.Sequential, weights: Arrays
    ) -> layers.Sequential:
        tensors = self.tensors(weights)
        return layers.sequential(net, tensors, shared=True)

    def outputs(
        self, model: layers.Sequential, x: Any, key: Any
    ) -> Any:
        return training.forward(model, x, key)

    @backend.scoped
    def weights(self, model: layers.Sequential) -> Arrays:
        if not isinstance(model, layers.Sequential):
            raise InvalidInputError(
                "model must be what build returned, "
                f"got {type(model).__name__}"
            )
        named = layers.parameters(model)
        return backend.arrays({n: p[...] for n, p in named.items()})

    def trained(
        self,
        model: layers.Sequential,
        state: optimizers.State,
        x: jax.Array,
        y: jax.Array,
        loop: spec.Loop,
    ) -> optimizers.State:
        hyper, loss = loop.training.optimizer, loop.training.loss
        native = optimizers.of_model(hyper, model, state)
        training.fit(model, loss, native, x, y, loop)
        return optimizers.state_of(hyper, model, native)

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        if isinstance(what, spec.Loss):
            return losses.supports(what)
        return optimizers.supports(what)
