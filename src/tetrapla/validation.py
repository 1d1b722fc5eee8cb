"""What every backend is spared: the checks and conversions at the edge.

One function per kind of input. Each returns NumPy arrays of the backend's
dtype, contiguous, or raises InvalidInputError, naming what was given and
what is expected; no message depends on the backend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tetrapla.spec.activations import Activation, Softmax
from tetrapla.spec.checks import non_negative, type_name
from tetrapla.spec.contract import Array, Arrays, Data, Samples
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.layers import Sequential
from tetrapla.spec.losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from tetrapla.spec.optimizers import Optimizer
from tetrapla.spec.precisions import is_floating, numpy_dtype
from tetrapla.spec.state import TrainingState
from tetrapla.spec.stored import PIECE, Stored, in_file
from tetrapla.spec.threefry import Key
from tetrapla.spec.training import Training


def _array(name: str, value: object) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # what __array__ raises
        raise InvalidInputError(f"{name} must be a NumPy array: {error}") from None


def floats(name: str, value: object, dtype: str) -> Array:
    """Return an array of the dtype, rounded once; integers are refused."""
    array = _array(name, value)
    _floating(name, array)
    with np.errstate(over="ignore"):  # beyond the dtype's range is inf
        return np.ascontiguousarray(array, numpy_dtype(dtype)).reshape(array.shape)


def _floating(name: str, array: Array) -> None:
    if not is_floating(array.dtype) or array.dtype.itemsize > 8:
        raise InvalidInputError(
            f"{name} must be floating point (float64, float32, float16 or bfloat16), "
            f"got {array.dtype}"
        )
    if array.size == 0:
        raise InvalidInputError(f"{name} must not be empty, got shape {array.shape}")


def network(net: object) -> None:
    """Check that `net` is a Sequential."""
    if not isinstance(net, Sequential):
        raise InvalidInputError(f"net must be a Sequential, got {type_name(net)}")


def training(settings: object) -> None:
    """Check that `settings` is a Training."""
    if not isinstance(settings, Training):
        raise InvalidInputError(f"training must be a Training, got {type_name(settings)}")


def key(given: Key | None) -> Key | None:
    """Return None or a key: uint32, shape (2,)."""
    if given is None:
        return None
    array = _array("key", given)
    if array.dtype != np.uint32 or array.shape != (2,):
        raise InvalidInputError(
            "key must be None or a key of tetrapla.threefry, uint32 of shape (2,); "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array


def arrays(name: str, given: object, dtype: str) -> Arrays:
    """Return a dictionary of named floating-point arrays."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidInputError(
            f"{name} must be a dictionary of named arrays, got {type_name(given)}"
            + ("" if given or not isinstance(given, Mapping) else " without entries")
        )
    for label in given:
        if not isinstance(label, str):
            raise InvalidInputError(f"{name} must have names as keys, got {label!r}")
    return {label: floats(f"{name}[{label!r}]", a, dtype) for label, a in given.items()}


