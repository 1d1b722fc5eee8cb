"""The reference: a network forward and back, stage by stage, and its training.

Stages have the names of Backend.trace.
"""

from dataclasses import replace

import numpy as np

from tetrapla.parity import activations, losses, optimizers
from tetrapla.parity.quantity import Quantity, coefficient, exact, select
from tetrapla.spec import threefry
from tetrapla.spec.contract import Array, Data
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import Loss
from tetrapla.spec.training import Training

Stages = dict[str, Quantity]


def forward(
    net: Sequential, weights: Stages, x: Quantity, key: threefry.Key | None
) -> Stages:
    """Return "i.z" or "i.mask", and "i.a", of every layer; the last is the output."""
    stages: Stages = {}
    a = x
    for i, layer in enumerate(net.layers):
        if isinstance(layer, Dense):
            z = a @ weights[f"{i}.weight"] + weights[f"{i}.bias"]
            stages[f"{i}.z"] = z
            a = activations.activation(layer.activation, z)
        elif isinstance(layer, Dropout) and key is not None:
            kept = mask(layer, i, key, a.shape)
            stages[f"{i}.mask"] = exact(a.ar, kept.astype(float))
            a = _dropped(layer, kept, a)
        stages[f"{i}.a"] = a
    return stages


def trace(
    net: Sequential,
    weights: Stages,
    x: Quantity,
    y: Array,
    loss: Loss,
    key: threefry.Key | None,
) -> Stages:
    """Return every stage: forward, the loss, and backward by the chain rule."""
    stages = forward(net, weights, x, key)
    outputs = stages[f"{len(net.layers) - 1}.a"]
    stages["loss"] = losses.loss(loss, outputs, y)
    da = losses.gradient(loss, outputs, y)
    for i, layer in reversed(list(enumerate(net.layers))):
        stages[f"{i}.da"] = da
        if isinstance(layer, Dense):
            before = stages[f"{i - 1}.a"] if i else x
            dz = activations.gradient(layer.activation, stages[f"{i}.z"], da)
            stages[f"{i}.dz"] = dz
            stages[f"{i}.weight.grad"] = before.T @ dz
            stages[f"{i}.bias.grad"] = dz.sum(0)
            da = dz @ weights[f"{i}.weight"].T
        elif isinstance(layer, Dropout) and key is not None:
            da = _dropped(layer, mask(layer, i, key, da.shape), da)
    stages["input.grad"] = da
    return stages


def mask(layer: Dropout, place: int, key: threefry.Key, shape: tuple[int, ...]) -> Array:
    """Return which elements are kept."""
    return threefry.bernoulli(threefry.fold_in(key, place), 1 - layer.rate, shape)


def _dropped(layer: Dropout, kept: Array, a: Quantity) -> Quantity:
    keep = coefficient(1 - Quantity(a.ar, layer.rate))
    return select(~kept, 0.0, a / keep)


def fit(
    net: Sequential,
    weights: Stages,
    data: Data,
    training: Training,
    validation: Data | None,
) -> Stages:
    """Return the history and the last weights of a run.

    A run's errors compound, so sizes are not carried from step to step: that
    of a weight is the length of its path (tolerances.TRAINING).
    """
    theta = dict(weights)
    ar = next(iter(theta.values())).ar
    path = {name: w.magnitude for name, w in theta.items()}
    slots = {
        name: {slot: exact(ar, np.full(w.shape, v)) for slot, v in _slots(training)}
        for name, w in theta.items()
    }
    history: dict[str, list[Quantity]] = {"loss": [], "val_loss": []}
    mean = training.loss.reduction == "mean"
    mean_loss = replace(training.loss, reduction="mean")
    dropout = any(isinstance(layer, Dropout) for layer in net.layers)
    x, y = data
    step = 0
    for epoch in range(training.epochs):
        seen = Quantity(ar, 0.0)
        for rows in training.batches(training.order(epoch, len(x))):
            key = training.dropout_key(step) if dropout else None
            step += 1
            stages = trace(net, theta, exact(ar, x[rows]), y[rows], training.loss, key)
            seen = seen + stages["loss"] * (len(rows) if mean else 1)
            for name, w in theta.items():
                g = stages[f"{name}.grad"]
                after, state = optimizers.update(
                    training.optimizer, w, g, slots[name], step
                )
                path[name] = path[name] + np.abs(after.floats - w.floats)
                theta[name] = exact(ar, after.value)
                slots[name] = {s: exact(ar, q.value) for s, q in state.items()}
        history["loss"].append(seen / len(x))
        if validation is not None:
            xv, yv = validation
            outputs = list(forward(net, theta, exact(ar, xv), None).values())[-1]
            history["val_loss"].append(losses.loss(mean_loss, outputs, yv))
    final = {name: Quantity(ar, w.value, path[name]) for name, w in theta.items()}
    return {**_columns(history), **final}


def _slots(training: Training) -> list[tuple[str, float]]:
    return list(training.optimizer.slots.items())


def _columns(history: dict[str, list[Quantity]]) -> Stages:
    """Return each column of the history as one array."""
    columns: Stages = {}
    for name, values in history.items():
        if values:
            ar = values[0].ar
            value = ar.array(np.array([v.value[()] for v in values]))
            size = np.array([float(v.size) for v in values])
            columns[f"history.{name}"] = Quantity(ar, value, size)
    return columns
