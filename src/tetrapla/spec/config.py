"""Specification objects as plain JSON data, and back.

An object is {"type": its class's name, and its fields by name}, nested;
the layers of a Sequential are a list. Nothing but the classes in TYPES can
come out of such data, whoever wrote it: they validate their fields as they
do for anyone.
"""

from dataclasses import fields
from inspect import Parameter, signature
from typing import Any

from tetrapla.spec.activations import ACTIVATIONS
from tetrapla.spec.checks import type_name
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.initializers import INITIALIZERS
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import LOSSES
from tetrapla.spec.optimizers import OPTIMIZERS
from tetrapla.spec.schedules import SCHEDULES
from tetrapla.spec.training import EarlyStopping, Training

TYPES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Dense,
        Dropout,
        Sequential,
        *ACTIVATIONS.values(),
        *INITIALIZERS.values(),
        *LOSSES.values(),
        *OPTIMIZERS.values(),
        *SCHEDULES.values(),
        Training,
        EarlyStopping,
    )
}


def to_config(spec: object) -> dict[str, Any]:
    """Return plain data (dict, list, str, int, float, bool, None) for `spec`.

    >>> from tetrapla import Dropout
    >>> to_config(Dropout(0.5))
    {'type': 'Dropout', 'rate': 0.5}
    """
    name = type_name(spec)
    if type(spec) is not TYPES.get(name):
        raise InvalidInputError(
            f"only specification objects have a config, one of {_known()}; got {spec!r}"
        )
    values = {f.name: getattr(spec, f.name) for f in fields(TYPES[name])}
    return {"type": name} | {k: _plain(v) for k, v in values.items()}


def from_config(config: object) -> Any:
    """Return the object that `to_config` described.

    Fields that have a default may be left out, and names stand for
    objects, as in the constructors: {"type": "Dense", "inputs": 2,
    "outputs": 3, "activation": "relu"} is enough.

    Raises
    ------
    InvalidInputError
        For an unknown type, an unknown or missing field, or a value that
        the object itself refuses.

    Examples
    --------
    >>> from_config({"type": "Dropout", "rate": 0.5})
    Dropout(rate=0.5)
    """
    if not isinstance(config, dict) or not isinstance(config.get("type"), str):
        raise InvalidInputError(
            "a config must be a dictionary with the name of its type under 'type', "
            f"got {config!r}"
        )
    name = config["type"]
    if name not in TYPES:
        raise InvalidInputError(f"unknown type {name!r}; there are {_known()}")
    values = {k: _spec(v) for k, v in config.items() if k != "type"}
    if TYPES[name] is Sequential:
        return _sequential(values)
    parameters = signature(TYPES[name]).parameters
    for field in values:
        if field not in parameters:
            raise InvalidInputError(
                f"{name} has no field {field!r}; its fields are {', '.join(parameters)}"
            )
    for field, parameter in parameters.items():
        if parameter.default is Parameter.empty and field not in values:
            raise InvalidInputError(f"{name} needs the field {field!r}")
    return TYPES[name](**values)


def _sequential(values: dict[str, Any]) -> Sequential:
    if set(values) != {"layers"} or not isinstance(values["layers"], list):
        raise InvalidInputError(
            f"Sequential needs one field, the list 'layers'; got {sorted(values, key=str)}"
        )
    return Sequential(*values["layers"])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return to_config(value) if type_name(value) in TYPES else value


def _spec(value: Any) -> Any:
    if isinstance(value, list):
        return [_spec(v) for v in value]
    return from_config(value) if isinstance(value, dict) else value


def _known() -> str:
    return ", ".join(TYPES)
