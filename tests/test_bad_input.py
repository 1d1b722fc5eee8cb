"""Bad input: one error type and one message in every backend.

A row changes one argument of a good call and says what must come out: the
message in full, or a pattern where NumPy's own words are quoted.
"""

import copy
import re
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.backends import Backend
from tetrapla.checkpoints import Checkpoint
from tetrapla.spec import InvalidInputError, TrainingState

NET = tp.Sequential(tp.Dense(2, 3, "relu"), tp.Dropout(0.5), tp.Dense(3, 2))
WEIGHTS = NET.init(seed=1)
X = np.linspace(-1.0, 1.0, 8).reshape(4, 2)
Y = np.linspace(0.0, 1.0, 8).reshape(4, 2)
CLASSES = np.array([0, 1, 1, 0])
KEY = tp.threefry.key(3)
MOMENTUM = tp.SGD(0.1, momentum=0.9)
STATE = {"t": np.int64(2)} | {f"velocity/{n}": w for n, w in WEIGHTS.items()}
TRAINING = tp.Training(epochs=2, optimizer=MOMENTUM, loss="mse")
RESUME = TrainingState(1, 1, WEIGHTS, STATE, {"loss": [1.0]})
KEYS = "['0.weight', '0.bias', '2.weight', '2.bias']"
SLOTS = (
    "['t', 'velocity/0.weight', 'velocity/0.bias', 'velocity/2.weight', 'velocity/2.bias']"
)

EXAMPLE = {"net": NET, "weights": WEIGHTS, "x": X, "y": Y, "loss": "mse"}
GOOD = {
    "build": {"net": NET, "weights": WEIGHTS},
    "activation": {"activation": "tanh", "z": X},
    "activation_gradient": {"activation": "tanh", "z": X, "upstream": X},
    "forward": {"net": NET, "weights": WEIGHTS, "x": X, "key": KEY},
    "loss": {"loss": "mse", "outputs": X, "y": Y},
    "loss_and_gradients": EXAMPLE,
    "trace": EXAMPLE,
    "init_optimizer": {"optimizer": MOMENTUM, "weights": WEIGHTS},
    "update": {
        "optimizer": MOMENTUM,
        "weights": WEIGHTS,
        "gradients": WEIGHTS,
        "state": STATE,
    },
    "supports": {"optimizer": "sgd"},
    "fit": {"net": NET, "weights": WEIGHTS, "data": (X, Y), "training": TRAINING},
}

FLOATING = "must be floating point (float64, float32, float16 or bfloat16), got"
ACTIVATIONS = (
    "identity, sigmoid, tanh, relu, softmax, leaky_relu, elu, softplus, silu, "
    "gelu_erf, gelu_tanh"
)
LOSSES = (
    "mean_squared_error, mse, binary_cross_entropy, bce, softmax_cross_entropy; got 'foo'"
)
OPTIMIZERS = "sgd, adagrad, adadelta, rmsprop, adam, adamw; got 'foo'"
SCALAR_LOSS = "gradients need a scalar loss: reduction must be 'mean' or 'sum', got 'none'"
ONE_KEY = "key must be None or a key of tetrapla.threefry, uint32 of shape (2,); got "
NO_NETWORK = "net must be a Sequential, got list"
NO_STATE = "state must be a dictionary with the step 't', as init_optimizer returns it"
NESTED = re.compile(r"x must be a NumPy array: setting an array element with a sequence.*")


def without(mapping, name):
    return {k: v for k, v in mapping.items() if k != name}


def bent(array, place, value):
    """Return a copy with one element changed."""
    new = np.array(array)
    new[place] = value
    return new


