"""The contract for jax: NumPy in, jax arrays inside, NumPy out.

Quirks: float64 exists only inside jax.enable_x64, and matrix products
on recent GPUs lose bits unless asked not to; each method runs in a
scope of its own (`scope`), outside which nothing has changed.
"""

from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
)
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tetrapla import spec
from tetrapla.spec import BackendUnavailableError, InvalidInputError
from tetrapla.spec.contract import Array, Arrays, Data, Samples
from tetrapla.spec.threefry import Key

from . import fast, mixed, optimizers, start, sweep, training
from .layers import Dense, Sequential, sequential

config: Any = jax.config  # its attributes are made at run time

differentiate = jax.jit(
    training.loss_and_gradients, static_argnames="loss"
)


@jax.jit
def forward(model: Sequential, x: Any, key: Any) -> Any:
    return model(x, key)


@partial(jax.jit, static_argnames="optimizer")
def step(
    optimizer: optimizers.Optimizer,
    theta: Any,
    g: Any,
    state: Any,
    eta: float,
) -> Any:
    return optimizer.step(theta, g, state, eta)


def arrays(tensors: Any) -> Arrays:
    return {name: np.array(t) for name, t in tensors.items()}


def state_of(
    state: optimizers.State, slots: Any, names: Any, t: Any
) -> Arrays:
    """Return the canonical state: "t", then "slot/weight"."""
    canonical: Arrays = {"t": np.array(t, np.int64)}
    for slot in slots:
        for name in names:
            s = state["slots"][name]
            canonical[f"{slot}/{name}"] = np.array(s[slot])
    return canonical


def native_state(
    state: Arrays, slots: Any, names: Any
) -> optimizers.State:
    """Return the optimizer's own state, from the canonical one."""
    own = {
        n: {s: jnp.array(state[f"{s}/{n}"]) for s in slots}
        for n in names
    }
    # 32 bits may be all there are, and t must have room to count on; by
    # then 1 - beta^t is 1
    t = jnp.uint32(min(int(state["t"]), 2**32 - 2**24))
    return {"t": t, "slots": own}


def stacked(trees: list[Any]) -> Any:
    """Return one tree, each of its leaves those of all, stacked."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def devices() -> dict[str, jax.Device]:
    """Return the devices by tetrapla's names."""
    start.start()
    there = {}
    for platform in ("cpu", "gpu"):
        try:
            found = jax.devices(platform)
        except RuntimeError:  # jax's word for: no such platform
            continue
        there[platform] = found[0]
    if "gpu" in there:
        there |= {f"gpu:{i}": each for i, each in enumerate(found)}
    return there


GUARDS: Any = (  # what they forbid is what a backend is for
    jax.transfer_guard_host_to_device,
    jax.transfer_guard_device_to_device,
    jax.transfer_guard_device_to_host,
)


@contextmanager
def settings(
    x64: bool,
    device: Any,
    matmul_precision: str | None,
    dtype_promotion: str,
    rank_promotion: str,
    transfers: tuple[str | None, ...],
) -> Iterator[None]:
    """Set what jax depends on beside a function's arguments."""
    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(x64))
        stack.enter_context(jax.default_device(device))
        precision = jax.default_matmul_precision(matmul_precision)
        stack.enter_context(precision)
        dtypes = jax.numpy_dtype_promotion(dtype_promotion)
        stack.enter_context(dtypes)
        ranks = jax.numpy_rank_promotion(rank_promotion)
        stack.enter_context(ranks)
        for guard, level in zip(GUARDS, transfers, strict=True):
            stack.enter_context(guard(level))
        yield


def users_settings() -> Callable[[], AbstractContextManager[None]]:
    """Return a scope of the settings as they are now."""
    return partial(
        settings,
        config.jax_enable_x64,
        config.jax_default_device,
        config.jax_default_matmul_precision,
        config.jax_numpy_dtype_promotion,
        config.jax_numpy_rank_promotion,
        (
            config.jax_transfer_guard_host_to_device,
            config.jax_transfer_guard_device_to_device,
            config.jax_transfer_guard_device_to_host,
        ),
    )


