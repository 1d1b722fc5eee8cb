"""Models of the libraries to and from the specification, and so to each other.

PyTorch keeps a dense weight as (outputs, inputs) and counts activations as
places of an nn.Sequential, Keras puts an activation inside its Dense, Flax
lists functions: here each becomes the specification's network, weights (in,
out) under "0.weight", and optimizer state in its canonical form. Numbers are
moved, never computed with: a round trip is exact to the bit.
"""

from typing import Any

import numpy as np

from tetrapla import validation
from tetrapla.backends import Backend, load
from tetrapla.spec.contract import Arrays
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.layers import Sequential
from tetrapla.spec.optimizers import Optimizer

# The library of a model, by the package that its class comes from.
LIBRARIES = {"torch": "torch.nn", "keras": "tf.keras", "flax": "jax.flax"}


def from_model(model: Any, net: Sequential | None = None) -> tuple[Sequential, Arrays]:
    """Return the network and the weights of a model of PyTorch, Keras or Flax.

    Parameters
    ----------
    model
        An nn.Sequential, a keras.Sequential or an nnx.Sequential of dense layers,
        activations and dropout. Or any module that holds dense layers, with `net`.
    net
        The network, where it cannot be read from the model: its dense layers
        are the model's, in the order in which the model holds them.

    Raises
    ------
    InvalidInputError
        If the model is of no known library, or holds what the specification
        has not; says what.
    """
    backend = _backend(model)
    if net is None:
        net = backend.implementation.network(model)  # type: ignore[attr-defined]
    validation.network(net)
    found = backend.implementation.weights(model)
    dense = [name for name in found if name.endswith(".weight")]
    if len(dense) != len(net.dense):
        raise InvalidInputError(
            f"net has {len(net.dense)} dense layers, the model {len(dense)}"
        )
    weights: Arrays = {}
    for i, name in zip(net.dense, dense, strict=True):
        weights[f"{i}.weight"] = found[name]
        weights[f"{i}.bias"] = found[name.removesuffix("weight") + "bias"]
    validation.weights(net, weights, backend.dtype)  # for its checks alone
    return net, weights


def to_model(net: Sequential, weights: Arrays, backend: str) -> Any:
    """Return the library's own model of a network, in the weights' dtype.

    >>> from tetrapla.spec import Dense
    >>> net = Sequential(Dense(2, 1))
    >>> to_model(net, net.init(seed=0), "numpy").__class__.__name__
    'Sequential'
    """
    dtypes = {w.dtype.name for w in weights.values()}
    if len(dtypes) != 1:
        raise InvalidInputError(f"weights must have one dtype, got {sorted(dtypes)}")
    return load(backend, dtype=dtypes.pop()).build(net, weights)


def convert(model: Any, backend: str, net: Sequential | None = None) -> Any:
    """Return a model of one library as a model of another, with the same numbers.

    `backend` is the library to go to: "torch.nn", "tf.keras", "jax.flax", or a
    from-scratch backend. `net` is as for `from_model`.
    """
    return to_model(*from_model(model, net), backend)


def optimizer_state(
    model: Any, optimizer: Any, spec: Optimizer, net: Sequential | None = None
) -> Arrays:
    """Return the canonical state of a library's optimizer of a model.

    Parameters
    ----------
    model, net
        As for `from_model`.
    optimizer
        A torch.optim or keras.optimizers object, or an nnx.Optimizer.
    spec
        Its rule: `Adam.torch()`, say. The state is this rule's own:
        `translate_state` takes it to another library's.

    PyTorch's SGD counts no steps: its "t" is 0.

    Raises
    ------
    InvalidInputError
        If the optimizer is not of this model, or not of this rule.
    UnsupportedError
        If the library has no such rule.
    """
    backend = _backend(model)
    backend.require(spec)
    found: Arrays = backend.implementation.optimizer_state(spec, model, optimizer)  # type: ignore[attr-defined]
    return _renamed(found, _names(backend, model, net))


def to_optimizer(
    model: Any, spec: Optimizer, state: Arrays, net: Sequential | None = None
) -> Any:
    """Return the library's own optimizer of a model, to go on from a state.

    The state is of this very rule: see `translate_state`.

    Raises
    ------
    UnsupportedError
        If the model's library has no such rule; says which backends have it.
    """
    backend = _backend(model)
    backend.require(spec)
    weights = backend.implementation.weights(model)
    names = {new: old for old, new in _names(backend, model, net).items()}
    state = _renamed(state, names)
    state = validation.optimizer_state(spec, state, weights, backend.dtype)
    return backend.implementation.to_optimizer(spec, model, state)  # type: ignore[attr-defined]


def translate_state(state: Arrays, source: Optimizer, target: Optimizer) -> Arrays:
    """Return the state of one rule as another's, where the dialects allow.

    A velocity of "updates" is the learning rate times one of "gradients", as
    long as the rate is constant: it is multiplied or divided by it, and
    rounded. Other slots mean the same in every dialect, but for AMSGrad's
    maximum of v, raw or corrected.

    Raises
    ------
    InvalidInputError
        If the rules are not of one name, or keep different things.

    >>> import numpy as np
    >>> from tetrapla.spec import SGD
    >>> state = {"t": np.array(3), "velocity/0.weight": np.array([2.0])}
    >>> source = SGD.torch(0.5, momentum=0.9)
    >>> translate_state(state, source, SGD.keras(0.5, momentum=0.9))["velocity/0.weight"]
    array([1.])
    """
    if source.name != target.name or source.slots.keys() != target.slots.keys():
        raise InvalidInputError(f"the state of {source} is none of {target}")
    maxima = [getattr(spec, "amsgrad_max", "") for spec in (source, target)]
    if "v_max" in source.slots and maxima[0] != maxima[1]:
        raise InvalidInputError(
            f"a maximum of {maxima[0]} v is none of {maxima[1]} v: it has to start anew"
        )
    scale = _rate(target) / _rate(source)
    return {
        name: np.asarray(a * scale, a.dtype) if name.startswith("velocity/") else a
        for name, a in state.items()
    }


def _rate(spec: Any) -> float:
    """Return what a velocity holds of the learning rate."""
    if "velocity" not in spec.slots or spec.velocity == "gradients":
        return 1.0
    if spec.lr == 0:
        raise InvalidInputError("a velocity of updates at the rate 0 says nothing")
    rate: float = spec.lr
    return rate


def _names(backend: Backend, model: Any, net: Sequential | None) -> dict[str, str]:
    """Return the network's names of the weights, by the model's."""
    found = list(backend.implementation.weights(model))
    return dict(zip(found, from_model(model, net)[1] if net else found, strict=True))


def _renamed(state: Arrays, names: dict[str, str]) -> Arrays:
    """Return a state under other names of the weights."""
    renamed = {}
    for key, value in state.items():
        slot, _, name = key.partition("/")
        renamed[f"{slot}/{names.get(name, name)}" if name else key] = value
    return renamed


def _backend(model: Any) -> Backend:
    """Return the library backend of a model, in the model's dtype."""
    packages = {cls.__module__.split(".")[0] for cls in type(model).__mro__}
    for package, name in LIBRARIES.items():
        if package in packages:
            found = load(name).implementation.weights(model)
            dtypes = {w.dtype.name for w in found.values()}
            if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
                raise InvalidInputError(
                    "a model must have dense layers, all in float32 or all in float64; "
                    f"got {', '.join(sorted(dtypes)) or 'none'}"
                )
            return load(name, dtype=dtypes.pop())
    raise InvalidInputError(
        f"model must be of {', '.join(LIBRARIES)}; got a {type(model).__name__}"
    )
