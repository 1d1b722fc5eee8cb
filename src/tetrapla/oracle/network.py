"""The oracle: a whole pass, and a few whole steps, from the first inputs.

Here bounds are carried from stage to stage, which is rigorous but widens
with every layer and step: for what shows no stages (forward,
loss_and_gradients, fit). Stages that can be seen are verified one by one,
from the inputs that the backend itself had: stages.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tetrapla.oracle import activations, layers, losses, optimizers
from tetrapla.oracle.arithmetic import Arithmetic
from tetrapla.oracle.bounded import Bounded, cast, exact, given
from tetrapla.spec import threefry
from tetrapla.spec.contract import Array, Arrays, Data
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import Loss
from tetrapla.spec.training import Training

Tensors = dict[str, Bounded]
Weights = Mapping[str, Bounded | Array]  # computed ones, or data


@dataclass(frozen=True)
class Backward:
    """What a backward pass has of the gradients before they are multiplied out.

    The gradient of layer i's weight is before[i].T @ dz[i], and of its bias
    dz[i].sum(0): large products are left to who needs them, block by block.
    """

    before: dict[int, Bounded]
    dz: dict[int, Bounded]
    input: Bounded

    def gradients(self) -> Tensors:
        """Return the gradients of all weights."""
        found: Tensors = {}
        for i in sorted(self.dz):
            wide = self.dz[i].ar.wide
            found[f"{i}.weight"] = cast(wide, self.before[i].T @ self.dz[i])
            found[f"{i}.bias"] = cast(wide, self.dz[i].sum(0))
        return found


def forward(
    net: Sequential, weights: Weights, x: Bounded, key: threefry.Key | None
) -> Tensors:
    """Return "i.z" of every dense layer and "i.a" of every layer."""
    stages: Tensors = {}
    a = x
    for i, layer in enumerate(net.layers):
        if isinstance(layer, Dense):
            z = layers.linear(a, weights[f"{i}.weight"], weights[f"{i}.bias"])
            stages[f"{i}.z"] = z
            a = activations.activation(layer.activation, z)
        elif isinstance(layer, Dropout) and key is not None:
            a = layers.dropped(layer, layers.mask(layer, i, key, a.shape), a)
        stages[f"{i}.a"] = a
    return stages


def backward(
    net: Sequential,
    weights: Weights,
    x: Bounded,
    y: Array,
    loss: Loss,
    key: threefry.Key | None,
    stages: Tensors,
) -> Backward:
    """Return the backward pass that follows the stages of a forward one."""
    outputs = stages[f"{len(net.layers) - 1}.a"]
    da = cast(x.ar, losses.gradient(loss, cast(x.ar.wide, outputs), y))
    befores, dzs = {}, {}
    for i, layer in reversed(list(enumerate(net.layers))):
        if isinstance(layer, Dense):
            befores[i] = stages[f"{i - 1}.a"] if i else x
            dzs[i] = activations.gradient(layer.activation, stages[f"{i}.z"], da)
            da = layers.columns(dzs[i], weights[f"{i}.weight"].T)
        elif isinstance(layer, Dropout) and key is not None:
            da = layers.dropped(layer, layers.mask(layer, i, key, da.shape), da)
    return Backward(befores, dzs, da)


@dataclass
class Run:
    """A run of a few steps with its bounds carried along: what `fit` must do.

    `weights` and `slots` are those after the steps so far; `losses` has one
    Bounded per step.
    """

    ar: Arithmetic
    net: Sequential
    training: Training
    weights: Tensors
    slots: dict[str, Tensors]
    epoch: int
    step: int
    losses: list[Bounded] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        ar: Arithmetic,
        net: Sequential,
        training: Training,
        weights: Arrays,
        optimizer: Arrays,
        epoch: int,
        step: int,
    ) -> "Run":
        """Return a run that goes on from a backend's own state."""
        slots = {
            name: {
                s: given(ar.wide, optimizer[f"{s}/{name}"])
                for s in training.optimizer.slots
            }
            for name in weights
        }
        theta = {name: given(ar.wide, w) for name, w in weights.items()}
        return cls(ar, net, training, theta, slots, epoch, step)

    def one_epoch(self, data: Data) -> None:
        """Go through the data once."""
        x, y = data
        for rows in self.training.batches(self.training.order(self.epoch, len(x))):
            self.one_step(x[rows], y[rows])
        self.epoch += 1

    def one_step(self, x: Array, y: Array) -> None:
        """Do a step with this batch."""
        training = self.training
        dropout = any(isinstance(layer, Dropout) for layer in self.net.layers)
        key = training.dropout_key(self.step) if dropout else None
        batch = cast(self.ar, x), y
        stages = forward(self.net, self.weights, batch[0], key)
        outputs = cast(self.ar.wide, stages[f"{len(self.net.layers) - 1}.a"])
        self.losses.append(losses.loss(training.loss, outputs, y))
        gradients = backward(
            self.net, self.weights, *batch, training.loss, key, stages
        ).gradients()
        eta = training.rate(self.step)
        self.step += 1
        for name, theta in self.weights.items():
            g = gradients[name]
            if training.l2 and name.endswith("weight"):
                g = g + training.l2 * theta
            self.weights[name], self.slots[name] = optimizers.update(
                training.optimizer, theta, g, self.slots[name], self.step, eta
            )

    def history(self, data: Data, validation: Data | None) -> Iterator[tuple[str, Bounded]]:
        """Yield the last epoch's row of the history."""
        rows = self.training.batches(np.arange(len(data[0])))
        seen = exact(self.ar.wide, 0.0)
        mean = self.training.loss.reduction == "mean"
        for loss, batch in zip(self.losses[-len(rows) :], rows, strict=True):
            seen = seen + loss * (len(batch) if mean else 1)
        yield "loss", seen / len(data[0])
        if validation is not None:
            x, y = validation
            stages = forward(self.net, self.weights, cast(self.ar, x), None)
            outputs = cast(self.ar.wide, list(stages.values())[-1])
            mean_loss = replace(self.training.loss, reduction="mean")
            yield "val_loss", losses.loss(mean_loss, outputs, y)
