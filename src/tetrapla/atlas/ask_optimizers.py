"""Questions to the libraries about optimizers that take more than a few steps."""

from collections.abc import Sequence

from tetrapla.atlas.run_optimizers import torch_steps


def torch_small(eps_hat: float | None = None) -> float:
    """Return Adam's first step on a small gradient; with eps_hat as Keras's."""
    import torch

    theta = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.Adam([theta], lr=1.0)
    if eps_hat is not None:
        (group,) = optimizer.param_groups
        group["eps"] = eps_hat / (1 - group["betas"][1]) ** 0.5
    theta.grad = torch.full_like(theta, 1e-6)
    optimizer.step()
    return float(theta.detach()[0])


def optax_small(eps_hat: float | None = None) -> float:
    """Return Adam's first step on a small gradient; with eps_hat as Keras's."""
    import jax
    import jax.numpy as jnp
    import optax

    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        rule = optax.adam(1.0)
        if eps_hat is not None:
            eps = lambda count: eps_hat / jnp.sqrt(1 - 0.999 ** (count + 1.0))  # noqa: E731
            rule = optax.inject_hyperparams(optax.adam)(1.0, eps=eps)
        theta = jnp.zeros(1)
        steps, _ = rule.update(jnp.full(1, 1e-6), rule.init(theta), theta)
        return float(steps[0])


def torch_clipped() -> float:
    """Return the first of two weights after a clipped step."""
    import torch

    theta = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    for w, g in zip(theta, (3.0, 4.0), strict=True):
        w.grad = torch.tensor([g])
    torch.nn.utils.clip_grad_norm_(theta, 1.0)
    torch.optim.SGD(theta, lr=1.0).step()
    return float(theta[0].detach()[0])


def keras_clipped(argument: str = "clipnorm") -> float:
    """Return the first of two weights after a clipped step."""
    import keras

    theta = [keras.Variable([0.0], dtype="float32") for _ in range(2)]
    optimizer = keras.optimizers.SGD(1.0, **{argument: 1.0})
    optimizer.build(theta)
    optimizer.apply([keras.ops.convert_to_tensor([g]) for g in (3.0, 4.0)])
    return float(keras.ops.convert_to_numpy(theta[0])[0])


def optax_clipped() -> float:
    """Return the first of two weights after a clipped step."""
    import jax.numpy as jnp
    import optax

    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0))
    theta = [jnp.zeros(1), jnp.zeros(1)]
    steps, _ = rule.update([jnp.array([3.0]), jnp.array([4.0])], rule.init(theta), theta)
    return float(steps[0][0])


def torch_l2() -> float:
    """Return what weight decay took off a weight of 2."""
    return 2 - torch_steps("sgd", [0.0], start=2.0, lr=1.0, weight_decay=0.5)


def keras_l2(l2: float = 0.5) -> float:
    """Return what a regularizer's gradient takes off a weight of 2."""
    import keras
    import tensorflow as tf

    with tf.device("/CPU:0"), tf.GradientTape() as tape:
        theta = tf.constant([2.0])
        tape.watch(theta)
        penalty = keras.regularizers.L2(l2)(theta)
    return float(tape.gradient(penalty, theta)[0])


def optax_l2() -> float:
    """Return what decayed weights add to a gradient."""
    import jax.numpy as jnp
    import optax

    rule, theta = optax.add_decayed_weights(0.5), jnp.array([2.0])
    return float(rule.update(jnp.zeros(1), rule.init(theta), theta)[0][0])


def torch_rates(every_batch: bool = False) -> str:
    """Return the rates of six steps under StepLR(2, 0.5)."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    rates = []
    for batch in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if every_batch or batch % 3 == 2:
            scheduler.step()
    return listed(rates)


def keras_rates() -> str:
    """Return the rates of six steps under ExponentialDecay."""
    import keras

    schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5, staircase=True)
    theta = keras.Variable([0.0], dtype="float32")
    optimizer = keras.optimizers.SGD(schedule)
    optimizer.build([theta])
    rates = []
    for _ in range(6):
        rates.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
        optimizer.apply([keras.ops.zeros((1,))])
    return listed(rates)


def optax_rates() -> str:
    """Return the rates of six steps under exponential_decay."""
    import jax.numpy as jnp
    import optax

    rule = optax.sgd(optax.exponential_decay(1.0, 2, 0.5, staircase=True))
    state, rates = rule.init(jnp.zeros(1)), []
    for _ in range(6):
        steps, state = rule.update(jnp.ones(1), state)
        rates.append(-float(steps[0]))
    return listed(rates)


def listed(rates: Sequence[float]) -> str:
    """Return numbers as words."""
    return ", ".join(f"{rate:g}" for rate in rates)