def _same_shapes(name: str, given: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if set(given) != set(shapes):
        raise InvalidInputError(
            f"{name} must have exactly the keys {list(shapes)}, got {list(given)}"
        )
    for label, shape in shapes.items():
        if given[label].shape != shape:
            raise InvalidInputError(
                f"{name}[{label!r}] must have shape {shape}, got {given[label].shape}"
            )


def weights(net: Sequential, given: object, dtype: str) -> Arrays:
    """Return the network's weights, in the network's order."""
    w = arrays("weights", given, dtype)
    _same_shapes("weights", w, net.shapes)
    return {label: w[label] for label in net.shapes}


def like(name: str, given: object, model: Arrays, dtype: str) -> Arrays:
    """Return arrays of the names, order and shapes of `model`."""
    values = arrays(name, given, dtype)
    _same_shapes(name, values, {label: a.shape for label, a in model.items()})
    return {label: values[label] for label in model}


def optimizer_state(spec: Optimizer, given: object, w: Arrays, dtype: str) -> Arrays:
    """Return a complete state of the optimizer for the weights `w`."""
    if not isinstance(given, Mapping) or "t" not in given:
        raise InvalidInputError(
            "state must be a dictionary with the step 't', as init_optimizer returns it"
        )
    t = _array("state['t']", given["t"])
    if t.dtype.kind not in "iu" or t.shape != () or not 0 <= int(t) < 2**63 - 1:
        raise InvalidInputError(
            f"state['t'] must be an integer in [0, 2^63 - 1), got {given['t']!r}"
        )
    slots = {name: a for name, a in given.items() if name != "t"}
    shapes = {f"{s}/{label}": a.shape for s in spec.slots for label, a in w.items()}
    if set(slots) != set(shapes):
        raise InvalidInputError(
            f"state must have exactly the keys {['t', *shapes]}, got {list(given)}"
        )
    values = arrays("state", slots, dtype) if slots else {}
    _same_shapes("state", values, shapes)
    return {"t": np.asarray(t, np.int64)} | {name: values[name] for name in shapes}


def pre_activation(g: Activation, z: object, dtype: str) -> Array:
    """Return z for an activation; softmax needs an axis."""
    array = floats("z", z, dtype)
    if isinstance(g, Softmax) and array.ndim == 0:
        raise InvalidInputError("softmax needs z with at least one axis, got shape ()")
    return array


def inputs(net: Sequential, x: object, dtype: str, name: str = "x") -> Array:
    """Return x, (batch, inputs)."""
    array = floats(name, x, dtype)
    _input_shape(net, array, name)
    return array


def _input_shape(net: Sequential, array: Array, name: str) -> None:
    if array.ndim != 2 or array.shape[1] != net.inputs:
        raise InvalidInputError(
            f"{name} must have shape (batch, {net.inputs}), got {array.shape}"
        )


def outputs(spec: Loss, given: object, dtype: str) -> Array:
    """Return the outputs that a loss is given."""
    array = floats("outputs", given, dtype)
    allowed = (2,) if isinstance(spec, SoftmaxCrossEntropy) else (1, 2)
    if array.ndim not in allowed:
        raise InvalidInputError(
            f"outputs must have shape (batch, outputs), got {array.shape}"
        )
    if isinstance(spec, BinaryCrossEntropy) and not spec.from_logits:
        _in_unit_interval("outputs", "probabilities", array)
    return array


def _in_unit_interval(name: str, what: str, array: Array, before: int = 0) -> None:
    bad = np.argwhere((array < 0) | (array > 1) | np.isnan(array))
    if len(bad):
        row, *column = bad[0].tolist()
        place = (before + row, *column)
        raise InvalidInputError(
            f"{name} must be {what} in [0, 1], got {array[(row, *column)]} at {place}"
        )


def labels(
    spec: Loss, y: object, shape: tuple[int, ...], dtype: str, name: str = "y"
) -> Array:
    """Return the labels for outputs of that shape."""
    array = _array(name, y)
    _label_shape(spec, array, shape, name)
    return _label_values(spec, array, shape[1:], dtype, name)


def _are_classes(spec: Loss, array: Array) -> bool:
    return (
        isinstance(spec, SoftmaxCrossEntropy)
        and array.ndim == 1
        and array.dtype.kind in "iu"
    )


def _label_shape(spec: Loss, array: Array, shape: tuple[int, ...], name: str) -> None:
    if array.dtype.kind not in "biu" and not is_floating(array.dtype):
        raise InvalidInputError(f"{name} must be numbers, got {array.dtype}")
    wanted = shape[:1] if _are_classes(spec, array) else shape
    if array.shape == wanted:
        return
    if isinstance(spec, SoftmaxCrossEntropy):
        raise InvalidInputError(
            f"{name} must be integer classes of shape ({shape[0]},) or one-hot rows of "
            f"shape {shape}; got {array.dtype} of shape {array.shape}"
        )
    raise InvalidInputError(
        f"{name} must have the shape of the outputs, {shape}; got {array.shape}"
    )


def _label_values(
    spec: Loss,
    array: Array,
    outputs: tuple[int, ...],
    dtype: str,
    name: str,
    before: int = 0,
) -> Array:
    """Return the labels of samples that have so many `before` them."""
    if _are_classes(spec, array):
        (classes,) = outputs
        bad = np.flatnonzero((array < 0) | (array >= classes))
        if len(bad):
            raise InvalidInputError(
                f"{name} must be classes in [0, {classes}), got {array[bad[0]]} "
                f"at {before + bad[0]}"
            )
        return np.ascontiguousarray(array, np.int64)
    rows = floats(name, array if is_floating(array.dtype) else array.astype(dtype), dtype)
    if isinstance(spec, BinaryCrossEntropy):
        _in_unit_interval(name, "labels", rows, before)
    if isinstance(spec, SoftmaxCrossEntropy):
        _in_unit_interval(name, "rows of probabilities", rows, before)
        # Each element is off by at most half an ULP of 1 in float16, the
        # coarsest dtype accepted; the sum of a correct row by that per class.
        sums = rows.sum(axis=1, dtype=np.float64)
        bad = np.flatnonzero(np.abs(sums - 1) > outputs[0] * 2.0**-12)
        if len(bad):
            raise InvalidInputError(
                f"{name} must have rows that add up to 1, got {sums[bad[0]]} "
                f"at {before + bad[0]}"
            )
    return rows


def data(
    x_name: str,
    y_name: str,
    net: Sequential,
    spec: Loss,
    given: Data,
    dtype: str,
    of_labels: str,
) -> Data:
    """Return (x, y), checked against the network and the loss."""
    x, y = _pair(x_name, y_name, given)
    x = inputs(net, x, dtype, x_name)
    return x, labels(spec, y, (len(x), net.outputs), of_labels, y_name)


def _pair(x_name: str, y_name: str, given: Data) -> tuple[object, object]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InvalidInputError(
            f"data must be a pair ({x_name}, {y_name}), got {type_name(given)}"
        )
    return given[0], given[1]


def samples(
    x_name: str,
    y_name: str,
    net: Sequential,
    spec: Loss,
    given: Data,
    dtype: str,
    of_labels: str,
) -> Samples:
    """Return (x, y) as `data` does, but what is in a file stays there.

    It is checked piece by piece.
    """
    pair = _pair(x_name, y_name, given)
    if not any(map(in_file, pair)):
        return data(x_name, y_name, net, spec, given, dtype, of_labels)
    x, y = _array(x_name, pair[0]), _array(y_name, pair[1])
    _floating(x_name, x)
    _input_shape(net, x, x_name)
    _label_shape(spec, y, (len(x), net.outputs), y_name)
    for i in range(0, len(y), PIECE):
        piece = y[i : i + PIECE]
        checked = _label_values(spec, piece, (net.outputs,), of_labels, y_name, before=i)
    return Stored(x, numpy_dtype(dtype)), Stored(y, checked.dtype)


def resume(
    net: Sequential,
    settings: Training,
    given: object,
    history: Sequence[str],
    samples: int,
    dtype: str,
) -> TrainingState:
    """Return the state of an earlier run, checked against this one."""
    if not isinstance(given, TrainingState):
        raise InvalidInputError(
            "resume must be the state of a run, a TrainingState, or a Checkpoint; "
            f"got {type_name(given)}"
        )
    if set(given.history) != set(history):
        raise InvalidInputError(
            f"the run to resume recorded {list(given.history)}, this one would record "
            f"{list(history)}: validation and metrics must be the same in both"
        )
    if given.loss not in (None, settings.loss):
        raise InvalidInputError(
            f"the run to resume went down {given.loss}, not {settings.loss}"
        )
    if given.order is not None and len(given.order) != samples:
        raise InvalidInputError(
            f"the run to resume is inside an epoch of {len(given.order)} samples, "
            f"the data has {samples}"
        )
    w = weights(net, given.weights, dtype)
    best = None if given.best is None else weights(net, given.best, dtype)
    state = optimizer_state(settings.optimizer, given.optimizer, w, dtype)
    return replace(given, weights=w, best=best, optimizer=state)


def same_data(before: Mapping[str, str] | None, now: Mapping[str, str]) -> None:
    """Check that a run goes on with the data that it began with."""
    for which, fingerprint in (before or {}).items():
        if which in now and now[which] != fingerprint:
            raise InvalidInputError(
                f"the run to resume saw other {which} data (the fingerprints differ); "
                "to go on with other data, resume from replace(state, data=None)"
            )


def rates(given: object) -> tuple[float, ...]:
    """Return learning rates, at least one."""
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise InvalidInputError(
            f"rates must be a sequence of learning rates, got {type_name(given)}"
        )
    if len(given) == 0:
        raise InvalidInputError("rates must not be empty")
    return tuple(non_negative(f"rates[{i}]", rate) for i, rate in enumerate(given))


def callback(name: str, given: object) -> None:
    """Check that `given` is None or can be called."""
    if given is not None and not callable(given):
        raise InvalidInputError(
            f"{name} must be None or a function of one argument, got {type_name(given)}"
        )