# (id, method, what is changed, message)
ROWS = [
    # x
    ("x-shape", "forward", {"x": X.T}, "x must have shape (batch, 2), got (2, 4)"),
    ("x-1d", "forward", {"x": X[0]}, "x must have shape (batch, 2), got (2,)"),
    ("x-3d", "forward", {"x": X[None]}, "x must have shape (batch, 2), got (1, 4, 2)"),
    ("x-empty", "forward", {"x": X[:0]}, "x must not be empty, got shape (0, 2)"),
    ("x-integers", "forward", {"x": np.ones((4, 2), int)}, f"x {FLOATING} int64"),
    ("x-booleans", "forward", {"x": np.ones((4, 2), bool)}, f"x {FLOATING} bool"),
    ("x-complex", "forward", {"x": X + 1j}, f"x {FLOATING} complex128"),
    ("x-objects", "forward", {"x": X.astype(object)}, f"x {FLOATING} object"),
    ("x-strings", "forward", {"x": X.astype("U3")}, f"x {FLOATING} <U3"),
    ("x-dates", "forward", {"x": np.ones((4, 2), "M8[D]")}, f"x {FLOATING} datetime64[D]"),
    ("x-ragged", "forward", {"x": [[1.0, 2.0], [3.0]]}, NESTED),
    ("x-none", "forward", {"x": None}, f"x {FLOATING} object"),
    (
        "x-gradients",
        "loss_and_gradients",
        {"x": X.T},
        "x must have shape (batch, 2), got (2, 4)",
    ),
    ("x-trace", "trace", {"x": X.T}, "x must have shape (batch, 2), got (2, 4)"),
    # z, upstream
    ("z-integers", "activation", {"z": np.arange(3)}, f"z {FLOATING} int64"),
    (
        "z-empty",
        "activation",
        {"z": np.ones((0, 3))},
        "z must not be empty, got shape (0, 3)",
    ),
    (
        "z-softmax-scalar",
        "activation",
        {"activation": "softmax", "z": np.float64(1)},
        "softmax needs z with at least one axis, got shape ()",
    ),
    (
        "upstream-shape",
        "activation_gradient",
        {"upstream": X[:1]},
        "upstream must have the shape of z, (4, 2); got (1, 2)",
    ),
    (
        "upstream-integers",
        "activation_gradient",
        {"upstream": np.ones((4, 2), int)},
        f"upstream {FLOATING} int64",
    ),
    # weights
    (
        "weights-list",
        "build",
        {"weights": list(WEIGHTS.values())},
        "weights must be a dictionary of named arrays, got list",
    ),
    (
        "weights-none",
        "forward",
        {"weights": {}},
        "weights must be a dictionary of named arrays, got dict without entries",
    ),
    (
        "weights-missing",
        "build",
        {"weights": without(WEIGHTS, "2.bias")},
        f"weights must have exactly the keys {KEYS}, "
        "got ['0.weight', '0.bias', '2.weight']",
    ),
    (
        "weights-extra",
        "forward",
        {"weights": WEIGHTS | {"1.bias": np.ones(3)}},
        f"weights must have exactly the keys {KEYS}, got {KEYS[:-1]}, '1.bias']",
    ),
    (
        "weights-transposed",
        "loss_and_gradients",
        {"weights": WEIGHTS | {"0.weight": WEIGHTS["0.weight"].T}},
        "weights['0.weight'] must have shape (2, 3), got (3, 2)",
    ),
    (
        "weights-bias-column",
        "fit",
        {"weights": WEIGHTS | {"0.bias": np.ones((3, 1))}},
        "weights['0.bias'] must have shape (3,), got (3, 1)",
    ),
    (
        "weights-integers",
        "build",
        {"weights": WEIGHTS | {"0.bias": np.zeros(3, int)}},
        f"weights['0.bias'] {FLOATING} int64",
    ),
    (
        "weights-names",
        "init_optimizer",
        {"weights": {0: np.ones(3)}},
        "weights must have names as keys, got 0",
    ),
    # gradients and state of an optimizer
    (
        "gradients-shape",
        "update",
        {"gradients": WEIGHTS | {"0.bias": np.ones(2)}},
        "gradients['0.bias'] must have shape (3,), got (2,)",
    ),
    (
        "gradients-missing",
        "update",
        {"gradients": without(WEIGHTS, "0.bias")},
        f"gradients must have exactly the keys {KEYS}, "
        "got ['0.weight', '2.weight', '2.bias']",
    ),
    (
        "gradients-integers",
        "update",
        {"gradients": WEIGHTS | {"0.bias": np.zeros(3, int)}},
        f"gradients['0.bias'] {FLOATING} int64",
    ),
    ("state-none", "update", {"state": None}, NO_STATE),
    ("state-without-t", "update", {"state": without(STATE, "t")}, NO_STATE),
    (
        "state-float-t",
        "update",
        {"state": STATE | {"t": 1.5}},
        "state['t'] must be an integer in [0, 2^63 - 1), got 1.5",
    ),
    (
        "state-negative-t",
        "update",
        {"state": STATE | {"t": -1}},
        "state['t'] must be an integer in [0, 2^63 - 1), got -1",
    ),
    (
        "state-last-t",
        "update",
        {"state": STATE | {"t": 2**63 - 1}},
        "state['t'] must be an integer in [0, 2^63 - 1), got 9223372036854775807",
    ),
    (
        "state-huge-t",
        "update",
        {"state": STATE | {"t": np.uint64(2**63)}},
        "state['t'] must be an integer in [0, 2^63 - 1), "
        "got np.uint64(9223372036854775808)",
    ),
    (
        "state-incomplete",
        "update",
        {"state": without(STATE, "velocity/2.bias")},
        f"state must have exactly the keys {SLOTS}, got ['t', 'velocity/0.weight', "
        "'velocity/0.bias', 'velocity/2.weight']",
    ),
    (
        "state-of-another",
        "update",
        {"optimizer": "sgd"},
        f"state must have exactly the keys ['t'], got {SLOTS}",
    ),
    (
        "state-shape",
        "update",
        {"state": STATE | {"velocity/0.bias": np.ones(2)}},
        "state['velocity/0.bias'] must have shape (3,), got (2,)",
    ),
    # labels
    (
        "y-not-broadcast",
        "loss",
        {"outputs": X[:, :1], "y": Y[:, 0]},
        "y must have the shape of the outputs, (4, 1); got (4,)",
    ),
    (
        "y-not-broadcast-back",
        "loss",
        {"outputs": X[:, 0], "y": Y[:, :1]},
        "y must have the shape of the outputs, (4,); got (4, 1)",
    ),
    (
        "y-network",
        "loss_and_gradients",
        {"y": Y[:, 0]},
        "y must have the shape of the outputs, (4, 2); got (4,)",
    ),
    (
        "y-batch",
        "trace",
        {"y": Y[:3]},
        "y must have the shape of the outputs, (4, 2); got (3, 2)",
    ),
    ("y-strings", "loss", {"y": Y.astype("U3")}, "y must be numbers, got <U3"),
    ("y-complex", "loss", {"y": Y + 1j}, "y must be numbers, got complex128"),
    ("y-none", "loss", {"y": None}, "y must be numbers, got object"),
    (
        "y-bce-above",
        "loss",
        {"loss": "bce", "y": bent(Y, (2, 1), 1.5)},
        "y must be labels in [0, 1], got 1.5 at (2, 1)",
    ),
    (
        "y-bce-negative",
        "loss_and_gradients",
        {"loss": "bce", "y": bent(Y, (0, 0), -1)},
        "y must be labels in [0, 1], got -1.0 at (0, 0)",
    ),
    (
        "y-bce-nan",
        "loss",
        {"loss": "bce", "y": bent(Y, (1, 0), np.nan)},
        "y must be labels in [0, 1], got nan at (1, 0)",
    ),
    (
        "class-too-large",
        "loss",
        {"loss": "softmax_cross_entropy", "y": bent(CLASSES, 2, 2)},
        "y must be classes in [0, 2), got 2 at 2",
    ),
    (
        "class-negative",
        "loss_and_gradients",
        {"loss": "softmax_cross_entropy", "y": bent(CLASSES, 1, -1)},
        "y must be classes in [0, 2), got -1 at 1",
    ),
    (
        "class-float",
        "loss",
        {"loss": "softmax_cross_entropy", "y": CLASSES.astype(float)},
        "y must be integer classes of shape (4,) or one-hot rows of shape (4, 2); "
        "got float64 of shape (4,)",
    ),
    (
        "class-column",
        "loss",
        {"loss": "softmax_cross_entropy", "y": CLASSES[:, None]},
        "y must be integer classes of shape (4,) or one-hot rows of shape (4, 2); "
        "got int64 of shape (4, 1)",
    ),
    (
        "rows-not-one",
        "loss",
        {"loss": "softmax_cross_entropy", "y": np.full((4, 2), 0.25)},
        "y must have rows that add up to 1, got 0.5 at 0",
    ),
    (
        "rows-outside",
        "loss",
        {"loss": "softmax_cross_entropy", "y": np.array([[1.5, -0.5]] * 4)},
        "y must be rows of probabilities in [0, 1], got 1.5 at (0, 0)",
    ),
    # outputs
    (
        "outputs-3d",
        "loss",
        {"outputs": X[None], "y": Y[None]},
        "outputs must have shape (batch, outputs), got (1, 4, 2)",
    ),
    (
        "outputs-softmax-1d",
        "loss",
        {"loss": "softmax_cross_entropy", "outputs": X[0], "y": CLASSES[:2]},
        "outputs must have shape (batch, outputs), got (2,)",
    ),
    (
        "outputs-empty",
        "loss",
        {"outputs": X[:0]},
        "outputs must not be empty, got shape (0, 2)",
    ),
    (
        "probability-above",
        "loss",
        {"loss": tp.BinaryCrossEntropy(from_logits=False), "outputs": bent(Y, (3, 0), 2)},
        "outputs must be probabilities in [0, 1], got 2.0 at (3, 0)",
    ),
    (
        "probability-negative",
        "loss",
        {
            "loss": tp.BinaryCrossEntropy(from_logits=False),
            "outputs": bent(Y, (0, 1), -0.5),
        },
        "outputs must be probabilities in [0, 1], got -0.5 at (0, 1)",
    ),
    (
        "probability-nan",
        "loss",
        {
            "loss": tp.BinaryCrossEntropy(from_logits=False),
            "outputs": bent(Y, (0, 1), np.nan),
        },
        "outputs must be probabilities in [0, 1], got nan at (0, 1)",
    ),
    # names, types
    (
        "gelu",
        "activation",
        {"activation": "gelu"},
        "activation 'gelu' is two functions: write 'gelu_erf' (PyTorch's and Keras's "
        "default) or 'gelu_tanh' (JAX's default)",
    ),
    (
        "activation-foo",
        "activation_gradient",
        {"activation": "foo"},
        f"activation must be an activation or one of {ACTIVATIONS}; got 'foo'",
    ),
    (
        "activation-swapped",
        "activation",
        {"activation": np.ones(2), "z": "tanh"},
        f"activation must be an activation or one of {ACTIVATIONS}; got array([1., 1.])",
    ),
    ("loss-foo", "loss", {"loss": "foo"}, f"loss must be a loss or one of {LOSSES}"),
    ("loss-foo-trace", "trace", {"loss": "foo"}, f"loss must be a loss or one of {LOSSES}"),
    (
        "optimizer-foo",
        "init_optimizer",
        {"optimizer": "foo"},
        f"optimizer must be an optimizer or one of {OPTIMIZERS}",
    ),
    (
        "optimizer-foo-update",
        "update",
        {"optimizer": "foo"},
        f"optimizer must be an optimizer or one of {OPTIMIZERS}",
    ),
    (
        "optimizer-foo-supports",
        "supports",
        {"optimizer": "foo"},
        f"optimizer must be an optimizer or one of {OPTIMIZERS}",
    ),
    *[(f"net-{m}", m, {"net": [NET]}, NO_NETWORK) for m in GOOD if "net" in GOOD[m]],
    (
        "reduction-none",
        "loss_and_gradients",
        {"loss": tp.MeanSquaredError(reduction="none")},
        SCALAR_LOSS,
    ),
    (
        "reduction-none-trace",
        "trace",
        {"loss": tp.BinaryCrossEntropy(reduction="none")},
        SCALAR_LOSS,
    ),
    # key
    ("key-seed", "forward", {"key": 3}, ONE_KEY + "int64 of shape ()"),
    ("key-dtype", "forward", {"key": np.array([0, 3])}, ONE_KEY + "int64 of shape (2,)"),
    (
        "key-shape",
        "loss_and_gradients",
        {"key": np.zeros(3, np.uint32)},
        ONE_KEY + "uint32 of shape (3,)",
    ),
    ("key-trace", "trace", {"key": "seed"}, ONE_KEY + "<U4 of shape ()"),
    # fit
    (
        "training",
        "fit",
        {"training": {"epochs": 1}},
        "training must be a Training, got dict",
    ),
    ("data-three", "fit", {"data": (X, Y, Y)}, "data must be a pair (x, y), got tuple"),
    ("data-array", "fit", {"data": X}, "data must be a pair (x, y), got ndarray"),
    (
        "data-empty",
        "fit",
        {"data": (X[:0], Y[:0])},
        "x must not be empty, got shape (0, 2)",
    ),
    ("data-x", "fit", {"data": (X.T, Y)}, "x must have shape (batch, 2), got (2, 4)"),
    (
        "data-y",
        "fit",
        {"data": (X, Y[:3])},
        "y must have the shape of the outputs, (4, 2); got (3, 2)",
    ),
    (
        "validation-array",
        "fit",
        {"validation": X},
        "data must be a pair (validation x, validation y), got ndarray",
    ),
    (
        "validation-x",
        "fit",
        {"validation": (X.T, Y)},
        "validation x must have shape (batch, 2), got (2, 4)",
    ),
    (
        "validation-y",
        "fit",
        {"validation": (X, Y[:, 0])},
        "validation y must have the shape of the outputs, (4, 2); got (4,)",
    ),
    (
        "resume-weights",
        "fit",
        {"resume": WEIGHTS},
        "resume must be the state of a run, a TrainingState, or a Checkpoint; got dict",
    ),
    (
        "resume-with-validation",
        "fit",
        {"resume": RESUME, "validation": (X, Y)},
        "the run to resume recorded ['loss'], this one would record "
        "['loss', 'val_loss']: validation and metrics must be the same in both",
    ),
    (
        "resume-other-loss",
        "fit",
        {"resume": replace(RESUME, loss=tp.SoftmaxCrossEntropy())},
        "the run to resume went down SoftmaxCrossEntropy(reduction='mean'), not "
        "MeanSquaredError(reduction='mean', outputs='mean')",
    ),
    (
        "resume-other-net",
        "fit",
        {"resume": replace(RESUME, weights=WEIGHTS | {"0.bias": np.ones(2)})},
        "weights['0.bias'] must have shape (3,), got (2,)",
    ),
    (
        "resume-other-optimizer",
        "fit",
        {"resume": replace(RESUME, optimizer={"t": np.int64(1)})},
        f"state must have exactly the keys {SLOTS}, got ['t']",
    ),
    (
        "resume-inside-another-epoch",
        "fit",
        {"resume": replace(RESUME, order=np.arange(5), position=2)},
        "the run to resume is inside an epoch of 5 samples, the data has 4",
    ),
    (
        "resume-other-data",
        "fit",
        {"resume": replace(RESUME, data={"training": "0" * 64})},
        "the run to resume saw other training data (the fingerprints differ); to go on "
        "with other data, resume from replace(state, data=None)",
    ),
    (
        "resume-checkpoint-of-another-network",
        "fit",
        {"resume": Checkpoint(RESUME, tp.Sequential(tp.Dense(1, 1)), tp.Training(1))},
        re.compile("the run to resume trained Sequential.*, not Sequential.*"),
    ),
    (
        "checkpoints",
        "fit",
        {"checkpoints": "runs"},
        "checkpoints must be Checkpoints(folder), got str",
    ),
    (
        "on_step",
        "fit",
        {"on_step": 3},
        re.compile("on_step must be .*, got int"),
    ),
    (
        "on_epoch",
        "fit",
        {"on_epoch": "print"},
        re.compile("on_epoch must be .*, got str"),
    ),
]
TABLE = pytest.mark.parametrize(
    ("method", "changed", "message"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)


def same(a, b):
    """Compare nested values; arrays by dtype, shape and every bit."""
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            return a.tolist() == b.tolist()
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


def refused(b, method, changed, message):
    given = GOOD[method] | changed
    before = copy.deepcopy(given)
    with pytest.raises(InvalidInputError) as caught:
        getattr(b, method)(**given)
    assert caught.type is InvalidInputError
    if isinstance(message, re.Pattern):
        assert message.fullmatch(str(caught.value)), str(caught.value)
    else:
        assert str(caught.value) == message
    assert same(given, before)


@TABLE
def test_every_backend_says_the_same(f32, method, changed, message):
    refused(f32, method, changed, message)


class Untouchable:
    """An implementation that must not be reached."""

    device, dtype = "cpu", "float64"

    def supports(self, what):
        return tp.spec.Support("native")

    def __getattr__(self, name):
        def reached(*args, **kwargs):
            raise AssertionError(f"the implementation's {name} was called")

        return reached


@TABLE
def test_before_any_framework_is_touched(method, changed, message):
    refused(Backend("untouchable", Untouchable()), method, changed, message)


@pytest.mark.parametrize("method", GOOD)
def test_the_unchanged_calls_are_good(f32, method):
    getattr(f32, method)(**GOOD[method])


@pytest.mark.parametrize(
    "model", [None, {"0.weight": X}, "model"], ids=["none", "dict", "str"]
)
def test_weights_of_what_build_did_not_return(f32, model):
    with pytest.raises(InvalidInputError) as caught:
        f32.weights(model)
    expected = f"model must be what build returned, got {type(model).__name__}"
    assert str(caught.value) == expected


def test_a_tensor_that_needs_its_framework_to_become_an_array():
    # PyTorch refuses np.asarray of a tensor that requires a gradient, with
    # an error of its own type.
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    b = Backend("untouchable", Untouchable())
    with pytest.raises(InvalidInputError, match="z must be a NumPy array: Can't call"):
        b.activation("tanh", Tensor())


# and, after these, others' backends
KNOWN = "there are numpy, torch, tf, jax, torch.nn, tf.keras, jax.flax"
UNKNOWN = {"foo": "foo", "case": "NumPy", "none": None, "list": [], "number": 3}


@pytest.mark.parametrize("given", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_backend(given):
    with pytest.raises(InvalidInputError) as caught:
        tp.load(given)
    assert str(caught.value).startswith(f"unknown backend {given!r}; {KNOWN}")


DEVICE = "device must be 'cpu', 'gpu' or 'gpu:N', got "
DTYPE = "dtype must be one of 'float64', 'float32', 'tf32', 'bfloat16', 'float16', got "
SETTINGS = {
    "device": ({"device": "tpu"}, DEVICE + "'tpu'"),
    "device-cuda": ({"device": "cuda:0"}, DEVICE + "'cuda:0'"),
    "device-newline": ({"device": "cpu\n"}, DEVICE + "'cpu\\n'"),
    "device-none": ({"device": None}, DEVICE + "None"),
    "dtype-quarter": ({"dtype": "float8"}, DTYPE + "'float8'"),
    "dtype-none": ({"dtype": None}, DTYPE + "None"),
    "dtype-class": ({"dtype": np.float32}, DTYPE + "<class 'numpy.float32'>"),
    "dtype-object": ({"dtype": np.dtype("float32")}, DTYPE + "dtype('float32')"),
}


@pytest.mark.parametrize(("changed", "message"), SETTINGS.values(), ids=SETTINGS)
def test_unknown_settings(name, changed, message):
    with pytest.raises(InvalidInputError) as caught:
        tp.load(name, **changed)
    assert str(caught.value) == message


def test_a_device_that_is_not_here(name):
    # No machine has a thousand GPUs.
    support.backend(name)
    expected = rf"^backend '{name}' has no device 'gpu:999'; it has cpu"
    with pytest.raises(tp.BackendUnavailableError, match=expected):
        tp.load(name, device="gpu:999")
