"""Models of the libraries to and from the specification, and so to each other.

PyTorch keeps a dense weight as (outputs, inputs) and counts activations as
places of an nn.Sequential, Keras puts an activation inside its Dense, Flax
lists functions: here each becomes the specification's network, weights (in,
out) under "0.weight", and optimizer state in its canonical form. Numbers are
moved, never computed with: a round trip is exact to the bit.
"""

from typing import Any

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


def optimizer_state(model: Any, optimizer: Any, spec: Optimizer) -> Arrays:
    """Return the canonical state of a library's optimizer of a model.

    `optimizer` is a torch.optim or keras.optimizers object, or an
    nnx.Optimizer; `spec` is its rule, for its slots: `Adam.torch()`, say.
    PyTorch's SGD counts no steps: its "t" is 0.
    """
    backend = _able(_backend(model), spec)
    found: Arrays = backend.implementation.optimizer_state(spec, model, optimizer)  # type: ignore[attr-defined]
    return found


def to_optimizer(model: Any, spec: Optimizer, state: Arrays) -> Any:
    """Return the library's own optimizer of a model, to go on from a state.

    Raises
    ------
    UnsupportedError
        If the model's library has no such rule; says which backends have it.
    """
    backend = _able(_backend(model), spec)
    weights = backend.implementation.weights(model)
    state = validation.optimizer_state(spec, state, weights, backend.dtype)
    return backend.implementation.to_optimizer(spec, model, state)  # type: ignore[attr-defined]


def _able(backend: Backend, spec: Optimizer) -> Backend:
    backend.require(spec)
    return backend


def _backend(model: Any) -> Backend:
    """Return the library backend of a model, in the model's dtype."""
    packages = {cls.__module__.split(".")[0] for cls in type(model).__mro__}
    for package, name in LIBRARIES.items():
        if package in packages:
            backend = load(name)
            dtypes = {w.dtype.name for w in backend.implementation.weights(model).values()}
            if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
                raise InvalidInputError(
                    "a model must have dense layers, all in float32 or all in float64; "
                    f"got {', '.join(sorted(dtypes)) or 'none'}"
                )
            return load(name, dtype=dtypes.pop())
    raise InvalidInputError(
        f"model must be of {', '.join(LIBRARIES)}; got a {type(model).__name__}"
    )