def scoped(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method in its backend's scope."""

    @wraps(method)
    def call(self: "Backend", *args: Any, **kwargs: Any) -> Any:
        with self.scope():
            return method(self, *args, **kwargs)

    return call


class Backend:
    """JAX, on one device."""

    name = "jax"
    optimizers: Any = optimizers
    training: Any = training
    fast: Any = fast
    differentiate: Any = staticmethod(differentiate)
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

    @contextmanager
    def scope(self) -> Any:
        with ExitStack() as stack:
            stack.enter_context(jax.enable_x64(self.dtype == "float64"))
            stack.enter_context(jax.default_device(self.place))
            lower = self.dtype == "tf32"
            precision = "tensorfloat32" if lower else "highest"
            stack.enter_context(jax.default_matmul_precision(precision))
            stack.enter_context(jax.numpy_rank_promotion("allow"))
            for guard in GUARDS:
                stack.enter_context(guard("allow"))
            yield

    def info(self) -> dict[str, str]:
        with self.scope():
            smallest = jnp.float32(2.0**-126)
            flushed = float(smallest * jnp.float32(0.5)) == 0
        about = {
            "jax": jax.__version__,
            "devices": ", ".join(devices()),
            "x64 outside tetrapla": str(config.jax_enable_x64),
            "matmul precision outside tetrapla": str(
                config.jax_default_matmul_precision
            ),
            "flushes subnormals": "yes" if flushed else "no",
            "deterministic": start.deterministic(self.device),
        }
        if self.device != "cpu":
            about["memory"] = start.memory()
        return about

    def tensors(self, given: Arrays) -> dict[str, Any]:
        return {name: jnp.array(a) for name, a in given.items()}

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
        return np.array(self.training.g(activation, z))

    @scoped
    def activation_gradient(
        self, activation: spec.Activation, z: Array, upstream: Array
    ) -> Array:
        dz = self.training.g_gradient(activation, z, upstream)
        return np.array(dz)

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
        return np.array(self.outputs(model, x, key))

    def outputs(self, model: Any, x: Array, key: Key | None) -> Any:
        """Return the model's outputs; with a key, dropout is on."""
        return forward(model, x, key)

    @scoped
    def loss(self, loss: spec.Loss, outputs: Array, y: Array) -> Any:
        value = self.training.loss_of(loss, outputs, y)
        return np.array(value)[()]

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
        model = self.model(net, weights)
        value, dw, dx = self.differentiate(model, loss, x, y, key)
        return spec.LossAndGradients(
            np.array(value)[()],
            {name: np.array(dw[name]) for name in weights},
            np.array(dx),
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
            jnp.array(x),
            jnp.array(y),
            None if key is None else jnp.array(key),
        )
        return arrays(stages)

    @scoped
    def init_optimizer(
        self, optimizer: spec.Optimizer, weights: Arrays
    ) -> Arrays:
        native = self.optimizers.optimizer(optimizer)
        state = native.start(self.tensors(weights))
        return state_of(state, optimizer.slots, weights, 0)

    @scoped
    def update(
        self,
        optimizer: spec.Optimizer,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
    ) -> tuple[Arrays, Arrays]:
        # another learning rate is another argument, not another program
        native = self.optimizers.optimizer(optimizer.with_lr(0.0))
        given = native_state(state, optimizer.slots, weights)
        eta = optimizer.lr
        theta, new = step(native, weights, gradients, given, eta)
        theta = {name: np.array(theta[name]) for name in weights}
        t = state["t"] + 1
        return theta, state_of(new, optimizer.slots, weights, t)

    def supports(
        self, what: spec.Optimizer | spec.Loss
    ) -> spec.Support:
        return spec.Support("native")

    def fit(
        self, net: spec.Sequential, data: Samples, loop: spec.Loop
    ) -> spec.TrainingRun:
        loop.outside, loop.inside = users_settings(), self.scope
        loop.weights = lambda: self.weights(model)
        loop.tensor = jnp.asarray
        first, loss = loop.state, loop.training.loss
        # another learning rate is another argument, not another program
        hyper, names = loop.training.optimizer.with_lr(0.0), net.shapes
        with self.scope():
            model = self.model(net, first.weights)
            x, y = (
                a if isinstance(a, spec.Stored) else jnp.array(a)
                for a in data
            )
            state = native_state(first.optimizer, hyper.slots, names)
            given, now = self.running(hyper, model, state)

            def canonical() -> Arrays:
                steps = loop.state.step - first.step
                t = first.optimizer["t"] + steps
                with self.scope():
                    return state_of(now(), hyper.slots, names, t)

            loop.optimizer = canonical
            fit = self.training.fit if loop.plain else self.fast.fit
            fit(model, loss, *given, x, y, loop)
            return loop.result()

    @scoped
    def fit_rates(
        self, net: spec.Sequential, data: Data, loops: spec.Loops
    ) -> list[spec.TrainingRun]:
        hyper, names = loops.training.optimizer, net.shapes
        starts = [loop.state for loop in loops.each]
        every = [self.model(net, start.weights) for start in starts]
        models = stacked(every)
        states = stacked(
            [
                native_state(s.optimizer, hyper.slots, names)
                for s in starts
            ]
        )

        def weights(i: int) -> Arrays:
            return {
                n: np.array(w[i]) for n, w in models.weights().items()
            }

        def optimizer(i: int) -> Arrays:
            state = jax.tree.map(lambda a: a[i], states)
            t = loops.each[i].state.step
            return state_of(state, hyper.slots, names, t)

        for i, loop in enumerate(loops.each):
            loop.weights = partial(weights, i)
            loop.optimizer = partial(optimizer, i)
            loop.tensor = jnp.asarray
        x, y = jnp.array(data[0]), jnp.array(data[1])
        loss = loops.training.loss
        rule = optimizers.optimizer(hyper.with_lr(0.0))
        sweep.fit(models, loss, rule, states, x, y, loops)
        return [loop.result() for loop in loops.each]

    def running(
        self,
        hyper: spec.Optimizer,
        model: Any,
        state: optimizers.State,
    ) -> tuple[tuple[Any, ...], Callable[[], optimizers.State]]:
        """Return what the loop is given, and what reads its state."""
        return (optimizers.optimizer(hyper), state), lambda: state
