"""Backends by name, and the one validation in front of all of them.

`load` returns a `Backend`: it checks and converts what it is given, raises
InvalidInputError before any framework is touched, and hands the rest to an
implementation of the contract (spec/contract.py).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

import numpy as np

from tetrapla import __version__
from tetrapla import validation as check
from tetrapla.checkpoints import Checkpoint, Checkpoints, fingerprints
from tetrapla.spec import activations, checks, contract, losses, optimizers
from tetrapla.spec.activations import Activation
from tetrapla.spec.contract import Array, Arrays, Data, LossAndGradients, Samples, Support
from tetrapla.spec.errors import (
    BackendUnavailableError,
    InvalidInputError,
    UnsupportedError,
)
from tetrapla.spec.layers import Dropout, Sequential
from tetrapla.spec.loop import Loop, Loops
from tetrapla.spec.losses import Loss
from tetrapla.spec.metrics import Scores
from tetrapla.spec.optimizers import Optimizer
from tetrapla.spec.precisions import precision
from tetrapla.spec.reports import EpochReport, StepReport
from tetrapla.spec.state import RateSweep, TrainingRun, TrainingState
from tetrapla.spec.stored import pieces
from tetrapla.spec.threefry import Key
from tetrapla.spec.training import Training

GROUP = "tetrapla.backends"  # the entry-point group of others' backends
DTYPES = ("float32", "float64")  # those of which all arrays are of one dtype


@dataclass(frozen=True)
class BuiltIn:
    """Where a backend of ours is, and what it needs."""

    module: str
    imports: tuple[str, ...]
    distributions: tuple[str, ...]
    extra: str | None = None
    dialect: str | None = None  # of the library that it calls; None: from scratch


BUILT_IN = {
    "numpy": BuiltIn("tetrapla.impls.numpy.backend", ("numpy",), ("numpy",)),
    "torch": BuiltIn("tetrapla.impls.torch.backend", ("torch",), ("torch",), "torch"),
    "tf": BuiltIn(
        "tetrapla.impls.tf.backend",
        ("tensorflow",),
        ("tensorflow", "tensorflow-cpu", "tf-nightly"),
        "tf",
    ),
    "jax": BuiltIn("tetrapla.impls.jax.backend", ("jax", "flax"), ("jax",), "jax"),
    "torch.nn": BuiltIn(
        "tetrapla.impls.torch.library.backend", ("torch",), ("torch",), "torch", "torch"
    ),
    "tf.keras": BuiltIn(
        "tetrapla.impls.tf.library.backend",
        ("tensorflow", "keras"),
        ("keras",),
        "tf",
        "keras",
    ),
    "jax.flax": BuiltIn(
        "tetrapla.impls.jax.library.backend",
        ("jax", "flax", "optax"),
        ("flax",),
        "jax",
        "optax",
    ),
}


def _version(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _entry_points() -> dict[str, metadata.EntryPoint]:
    found = metadata.entry_points(group=GROUP)
    return {e.name: e for e in found if e.name not in BUILT_IN}


def available() -> dict[str, str]:
    """Return the backends that can be loaded here: name -> version.

    Imports no framework. The version is the framework's, or for others'
    backends that of the distribution that registers them.

    >>> "numpy" in available()
    True
    """
    versions = {
        name: _version(source.distributions)
        for name, source in BUILT_IN.items()
        if all(find_spec(module) for module in source.imports)
    }
    for name, entry in _entry_points().items():
        versions[name] = entry.dist.version if entry.dist else "unknown"
    return versions


def load(name: str, device: str = "cpu", dtype: str = "float32") -> "Backend":
    """Return the backend of that name; imports its framework and no other.

    Parameters
    ----------
    name
        "numpy", "torch", "tf", "jax" (from scratch), "torch.nn", "tf.keras",
        "jax.flax" (by calling the library), or the name of an entry point
        in the group `tetrapla.backends`.
    device
        "cpu", "gpu" or "gpu:0".
    dtype
        "float64" or "float32"; or a precision of which only products are
        lower, "tf32"; or one whose data are halves beside float32 weights,
        "bfloat16" or "float16" (spec/precisions.py).

    Raises
    ------
    InvalidInputError
        For an unknown name, device or dtype.
    BackendUnavailableError
        For a known backend whose framework or device is not here; says
        which extra to install, or which devices there are.

    Examples
    --------
    >>> load("numpy", dtype="float64")
    <tetrapla backend 'numpy' on cpu, float64>
    """
    require(name)
    if not isinstance(device, str) or not re.fullmatch(r"cpu|gpu(:\d+)?", device):
        raise InvalidInputError(f"device must be 'cpu', 'gpu' or 'gpu:N', got {device!r}")
    precision(dtype)
    make: Callable[..., contract.Backend]
    if name in BUILT_IN:
        make = import_module(BUILT_IN[name].module).Backend
    else:
        make = _entry_points()[name].load()
    return Backend(name, make(device=device, dtype=dtype))


def labelled(label: str, dtype: str = "float32") -> "Backend":
    """Return the backend that a label names: "torch", or "torch@gpu" on a device.

    >>> labelled("numpy").label
    'numpy'
    """
    name, device = of_label(label)
    return load(name, device, dtype)


def of_label(label: str) -> tuple[str, str]:
    """Return a backend's name and its device.

    >>> of_label("torch"), of_label("torch@gpu")
    (('torch', 'cpu'), ('torch', 'gpu'))
    """
    name, _, device = label.partition("@")
    return name, device or "cpu"


def label_of(name: str, device: str) -> str:
    """Return a backend's name, with its device where that is not the CPU.

    >>> label_of("torch", "cpu"), label_of("torch", "gpu")
    ('torch', 'torch@gpu')
    """
    return name if device == "cpu" else f"{name}@{device}"


def require(name: str) -> None:
    """Raise what `load` raises where a name or its framework is not here.

    Imports no framework.
    """
    entries = _entry_points()
    if not isinstance(name, str) or (name not in BUILT_IN and name not in entries):
        known = ", ".join([*BUILT_IN, *entries])
        raise InvalidInputError(f"unknown backend {name!r}; there are {known}")
    if name in entries:
        return
    source = BUILT_IN[name]
    missing = [module for module in source.imports if not find_spec(module)]
    if missing:
        raise BackendUnavailableError(
            f"backend {name!r} needs {' and '.join(missing)}: "
            f"pip install 'tetrapla[{source.extra}]'"
        )


class Backend:
    """A backend: the contract, with names and NumPy arrays accepted.

    Weights, inputs and labels are NumPy arrays. Floating-point arrays are
    rounded once to the dtype that theirs has in the backend's precision;
    integers are refused for x.
    """

    def __init__(self, name: str, implementation: contract.Backend) -> None:
        self.name = name
        self.device = implementation.device
        self.dtype = implementation.dtype
        kinds = precision(self.dtype)
        self.of_data, self.of_weights = kinds.data, kinds.weights
        self.implementation = implementation

    def __repr__(self) -> str:
        return f"<tetrapla backend {self.name!r} on {self.device}, {self.dtype}>"

    @property
    def label(self) -> str:
        """Its name, with the device where that is not the CPU."""
        return label_of(self.name, self.device)

    @property
    def _dtypes(self) -> tuple[str, str]:
        """Of data, and of labels: a loss is computed in the weights' dtype."""
        return self.of_data, self.of_weights

    @property
    def has_fast(self) -> bool:
        """Whether `fit` has a faster form of its loop beside the plain one."""
        return getattr(self.implementation, "fast", None) is not None

    def info(self) -> dict[str, str]:
        """Return versions, devices and precision settings, for people."""
        return self.implementation.info()

    def build(self, net: Sequential, weights: Arrays) -> Any:
        """Return the framework's native object of the network."""
        check.network(net)
        return self.implementation.build(net, check.weights(net, weights, self.of_weights))

    def weights(self, model: Any) -> Arrays:
        """Return the weights of what `build` returned, by name."""
        return self.implementation.weights(model)

    def activation(self, activation: Activation | str, z: Array) -> Array:
        """Return g(z), of the shape of z.

        >>> import numpy as np
        >>> load("numpy").activation("relu", np.array([-1.0, 2.0]))
        array([0., 2.], dtype=float32)
        """
        g = activations.activation(activation)
        return self.implementation.activation(g, check.pre_activation(g, z, self.of_data))

    def activation_gradient(
        self, activation: Activation | str, z: Array, upstream: Array
    ) -> Array:
        """Return the vector-Jacobian product of g at z with `upstream`."""
        g = activations.activation(activation)
        z = check.pre_activation(g, z, self.of_data)
        da = check.floats("upstream", upstream, self.of_data)
        if da.shape != z.shape:
            raise InvalidInputError(
                f"upstream must have the shape of z, {z.shape}; got {da.shape}"
            )
        return self.implementation.activation_gradient(g, z, da)

    def forward(
        self, net: Sequential, weights: Arrays, x: Array, *, key: Key | None = None
    ) -> Array:
        """Return the outputs, (batch, outputs).

        Without a key the network is evaluated; with one, dropout is on.
        """
        check.network(net)
        w = check.weights(net, weights, self.of_weights)
        x = check.inputs(net, x, self.of_data)
        return self.implementation.forward(net, w, x, key=check.key(key))

    def loss(self, loss: Loss | str, outputs: Array, y: Array) -> Any:
        """Return the loss: a scalar, or (batch,) with reduction="none"."""
        spec = losses.loss(loss)
        self.require(spec)
        outputs = check.outputs(spec, outputs, self.of_data)
        y = check.labels(spec, y, outputs.shape, self.of_weights)
        if outputs.ndim == 1:  # one output per example, said without its axis
            outputs, y = outputs[:, None], y[:, None]
        return self.implementation.loss(spec, outputs, y)

    def loss_and_gradients(
        self,
        net: Sequential,
        weights: Arrays,
        x: Array,
        y: Array,
        loss: Loss | str,
        *,
        key: Key | None = None,
    ) -> LossAndGradients:
        """Return the loss and its gradients: r.loss, r.weights, r.input."""
        given = self._example(net, weights, x, y, loss)
        return self.implementation.loss_and_gradients(*given, key=check.key(key))

    def trace(
        self,
        net: Sequential,
        weights: Arrays,
        x: Array,
        y: Array,
        loss: Loss | str,
        *,
        key: Key | None = None,
    ) -> Arrays:
        """Return every stage by name, in the order of computation.

        Forward "0.z", "0.a", ..., "loss"; then backward "2.da", "2.dz",
        "2.weight.grad", "2.bias.grad", ..., "input.grad".
        """
        given = self._example(net, weights, x, y, loss)
        return self.implementation.trace(*given, key=check.key(key))

    def _example(
        self, net: Sequential, weights: Arrays, x: Array, y: Array, loss: Loss | str
    ) -> tuple[Sequential, Arrays, Array, Array, Loss]:
        check.network(net)
        spec = losses.loss(loss)
        if spec.reduction == "none":
            raise InvalidInputError(
                "gradients need a scalar loss: reduction must be 'mean' or 'sum', "
                "got 'none'"
            )
        self.require(spec)
        w = check.weights(net, weights, self.of_weights)
        x, y = check.data("x", "y", net, spec, (x, y), *self._dtypes)
        return net, w, x, y, spec

    def init_optimizer(self, optimizer: Optimizer | str, weights: Arrays) -> Arrays:
        """Return the state before the first step: "t" and all slots."""
        spec = optimizers.optimizer(optimizer)
        self.require(spec)
        w = check.arrays("weights", weights, self.of_weights)
        return self.implementation.init_optimizer(spec, w)

    def update(
        self,
        optimizer: Optimizer | str,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
    ) -> tuple[Arrays, Arrays]:
        """Return (weights, state) after one step; changes nothing given."""
        spec = optimizers.optimizer(optimizer)
        self.require(spec)
        w = check.arrays("weights", weights, self.of_weights)
        g = check.like("gradients", gradients, w, self.of_weights)
        s = check.optimizer_state(spec, state, w, self.of_weights)
        return self.implementation.update(spec, w, g, s)

    def supports(self, optimizer: Optimizer | Loss | str) -> Support:
        """Return whether the backend has this optimizer (or loss), and how.

        >>> str(load("numpy").supports("adam"))
        'native'
        """
        spec: Optimizer | Loss
        if isinstance(optimizer, Loss) or optimizer in losses.LOSSES:
            spec = losses.loss(optimizer)
        else:
            spec = optimizers.optimizer(optimizer)
        support = self.implementation.supports(spec)
        if support.status != "no":
            return support
        there = [name for name, source in BUILT_IN.items() if source.dialect is None]
        return replace(support, reason=f"{support.reason}; {', '.join(there)} have it")

    def require(self, what: Optimizer | Loss) -> None:
        """Raise UnsupportedError where `supports` answers "no"."""
        support = self.supports(what)
        if support.status == "no":
            raise UnsupportedError(
                f"backend {self.name!r} has no such {what.name}: {support.reason}"
            )

    def fit(
        self,
        net: Sequential,
        weights: Arrays,
        data: Data,
        training: Training,
        *,
        validation: Data | None = None,
        resume: TrainingState | Checkpoint | None = None,
        checkpoints: Checkpoints | None = None,
        on_step: Callable[[StepReport], None] | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
        plain: bool = False,
    ) -> TrainingRun:
        """Train, and return the history, the weights and the state.

        Parameters
        ----------
        net, weights
            The network and its first weights.
        data
            (x, y). What is in a memory-mapped file (numpy.memmap, numpy.load
            with mmap_mode="r") stays there: its rows are read as they are
            needed.
        training
            Epochs, batch size, optimizer, loss, schedule, seed ...
        validation
            (x, y) whose loss is added to the history as "val_loss".
        resume
            The `state` of an earlier run, of any backend, which goes on from
            its weights at its step; or a checkpoint.
        checkpoints
            Where the state is saved as the run goes on. A Ctrl-C then waits
            for the end of the step, and leaves a checkpoint.
        on_step, on_epoch
            Called after every step and epoch with a report, which can give
            the state, and stop the run. Steps that were done together are
            reported together, up to a tenth of a second later.
        plain
            Train step by step with the loop of training.py, as it is read,
            and not with that of fast.py. The two round differently, and this
            one has all data in memory.
        """
        check.network(net)
        check.training(training)
        check.callback("on_step", on_step)
        check.callback("on_epoch", on_epoch)
        if not isinstance(checkpoints, Checkpoints | None):
            raise InvalidInputError(
                f"checkpoints must be Checkpoints(folder), got {type(checkpoints).__name__}"
            )
        in_place = not checks.flag("plain", plain) and self.has_fast
        xy, loop = self._begun(
            net, weights, data, training, validation, resume, checkpoints, in_place
        )
        loop.on_step, loop.on_epoch = on_step, on_epoch
        loop.plain = not in_place
        if checkpoints is None:
            return self.implementation.fit(net, xy, loop)
        about = {
            "backend": self.name,
            "device": self.device,
            "dtype": self.dtype,
            "versions": {"tetrapla": __version__, **self.info()},
        }
        with checkpoints.writing(net, training, loop.state, about) as loop.saving:
            return self.implementation.fit(net, xy, loop)

    def _begun(
        self,
        net: Sequential,
        weights: Arrays,
        data: Data,
        training: Training,
        validation: Data | None,
        resume: TrainingState | Checkpoint | None,
        checkpoints: Checkpoints | None,
        in_place: bool,
    ) -> tuple[Samples, Loop]:
        """Return the data and the loop of a run, all of it checked.

        Data that are in a file stay there where `in_place`.
        """
        self.require(training.loss)
        self.require(training.optimizer)
        w = check.weights(net, weights, self.of_weights)
        # only a fast loop reads a file's rows as it goes on
        checked = check.samples if in_place else check.data
        x, y = checked("x", "y", net, training.loss, data, *self._dtypes)
        names = ("validation x", "validation y")
        held_out: Samples | None = None
        if validation is not None:
            held_out = check.samples(*names, net, training.loss, validation, *self._dtypes)
        history = ["loss"] if validation is None else ["loss", "val_loss"]
        for name in training.metrics:
            history += [name] if validation is None else [name, f"val_{name}"]
        if resume is None:
            state = training.optimizer.first_state(w)
            empty: dict[str, list[float]] = {name: [] for name in history}
            start = TrainingState(0, 0, w, state, empty, loss=training.loss)
        else:
            if isinstance(resume, Checkpoint):
                resume = resume.of(net)
            start = check.resume(net, training, resume, history, len(x), self.of_weights)
        if checkpoints is not None or start.data is not None:
            prints = fingerprints(data, validation)
            check.same_data(start.data, prints)
            start = replace(start, data=prints)
        dropout = any(isinstance(layer, Dropout) for layer in net.layers)
        loop = Loop(training, start, dropout)
        if held_out is not None or training.metrics:
            loop.evaluate = partial(self._evaluate, net, training, (x, y), held_out)
        return (x, y), loop

    def fit_rates(
        self,
        net: Sequential,
        weights: Arrays,
        data: Data,
        training: Training,
        rates: Sequence[float],
        *,
        validation: Data | None = None,
    ) -> RateSweep:
        """Train once for each learning rate, from the same weights on.

        All at once where the framework can map a training step over an axis
        of rates (`torch` by torch.func.vmap, `jax` by jax.vmap), else one
        after the other. Each run is that of `fit` with this rate, for all
        epochs: convergence and early stopping would end them apart, and are
        refused.

        Parameters
        ----------
        net, weights, data, training, validation
            As for `fit`.
        rates
            The learning rates; each stands in for the optimizer's `lr`.
        """
        check.network(net)
        check.training(training)
        etas = check.rates(rates)
        for name in ("convergence_threshold", "early_stopping"):
            if getattr(training, name) is not None:
                raise InvalidInputError(
                    f"fit_rates trains every rate for all epochs: {name} must be None"
                )
        at = [replace(training, optimizer=training.optimizer.with_lr(r)) for r in etas]
        asked = (net, weights, data)
        together = getattr(self.implementation, "fit_rates", None)
        if together is None or precision(self.dtype).mixed:
            runs = [self.fit(*asked, each, validation=validation) for each in at]
            return RateSweep(etas, tuple(runs))
        xy, loop = self._begun(*asked, training, validation, None, None, False)
        loops = Loops([replace(loop, training=each) for each in at])
        return RateSweep(etas, tuple(together(net, xy, loops)))

    def _evaluate(
        self,
        net: Sequential,
        training: Training,
        data: Samples,
        validation: Samples | None,
        loop: Loop,
    ) -> list[dict[str, float]]:
        """Return what epochs' rows have beside the loss, for all in the stretch."""
        mean = replace(training.loss, reduction="mean")

        def at_ends(x: Array, y: Array) -> list[tuple[Any, Any]]:
            if loop.snapshots is not None:
                return loop.snapshots.measure(x, y)
            if loop.measure is not None:
                return [loop.measure(x, y)]
            outputs = self.implementation.forward(net, loop.weights(), x)
            return [(outputs, self.implementation.loss(mean, outputs, y))]

        def measured(x: Any, y: Any) -> list[Scores]:
            scores: list[Scores] = []
            for piece in pieces(x, y):
                ends = at_ends(*piece)
                scores = scores or [Scores(training.metrics, mean, len(x)) for _ in ends]
                for each, (outputs, loss) in zip(scores, ends, strict=True):
                    each.add(np.asarray(outputs), piece[1], float(loss))
            return scores

        held_out = [] if validation is None else measured(*validation)
        own = measured(*data) if training.metrics else []
        rows: list[dict[str, float]] = [{} for _ in held_out or own]
        for row, scores in zip(rows, held_out, strict=False):
            row["val_loss"] = scores.loss
            row |= {f"val_{name}": value for name, value in scores.values.items()}
        for row, scores in zip(rows, own, strict=False):
            row |= scores.values
        return rows
