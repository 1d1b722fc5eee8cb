"""Dialects: what each library means by an optimizer's name.

For each library and optimizer, the library's default values and the
conventions of its formula, as fields of the specification's dataclasses
(optimizers.py). Only what differs from the specification's own defaults
need be here; all is, so that a change of ours changes no dialect.

Seen with PyTorch 2.13, Keras 3.15 and Optax 0.2.8; `tests/test_presets.py`
runs the installed library's defaults beside each. Optax's functions have
no default learning rate (`adadelta` has None, which does not even change
the update's sign): there it is the specification's.
"""

from typing import Any

Preset = dict[str, Any]

_TORCH: dict[str, Preset] = {
    "sgd": {"lr": 1e-3, "velocity": "gradients"},
    "adagrad": {
        "lr": 1e-2,
        "eps": 1e-10,
        "initial_accumulator": 0.0,
        "eps_place": "outside",
    },
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    "rmsprop": {
        "lr": 1e-2,
        "rho": 0.99,
        "eps": 1e-8,
        "eps_place": "outside",
        "velocity": "gradients",
    },
    "adam": {
        "lr": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "eps_place": "outside",
        "amsgrad_max": "raw",
    },
}

_KERAS: dict[str, Preset] = {
    "sgd": {"lr": 1e-2, "velocity": "updates"},
    "adagrad": {
        "lr": 1e-3,
        "eps": 1e-7,
        "initial_accumulator": 0.1,
        "eps_place": "inside",
    },
    "adadelta": {"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
    "rmsprop": {
        "lr": 1e-3,
        "rho": 0.9,
        "eps": 1e-7,
        "eps_place": "inside",
        "velocity": "updates",
    },
    "adam": {
        "lr": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-7,
        "eps_place": "uncorrected",
        "amsgrad_max": "raw",
    },
}

_OPTAX: dict[str, Preset] = {
    "sgd": {"velocity": "gradients"},
    "adagrad": {
        "eps": 1e-7,
        "initial_accumulator": 0.1,
        "eps_place": "inside",
    },
    "adadelta": {"rho": 0.9, "eps": 1e-6},
    "rmsprop": {
        "rho": 0.9,
        "eps": 1e-8,
        "eps_place": "inside",
        "velocity": "updates",
    },
    "adam": {
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "eps_place": "outside",
        "amsgrad_max": "corrected",
    },
}

# What weight_decay means where it is not AdamW's, and AdamW's default.
_DECAY = {"torch": "coupled", "keras": "decoupled", "optax": "coupled"}
_ADAMW = {"torch": 0.01, "keras": 0.004, "optax": 1e-4}

PRESETS: dict[str, dict[str, Preset]] = {
    library: {name: preset | {"decay": _DECAY[library]} for name, preset in table.items()}
    | {
        "adamw": table["adam"] | {"decay": "decoupled", "weight_decay": _ADAMW[library]},
    }
    for library, table in (("torch", _TORCH), ("keras", _KERAS), ("optax", _OPTAX))
}
