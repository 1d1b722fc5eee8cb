"""Rows: optimizers, their formulas and defaults."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tetrapla.atlas.ask_optimizers import (
    keras_clipped,
    keras_l2,
    keras_rates,
    optax_clipped,
    optax_l2,
    optax_rates,
    optax_small,
    torch_clipped,
    torch_l2,
    torch_rates,
    torch_small,
)
from tetrapla.atlas.row import Probe, Row
from tetrapla.atlas.run_optimizers import (
    CLASSES,
    keras_steps,
    optax_steps,
    torch_steps,
)

RUNS: Mapping[str, Any] = {
    "torch": torch_steps,
    "keras": keras_steps,
    "jax": optax_steps,
}


def run(
    name: str,
    gradients: Sequence[float],
    rates: Sequence[float] = (),
    libraries: Sequence[str] = tuple(RUNS),
    **common: Any,
) -> dict[str, Probe]:
    """Return the probes that run the same steps in each library."""
    return {
        library: partial(RUNS[library], name, gradients, rates, **common)
        for library in libraries
    }


def default(library: str, name: str, setting: str) -> float | str:
    """Return the library's default value of an argument, from the library."""
    if library == "torch":
        from inspect import signature

        import torch

        made = getattr(torch.optim, CLASSES[name])
        value = signature(made).parameters[setting].default
    elif library == "keras":
        import keras

        made = getattr(keras.optimizers, CLASSES[name])()
        value = made.get_config()[setting]
    else:
        from inspect import Parameter, signature

        import optax

        value = signature(getattr(optax, name)).parameters[setting].default
        if value is Parameter.empty:
            return "none: it must be given"
    return float(f"{value:.7g}") if isinstance(value, float | int) else repr(value)


def defaults(
    name: str, torch: str | None, keras: str | None, jax: str | None
) -> dict[str, Probe]:
    """Return the probes that read each library's default of one argument."""
    asked = {"torch": torch, "keras": keras, "jax": jax}
    return {
        library: partial(default, library, name, setting)
        for library, setting in asked.items()
        if setting is not None
    }


CONSTANT: dict[str, Any] = {
    "name": "rmsprop",
    "gradients": [0.3] * 30,
    "rates": [1e-3] * 30,
    "dtype": "float32",
    "centered": True,
}

