"""Write an optimizer of the specification as each library's own code."""

from typing import Any

from tetrapla.atlas.row import BACKENDS, LIBRARIES
from tetrapla.atlas.run_optimizers import CLASSES
from tetrapla.backends import BUILT_IN
from tetrapla.spec import Optimizer, dialects

# Each library's word in the presets.
PRESETS = {library: BUILT_IN[BACKENDS[library]].dialect or "" for library in LIBRARIES}

# The specification's fields, and what the libraries call them; a field that is
# not here is part of a library's formula and cannot be chosen.
_TORCH = {
    "lr": "lr",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "weight_decay": "weight_decay",
    "initial_accumulator": "initial_accumulator_value",
    "rho": "rho",
    "eps": "eps",
    "centered": "centered",
    "amsgrad": "amsgrad",
}
_KERAS = {
    "lr": "learning_rate",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "weight_decay": "weight_decay",
    "initial_accumulator": "initial_accumulator_value",
    "rho": "rho",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "eps": "epsilon",
    "centered": "centered",
    "amsgrad": "amsgrad",
}
_OPTAX = {
    "lr": "learning_rate",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "weight_decay": "weight_decay",
    "initial_accumulator": "initial_accumulator_value",
    "rho": "rho",
    "beta1": "b1",
    "beta2": "b2",
    "eps": "eps",
    "centered": "centered",
}


def written(library: str, spec: Optimizer) -> str:
    """Return the library's own call of the rule: the rate, and what is not default.

    The library must have the rule: `supports` of its backend says so.

    >>> from tetrapla.spec import RMSProp
    >>> written("torch", RMSProp.torch(rho=0.9))
    'torch.optim.RMSprop(params, lr=0.01, alpha=0.9)'
    """
    fields = {name: getattr(spec, name) for name in spec.__dataclass_fields__}  # type: ignore[attr-defined]
    usual = dialects.PRESETS[PRESETS[library]][spec.name]
    usual = {"weight_decay": 0.0, "momentum": 0.0} | usual
    chosen = {
        name: value
        for name, value in fields.items()
        if name == "lr" or value != usual.get(name, False)
    }
    return {"torch": _torch, "keras": _keras, "jax": _optax}[library](spec, chosen)


def _torch(spec: Any, chosen: dict[str, Any]) -> str:
    kind = CLASSES[spec.name]
    if kind == "Adam" and spec.weight_decay and spec.decay == "decoupled":
        kind = "AdamW"
    if spec.decay == "decoupled" and "Adam" not in kind:
        chosen.pop("weight_decay", None)  # a hook's, which `supports` describes
    args = {_TORCH[name]: value for name, value in chosen.items() if name in _TORCH}
    if "rho" in args and spec.name == "rmsprop":
        args["alpha"] = args.pop("rho")
    if "beta1" in chosen or "beta2" in chosen:
        args["betas"] = (spec.beta1, spec.beta2)
    return f"torch.optim.{kind}(params, {_arguments(args)})"


def _keras(spec: Any, chosen: dict[str, Any]) -> str:
    if spec.decay == "coupled":
        chosen.pop("weight_decay", None)  # an update_step's, as `supports` describes
    args = {_KERAS[name]: value for name, value in chosen.items() if name in _KERAS}
    return f"keras.optimizers.{CLASSES[spec.name]}({_arguments(args)})"


def _optax(spec: Any, chosen: dict[str, Any]) -> str:
    own = spec.name in ("adam", "adamw") and spec.decay == "decoupled" and not spec.amsgrad
    decay = spec.weight_decay
    if not own and spec.name != "adadelta":
        chosen.pop("weight_decay", None)
    elif spec.name == "adadelta" and spec.decay == "decoupled":
        own = not chosen.pop("weight_decay", None)
    rule = _optax_rule(spec, chosen)
    if not decay or own or (spec.name == "adadelta" and spec.decay == "coupled"):
        return rule
    if spec.decay == "coupled":
        return f"optax.chain(optax.add_decayed_weights({decay!r}), {rule})"
    return f"optax.chain({rule}, optax.add_decayed_weights({-spec.lr * decay!r}))"


def _optax_rule(spec: Any, chosen: dict[str, Any]) -> str:
    momentum = getattr(spec, "momentum", 0.0)
    trace = momentum and f"optax.trace({momentum!r}, nesterov={spec.nesterov})"
    rate = f"optax.scale_by_learning_rate({spec.lr!r})"
    inside = getattr(spec, "eps_place", "") == "inside"
    if momentum and spec.name == "sgd" and spec.velocity == "updates":
        return f"optax.chain({rate}, {trace})"
    if momentum and spec.name == "rmsprop" and spec.velocity == "gradients":
        scale = "scale_by_stddev" if spec.centered else "scale_by_rms"
        args = {"decay": spec.rho, "eps": spec.eps, "eps_in_sqrt": inside}
        return f"optax.chain(optax.{scale}({_arguments(args)}), {trace}, {rate})"
    args = {_OPTAX[name]: value for name, value in chosen.items() if name in _OPTAX}
    name = spec.name
    if name == "rmsprop":
        if "rho" in args:
            args["decay"] = args.pop("rho")
        if not inside:
            args["eps_in_sqrt"] = False
    if name in ("adam", "adamw") and inside:
        args |= {"eps": 0.0, "eps_root": spec.eps}
    if name == "adam" and spec.weight_decay and spec.decay == "decoupled":
        name = "adamw"
    if name in ("adam", "adamw") and spec.amsgrad:
        name = "amsgrad"
    return f"optax.{name}({_arguments(args)})"


def _arguments(args: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in args.items())
