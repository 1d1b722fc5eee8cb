"""Run each library's own optimizer, for the rows about optimizers."""

from collections.abc import Sequence
from typing import Any

CLASSES = {  # one name in PyTorch and in Keras
    "sgd": "SGD",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
}


def torch_steps(
    name: str,
    gradients: Sequence[float],
    rates: Sequence[float] = (),
    *,
    start: float = 0.0,
    dtype: str = "float64",
    **settings: Any,
) -> float:
    """Return a weight after one step per gradient, each at its rate if given."""
    import torch

    theta = torch.nn.Parameter(torch.tensor([start], dtype=getattr(torch, dtype)))
    optimizer = getattr(torch.optim, CLASSES[name])([theta], **settings)
    for i, g in enumerate(gradients):
        if rates:
            optimizer.param_groups[0]["lr"] = rates[i]
        theta.grad = torch.full_like(theta, g)
        optimizer.step()
    return float(theta.detach()[0])


def keras_steps(
    name: str,
    gradients: Sequence[float],
    rates: Sequence[float] = (),
    *,
    start: float = 0.0,
    dtype: str = "float64",
    **settings: Any,
) -> float:
    """Return a weight after one step per gradient, each at its rate if given."""
    import keras

    theta = keras.Variable([start], dtype=dtype)
    optimizer = getattr(keras.optimizers, CLASSES[name])(**settings)
    optimizer.build([theta])
    for i, g in enumerate(gradients):
        if rates:
            optimizer.learning_rate = rates[i]
        optimizer.apply([keras.ops.convert_to_tensor([g], dtype)])
    return float(keras.ops.convert_to_numpy(theta)[0])


def optax_steps(
    name: str,
    gradients: Sequence[float],
    rates: Sequence[float] = (),
    *,
    start: float = 0.0,
    dtype: str = "float64",
    **settings: Any,
) -> float:
    """Return a weight after one step per gradient, each at its rate if given."""
    import jax
    import jax.numpy as jnp
    import optax

    def rule(i: int) -> Any:
        rate = {"learning_rate": rates[i]} if rates else {}
        return getattr(optax, name)(**settings | rate)

    with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices("cpu")[0]):
        theta = jnp.array([start], dtype)
        state = rule(0).init(theta)
        for i, g in enumerate(gradients):
            steps, state = rule(i).update(jnp.array([g], dtype), state, theta)
            theta = optax.apply_updates(theta, steps)
        return float(theta[0])