ROWS = (
    Row(
        "adam-epsilon-place",
        "optimizers",
        "Where Adam's epsilon stands",
        "the first step from 0, lr 1, g = 1e-6, each library's own epsilon",
        "PyTorch and Optax divide the corrected moments, m^ / (sqrt(v^) + eps). Keras "
        "divides the raw ones and scales after, the paper's epsilon-hat: that is "
        "eps / sqrt(1 - beta2^t) in the others' formula, 32 times eps at first.",
        {
            "torch": torch_small,
            "keras": partial(keras_steps, "adam", [1e-6], [1.0]),
            "jax": optax_small,
        },
        (
            "https://github.com/pytorch/pytorch/issues/104857",
            "https://github.com/google-deepmind/optax/issues/571",
            "https://github.com/tensorflow/tensorflow/issues/9047",
        ),
        ("adam", "adamw", "epsilon"),
        write={
            "torch": "group['eps'] = 1e-7 / sqrt(1 - beta2**t) before step t",
            "jax": "optax.inject_hyperparams(optax.adam)(lr, eps=lambda count: "
            "1e-7 / jnp.sqrt(1 - 0.999 ** (count + 1.0)))",
        },
        align={
            "torch": {"eps_hat": 1e-7},
            "jax": {"eps_hat": 1e-7},
        },
        never="so both do what Keras does, but for its float32 beta; no constant epsilon "
        "does. Keras does what the others do only in a subclass that sets self.epsilon in "
        "update_step. tetrapla's from-scratch backends have all: "
        "tp.Adam.keras(), tp.Adam.torch().",
    ),
    Row(
        "adam-epsilon-default",
        "optimizers",
        "Adam's default epsilon",
        "the default value",
        "PyTorch and Optax follow the paper, 1e-8; Keras chose 1e-7 for float32.",
        defaults("adam", "eps", "epsilon", "eps"),
        ("https://keras.io/api/optimizers/adam/",),
        ("adam", "adamw", "epsilon"),
        never="a default is a default: write epsilon=1e-8, and see adam-epsilon-place.",
    ),
    Row(
        "adam-amsgrad",
        "optimizers",
        "What AMSGrad keeps the maximum of",
        "g = 1, then 0.01 twice, lr 0.1, AMSGrad on, eps = 0",
        "PyTorch and Keras keep the largest raw v and correct it by the step's own "
        "factor; Optax keeps the largest corrected v, which is largest at the first "
        "step. Reddi, Kale and Kumar's algorithm 2 corrects nothing.",
        {
            "torch": partial(
                torch_steps, "adam", [1, 0.01, 0.01], [0.1] * 3, amsgrad=True, eps=0.0
            ),
            "keras": partial(
                keras_steps, "adam", [1, 0.01, 0.01], [0.1] * 3, amsgrad=True, epsilon=0.0
            ),
            "jax": partial(optax_steps, "amsgrad", [1, 0.01, 0.01], [0.1] * 3, eps=0.0),
        },
        ("https://github.com/google-deepmind/optax/issues/1389",),
        ("adam", "adamw", "amsgrad"),
        never="no setting changes it; tetrapla's amsgrad_max is 'raw' or 'corrected'.",
    ),
    Row(
        "adam-correction-precision",
        "optimizers",
        "The precision of Adam's bias correction",
        "the first step in float32 from 0, lr 1, g = 1, eps = 0, beyond -1",
        "The exact step is -1. PyTorch forms 1 - beta^t in float64 on the host; Optax and "
        "Keras form it in float32, where 1 - 0.999 keeps four digits.",
        {
            "torch": lambda: (
                torch_steps("adam", [1.0], [1.0], eps=0.0, dtype="float32") + 1
            ),
            "keras": lambda: (
                keras_steps("adam", [1.0], [1.0], epsilon=0.0, dtype="float32") + 1
            ),
            "jax": lambda: optax_steps("adam", [1.0], [1.0], eps=0.0, dtype="float32") + 1,
        },
        (
            "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/tree_utils/_tree_math.py",
        ),
        ("adam", "adamw", "precision"),
        never="it is in the libraries' code: 7e-6 at first, less with every step.",
    ),
    Row(
        "adam-float64",
        "optimizers",
        "Adam's hyper-parameters in a float64 run",
        "the first step in float64 from 0, lr 1, g = 1, eps = 0, beyond -1",
        "Keras takes beta through float32 even where the weights are float64.",
        {
            "torch": lambda: torch_steps("adam", [1.0], [1.0], eps=0.0) + 1,
            "keras": lambda: keras_steps("adam", [1.0], [1.0], epsilon=0.0) + 1,
            "jax": lambda: optax_steps("adam", [1.0], [1.0], eps=0.0) + 1,
        },
        ("https://keras.io/api/optimizers/adam/",),
        ("adam", "adamw", "float64", "precision"),
        never="it is in Keras's code, whatever floatx is.",
    ),
    Row(
        "keras-float32-learning-rate",
        "optimizers",
        "Hyper-parameters in a float64 run",
        "one step of plain gradient descent from 0 in float64, lr 0.1, g = 1, beyond -0.1",
        "Keras keeps the learning rate in a variable of its default dtype, float32, and "
        "converts other hyper-parameters through float32.",
        {
            "torch": lambda: torch_steps("sgd", [1.0], lr=0.1) + 0.1,
            "keras": lambda: keras_steps("sgd", [1.0], learning_rate=0.1) + 0.1,
            "jax": lambda: optax_steps("sgd", [1.0], learning_rate=0.1) + 0.1,
        },
        ("https://keras.io/api/utils/config_utils/#set_floatx-function",),
        ("sgd", "float64", "learning-rate", "precision"),
        never="keras.config.set_floatx('float64') before the optimizer is made; it is "
        "global.",
    ),
    Row(
        "rmsprop-epsilon-place",
        "optimizers",
        "Where RMSProp's epsilon stands",
        "one step from 0, lr 1, decay 0.9, eps 1e-7, g = 1e-4",
        "PyTorch adds epsilon to the root, sqrt(v) + eps; Keras and Optax put it inside, "
        "sqrt(v + eps), where 1e-7 weighs as much as 3e-4 outside.",
        {
            "torch": partial(torch_steps, "rmsprop", [1e-4], [1.0], alpha=0.9, eps=1e-7),
            "keras": partial(keras_steps, "rmsprop", [1e-4], [1.0], rho=0.9, epsilon=1e-7),
            "jax": partial(optax_steps, "rmsprop", [1e-4], [1.0], decay=0.9, eps=1e-7),
        },
        (
            "https://github.com/pytorch/pytorch/issues/23796",
            "https://github.com/google-deepmind/optax/issues/532",
            "https://github.com/tensorflow/tensorflow/issues/58412",
        ),
        ("rmsprop", "epsilon"),
        align={"torch": {}, "jax": {"eps_in_sqrt": False}},
        write={"jax": "optax.rmsprop(lr, decay, eps, eps_in_sqrt=False)"},
        never="Keras's stays inside; eps = 0 makes all three equal.",
    ),
    Row(
        "rmsprop-decay-default",
        "optimizers",
        "RMSProp's default decay of the average",
        "the default value",
        "Hinton's lecture has 0.9; PyTorch calls it alpha and takes 0.99.",
        defaults("rmsprop", "alpha", "rho", "decay"),
        ("https://github.com/pytorch/pytorch/issues/54368",),
        ("rmsprop",),
        never="a default is a default: write alpha=0.9, rho=0.99 or decay=0.99.",
    ),
    Row(
        "rmsprop-momentum",
        "optimizers",
        "RMSProp's momentum when the learning rate changes",
        "g = 1 twice, lr 1 then 0.1, decay 0, momentum 0.9, eps = 0",
        "PyTorch's buffer holds gradients and the whole of it is multiplied by the new "
        "rate; Keras's and Optax's holds updates, which keep the rate they were made "
        "with.",
        {
            "torch": partial(
                torch_steps, "rmsprop", [1, 1], [1, 0.1], alpha=0.0, eps=0.0, momentum=0.9
            ),
            "keras": partial(
                keras_steps, "rmsprop", [1, 1], [1, 0.1], rho=0.0, epsilon=0.0, momentum=0.9
            ),
            "jax": partial(
                optax_steps, "rmsprop", [1, 1], [1, 0.1], decay=0.0, eps=0.0, momentum=0.9
            ),
        },
        ("https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html",),
        ("rmsprop", "momentum"),
        never="equal while the rate is constant; Optax has PyTorch's as "
        "optax.chain(optax.scale_by_rms(...), optax.trace(0.9), "
        "optax.scale_by_learning_rate(lr)).",
    ),
    Row(
        "rmsprop-centred",
        "optimizers",
        "Centred RMSProp on a constant gradient",
        "g = 0.3, 30 times, lr 0.001, decay 0.5, eps 1e-12, float32",
        "The variance v - m^2 of a constant is 0 and may round below it: its root is "
        "NaN. No library clamps it; the specification does.",
        {
            "torch": partial(torch_steps, **CONSTANT, alpha=0.5, eps=1e-12),
            "keras": partial(keras_steps, **CONSTANT, rho=0.5, epsilon=1e-12),
            "jax": partial(optax_steps, **CONSTANT, decay=0.5, eps=1e-12),
        },
        ("https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html",),
        ("rmsprop", "nan"),
        never="a larger epsilon inside the root (Keras, Optax) hides it.",
    ),
    Row(
        "adagrad-start",
        "optimizers",
        "Where Adagrad's sum of squares starts",
        "the first step from 0, lr 1, g = 0.01",
        "PyTorch starts at 0 and adds 1e-10 to the root: a first step of lr, whatever "
        "the gradient. Keras and Optax start at 0.1, with 1e-7 inside the root: a first "
        "step of about lr g / sqrt(0.1).",
        run("adagrad", [0.01], [1.0]),
        ("https://github.com/pytorch/pytorch/pull/6616",),
        ("adagrad", "epsilon"),
        align={
            "torch": {"initial_accumulator_value": 0.1, "eps": 0.0},
            "keras": {"epsilon": 0.0},
            "jax": {"eps": 0.0},
        },
        write={
            "torch": "torch.optim.Adagrad(params, initial_accumulator_value=0.1, eps=0)",
            "keras": "keras.optimizers.Adagrad(epsilon=0.0)",
            "jax": "optax.adagrad(lr, eps=0.0)",
        },
    ),
    Row(
        "adadelta-learning-rate",
        "optimizers",
        "Adadelta's default learning rate",
        "the default value",
        "The paper has none, that is 1; Keras multiplies by 0.001 and so moves a "
        "thousand times less; Optax's None means no scaling and no minus sign.",
        defaults("adadelta", "lr", "learning_rate", "learning_rate"),
        (
            "https://github.com/tensorflow/tensorflow/issues/36785",
            "https://github.com/keras-team/keras/issues/13815",
        ),
        ("adadelta", "learning-rate"),
        never="a default is a default: write learning_rate=1.0.",
    ),
    Row(
        "adadelta-uphill",
        "optimizers",
        "Adadelta without a learning rate",
        "the first step from 0, g = 1, no arguments at all",
        "Optax's minus sign is in scale_by_learning_rate, which learning_rate=None leaves "
        "out: the weights go up the gradient.",
        run("adadelta", [1.0]),
        ("https://github.com/google-deepmind/optax/issues/1242",),
        ("adadelta", "learning-rate"),
        align={
            "torch": {"lr": 1.0},
            "keras": {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
            "jax": {"learning_rate": 1.0},
        },
        write={
            "keras": "keras.optimizers.Adadelta(1.0, rho=0.9, epsilon=1e-6)",
            "jax": "optax.adadelta(1.0)",
        },
    ),
    Row(
        "sgd-momentum",
        "optimizers",
        "Momentum when the learning rate changes",
        "g = 1 twice, lr 1 then 0.1, momentum 0.9",
        "PyTorch and Optax collect gradients, v = mu v + g, theta -= lr v: a new rate "
        "applies to all of v. Keras collects updates, v = mu v - lr g, theta += v: what "
        "was collected keeps its rate.",
        run("sgd", [1, 1], [1, 0.1], momentum=0.9),
        ("https://github.com/pytorch/pytorch/issues/1099",),
        ("sgd", "momentum", "velocity"),
        never="equal while the rate is constant; Optax has Keras's as "
        "optax.chain(optax.scale(-lr), optax.trace(0.9)).",
    ),
    Row(
        "sgd-nesterov",
        "optimizers",
        "Nesterov's momentum",
        "g = 1, 0.5, -1 at lr 0.1, momentum 0.9, nesterov",
        "All three look ahead from the same buffer, g + mu v: the same numbers while the "
        "rate is constant.",
        run("sgd", [1, 0.5, -1], [0.1] * 3, momentum=0.9, nesterov=True),
        ("https://github.com/pytorch/pytorch/pull/5920",),
        ("sgd", "momentum", "nesterov"),
        align={"torch": {}, "jax": {}},
        never="Keras's float32 learning rate is what is left.",
    ),
    Row(
        "sgd-learning-rate",
        "optimizers",
        "SGD's default learning rate",
        "the default value",
        "Only a habit: PyTorch 0.001 (it had none before 2.1), Keras 0.01, Optax none.",
        defaults("sgd", "lr", "learning_rate", "learning_rate"),
        ("https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html",),
        ("sgd", "learning-rate"),
        never="a default is a default: always write it.",
    ),
    Row(
        "weight-decay-adam",
        "optimizers",
        "What weight_decay means in Adam",
        "the first step from 2, lr 0.1, g = 1, weight_decay 0.5",
        "PyTorch's Adam adds it to the gradient (L2), where Adam's scaling all but "
        "removes it; Keras's shrinks the weights themselves (decoupled, AdamW). Optax's "
        "adam has no such argument: adamw decouples, add_decayed_weights before it is L2.",
        {
            "torch": partial(
                torch_steps, "adam", [1], [0.1], start=2.0, weight_decay=0.5, eps=0.0
            ),
            "keras": partial(
                keras_steps, "adam", [1], [0.1], start=2.0, weight_decay=0.5, epsilon=0.0
            ),
            "jax": lambda **settings: optax_steps(
                "adamw", [1], [0.1], start=2.0, weight_decay=0.5, eps=0.0, **settings
            ),
        },
        (
            "https://github.com/pytorch/pytorch/issues/48793",
            "https://github.com/google-deepmind/optax/issues/417",
            "https://github.com/keras-team/keras/issues/19051",
        ),
        ("adam", "adamw", "sgd", "weight-decay", "l2"),
        align={"torch": {"decoupled_weight_decay": True}, "jax": {}},
        never="Keras's is the same but for its float32 numbers.",
        write={
            "torch": "torch.optim.AdamW(params, weight_decay=0.5)",
            "keras": "keras.optimizers.Adam(weight_decay=0.5)",
            "jax": "optax.adamw(lr, weight_decay=0.5)",
        },
    ),
    Row(
        "l2-factor",
        "optimizers",
        "What an L2 of 0.5 adds to the gradient",
        "one step of plain gradient descent, lr 1, from 2 with no other gradient",
        "PyTorch's weight_decay and optax.add_decayed_weights add lambda theta; a Keras "
        "regularizer adds lambda theta^2 to the loss, whose derivative is twice that. "
        "Keras's own weight_decay is decoupled.",
        {"torch": torch_l2, "keras": keras_l2, "jax": optax_l2},
        ("https://github.com/google-deepmind/optax/issues/417",),
        ("adam", "sgd", "rmsprop", "weight-decay", "l2", "regularizer"),
        align={"torch": {}, "keras": {"l2": 0.25}, "jax": {}},
        write={
            "torch": "torch.optim.SGD(params, lr, weight_decay=0.5)",
            "keras": "Dense(n, kernel_regularizer=keras.regularizers.L2(0.25))",
            "jax": "optax.chain(optax.add_decayed_weights(0.5), optax.sgd(lr))",
        },
    ),
    Row(
        "learning-rate-schedule",
        "optimizers",
        "What a schedule counts",
        "halve the rate every 2, two epochs of three batches: the rate of each step",
        "torch.optim.lr_scheduler counts its own step(), which scripts call once an epoch; "
        "schedules of Keras and Optax are functions of the optimizer's steps, and start "
        "at 0 in all three.",
        {"torch": torch_rates, "keras": keras_rates, "jax": optax_rates},
        (
            "https://github.com/pytorch/pytorch/pull/7889",
            "https://github.com/google-deepmind/optax/issues/415",
        ),
        ("schedule", "scheduler", "steplr", "learning-rate", "decay", "epoch"),
        align={"torch": {"every_batch": True}, "keras": {}, "jax": {}},
        write={
            "torch": "scheduler.step() after every batch",
            "keras": "ExponentialDecay(lr, 2, 0.5, staircase=True); for epochs multiply 2 "
            "by the batches",
            "jax": "optax.exponential_decay(lr, 2, 0.5, staircase=True); likewise",
        },
    ),
    Row(
        "weight-decay-sgd",
        "optimizers",
        "Where momentum meets weight decay",
        "two steps from 2, lr 0.1, g = 0, momentum 0.9, weight_decay 0.5",
        "PyTorch adds the decay to the gradient, so that momentum collects it; Keras "
        "shrinks the weights beside the rule.",
        run(
            "sgd",
            [0, 0],
            [0.1, 0.1],
            ("torch", "keras"),
            start=2.0,
            momentum=0.9,
            weight_decay=0.5,
        ),
        ("https://github.com/pytorch/pytorch/issues/38767",),
        ("sgd", "weight-decay", "l2", "momentum"),
        never="without momentum they are the same; Optax has both, by where "
        "optax.add_decayed_weights stands in the chain.",
    ),
    Row(
        "gradient-clipping",
        "optimizers",
        "What is clipped to a norm of 1",
        "plain gradient descent, lr 1, two weights whose gradients are 3 and 4: the first "
        "weight's step",
        "PyTorch's clip_grad_norm_ and Optax's clip_by_global_norm take the norm over all "
        "weights, 5; Keras's clipnorm takes each weight's own.",
        {"torch": torch_clipped, "keras": keras_clipped, "jax": optax_clipped},
        ("https://github.com/tensorflow/tensorflow/issues/36001",),
        ("clipping", "clipnorm", "gradient", "sgd"),
        align={"torch": {}, "keras": {"argument": "global_clipnorm"}, "jax": {}},
        write={"keras": "keras.optimizers.SGD(lr, global_clipnorm=1.0)"},
    ),
    Row(
        "adamw-decay-default",
        "optimizers",
        "AdamW's default weight decay",
        "the default value",
        "Three libraries, three values; all multiply it by the learning rate.",
        defaults("adamw", "weight_decay", "weight_decay", "weight_decay"),
        (
            "https://github.com/google-deepmind/optax/issues/292",
            "https://github.com/tensorflow/addons/issues/2282",
        ),
        ("adamw", "weight-decay"),
        never="a default is a default: write weight_decay=0.01.",
    ),
)
