"""The contract: what every backend answers, NumPy in and NumPy out.

A backend's class is constructed as `Backend(device=..., dtype=...)`. What
it is given has been checked (tetrapla/backends.py): specification objects,
never names; arrays of the dtypes that its precision has (precisions.py),
contiguous and of the right shapes; integer labels as int64. What it returns
are NumPy arrays of these dtypes that share no memory with what it was given.
A backend that has not all devices and precisions raises
BackendUnavailableError for the others when it is constructed.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from tetrapla.spec.activations import Activation
from tetrapla.spec.layers import Sequential
from tetrapla.spec.loop import Loop
from tetrapla.spec.losses import Loss
from tetrapla.spec.optimizers import Optimizer
from tetrapla.spec.state import TrainingRun
from tetrapla.spec.stored import Stored
from tetrapla.spec.threefry import Key

Array = NDArray[Any]
Arrays = dict[str, NDArray[Any]]
Data = tuple[Array, Array]
Samples = tuple[Array | Stored, Array | Stored]  # of `fit`, and checked


@dataclass(frozen=True)
class LossAndGradients:
    """The loss, and its gradients with respect to the weights and the input."""

    loss: Any
    weights: Arrays
    input: Array


@dataclass(frozen=True)
class Support:
    """Whether a backend has an optimizer or a loss: "native", "composed" or "no".

    "composed" is a combination of the library's pieces, which the reason
    documents; with "no" comes why, and at the public edge who has it.
    """

    status: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status


class Backend(Protocol):
    """One implementation of the whole specification."""

    device: str
    dtype: str

    def build(self, net: Sequential, weights: Arrays) -> Any:
        """Return the framework's native object of the network."""

    def weights(self, model: Any) -> Arrays:
        """Return the weights of what `build` returned."""

    def activation(self, activation: Activation, z: Array) -> Array:
        """Return g(z), of the shape of z."""

    def activation_gradient(
        self, activation: Activation, z: Array, upstream: Array
    ) -> Array:
        """Return the vector-Jacobian product of g at z with `upstream`."""

    def forward(
        self, net: Sequential, weights: Arrays, x: Array, *, key: Key | None = None
    ) -> Array:
        """Return the outputs (batch, outputs); with a key, dropout is on."""

    def loss(self, loss: Loss, outputs: Array, y: Array) -> Any:
        """Return the loss, a scalar or with reduction "none" (batch,)."""

    def loss_and_gradients(
        self,
        net: Sequential,
        weights: Arrays,
        x: Array,
        y: Array,
        loss: Loss,
        *,
        key: Key | None = None,
    ) -> LossAndGradients:
        """Return the loss and its gradients."""

    def trace(
        self,
        net: Sequential,
        weights: Arrays,
        x: Array,
        y: Array,
        loss: Loss,
        *,
        key: Key | None = None,
    ) -> Arrays:
        """Return every stage by name, in the order of `net.stages`.

        Forward, for layer i: "i.z" (Dense) or "i.mask" (Dropout with a
        key), then "i.a"; then "loss"; then backward, from the last layer:
        "i.da", "i.dz", "i.weight.grad", "i.bias.grad"; at the end
        "input.grad".
        """

    def init_optimizer(self, optimizer: Optimizer, weights: Arrays) -> Arrays:
        """Return the state before the first step."""

    def update(
        self, optimizer: Optimizer, weights: Arrays, gradients: Arrays, state: Arrays
    ) -> tuple[Arrays, Arrays]:
        """Return new weights and new state; nothing given is changed."""

    def supports(self, what: Optimizer | Loss) -> Support:
        """Return whether and how the backend has this optimizer or loss.

        It is asked for nothing that it answers "no" to.
        """

    def fit(self, net: Sequential, data: Samples, loop: Loop) -> TrainingRun:
        """Train on from `loop.state`, which at the start of a run is its start."""

    # Optional: fit_rates(net, data, loops) -> list[TrainingRun], many runs that
    # differ in the learning rate alone, at once. Without it, or where it is
    # None, they are done one after the other.

    def info(self) -> dict[str, str]:
        """Return versions, devices and precision settings, for people."""
