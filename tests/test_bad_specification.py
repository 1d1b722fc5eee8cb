"""Bad hyper-parameters: refused when the object is made, with a message.

Objects of the specification need no backend, so a row is checked once.
"""

import math
from decimal import Decimal

import numpy as np
import pytest

import tetrapla as tp
from tetrapla.spec import (
    InvalidInputError,
    TrainingState,
    activation,
    initializer,
    loss,
    optimizer,
)

# Values that are no finite number, and what is said of them.
NOT_NUMBERS = {
    "nan": (math.nan, "must be finite, got nan"),
    "inf": (math.inf, "must be finite, got inf"),
    "minus-inf": (-math.inf, "must be finite, got -inf"),
    "float32-nan": (np.float32(math.nan), "must be finite, got nan"),
    "beyond-float64": (10**400, "must be finite, got "),
    "bool": (True, "must be a number, got True"),
    "string": ("0.5", "must be a number, got '0.5'"),
    "none": (None, "must be a number, got None"),
    "complex": (1j, "must be a number, got 1j"),
    "decimal": (Decimal("0.5"), "must be a number, got Decimal('0.5')"),
    "array": (np.array([0.5]), "must be a number, got array([0.5])"),
}
NEGATIVE = {"negative": (-0.5, "must be >= 0, got -0.5")}
NOT_POSITIVE = {
    "zero": (0, "must be > 0, got 0.0"),
    "negative": (-1, "must be > 0, got -1.0"),
}
NOT_FRACTIONS = {
    "negative": (-0.5, "must be in [0, 1), got -0.5"),
    "one": (1, "must be in [0, 1), got 1.0"),
    "percent": (50, "must be in [0, 1), got 50.0"),
}
NOT_FLAGS = {
    "zero": (0, "must be True or False, got 0"),
    "string": ("yes", "must be True or False, got 'yes'"),
    "none": (None, "must be True or False, got None"),
}
NOT_COUNTS = {
    "zero": (0, "must be >= 1, got 0"),
    "negative": (-3, "must be >= 1, got -3"),
    "float": (2.0, "must be an integer, got 2.0"),
    "bool": (True, "must be an integer, got True"),
    "none": (None, "must be an integer, got None"),
    "nan": (math.nan, "must be an integer, got nan"),
}
NOT_SEEDS = {
    "negative": (-1, "must be in [0, 4294967296), got -1"),
    "too-large": (2**32, "must be in [0, 4294967296), got 4294967296"),
    "float": (0.0, "must be an integer, got 0.0"),
    "bool": (True, "must be an integer, got True"),
}

NON_NEGATIVE = NOT_NUMBERS | NEGATIVE
FRACTION = NOT_NUMBERS | NOT_FRACTIONS

# class -> field -> the values that it refuses
FIELDS = {
    tp.LeakyReLU: {"negative_slope": NOT_NUMBERS},
    tp.ELU: {"alpha": NON_NEGATIVE},
    tp.Constant: {"value": NOT_NUMBERS},
    tp.Dropout: {"rate": FRACTION},
    tp.SGD: {
        "lr": NON_NEGATIVE,
        "momentum": FRACTION,
        "weight_decay": NON_NEGATIVE,
        "nesterov": NOT_FLAGS,
    },
    tp.Adagrad: {
        "lr": NON_NEGATIVE,
        "eps": NON_NEGATIVE,
        "initial_accumulator": NON_NEGATIVE,
        "weight_decay": NON_NEGATIVE,
    },
    tp.Adadelta: {
        "lr": NON_NEGATIVE,
        "rho": FRACTION,
        "eps": NON_NEGATIVE,
        "weight_decay": NON_NEGATIVE,
    },
    tp.RMSProp: {
        "lr": NON_NEGATIVE,
        "rho": FRACTION,
        "eps": NON_NEGATIVE,
        "momentum": FRACTION,
        "weight_decay": NON_NEGATIVE,
        "centered": NOT_FLAGS,
        "nesterov": NOT_FLAGS,
    },
    tp.Adam: {
        "lr": NON_NEGATIVE,
        "beta1": FRACTION,
        "beta2": FRACTION,
        "eps": NON_NEGATIVE,
        "weight_decay": NON_NEGATIVE,
        "amsgrad": NOT_FLAGS,
    },
    tp.AdamW: {
        "lr": NON_NEGATIVE,
        "beta1": FRACTION,
        "beta2": FRACTION,
        "eps": NON_NEGATIVE,
        "weight_decay": NON_NEGATIVE,
        "amsgrad": NOT_FLAGS,
    },
    tp.StepDecay: {"every": NOT_COUNTS, "gamma": NOT_POSITIVE},
    tp.CosineDecay: {"steps": NOT_COUNTS, "final": NON_NEGATIVE},
    tp.Warmup: {"steps": NOT_COUNTS, "start": NON_NEGATIVE},
    tp.EarlyStopping: {"patience": NOT_COUNTS, "min_delta": NON_NEGATIVE},
    tp.Training: {
        "epochs": NOT_COUNTS,
        "batch_size": NOT_COUNTS,
        "seed": NOT_SEEDS,
        "l2": NON_NEGATIVE,
        "shuffle": NOT_FLAGS,
        "convergence_threshold": {k: v for k, v in NOT_NUMBERS.items() if k != "none"}
        | NOT_POSITIVE,
    },
    tp.Dense: {"inputs": NOT_COUNTS, "outputs": NOT_COUNTS},
    tp.BinaryCrossEntropy: {"from_logits": NOT_FLAGS},
}
NEEDED = {
    tp.Dense: {"inputs": 2, "outputs": 3},
    tp.StepDecay: {"every": 2},
    tp.CosineDecay: {"steps": 2},
    tp.Warmup: {"steps": 2},
    tp.Training: {"epochs": 1},
}


def field_rows():
    for cls, its_fields in FIELDS.items():
        for field, values in its_fields.items():
            for label, (value, said) in values.items():
                yield pytest.param(
                    cls,
                    field,
                    value,
                    f"{field} {said}",
                    id=f"{cls.__name__}-{field}-{label}",
                )


@pytest.mark.parametrize(("cls", "field", "value", "message"), list(field_rows()))
def test_fields(cls, field, value, message):
    given = NEEDED.get(cls, {}) | {field: value}
    with pytest.raises(InvalidInputError) as caught:
        cls(**given)
    if isinstance(value, int) and value == 10**400:
        assert str(caught.value).startswith(message)
    else:
        assert str(caught.value) == message


# class -> field -> the words that it knows
WORDS = {
    tp.SGD: {"decay": "'coupled', 'decoupled'", "velocity": "'gradients', 'updates'"},
    tp.Adagrad: {"decay": "'coupled', 'decoupled'", "eps_place": "'outside', 'inside'"},
    tp.Adadelta: {"decay": "'coupled', 'decoupled'"},
    tp.RMSProp: {
        "decay": "'coupled', 'decoupled'",
        "eps_place": "'outside', 'inside'",
        "velocity": "'gradients', 'updates'",
    },
    tp.Adam: {
        "decay": "'coupled', 'decoupled'",
        "eps_place": "'outside', 'inside', 'uncorrected'",
        "amsgrad_max": "'raw', 'corrected'",
    },
    tp.MeanSquaredError: {"reduction": "'mean', 'sum', 'none'", "outputs": "'mean', 'sum'"},
    tp.BinaryCrossEntropy: {
        "reduction": "'mean', 'sum', 'none'",
        "outputs": "'mean', 'sum'",
    },
    tp.SoftmaxCrossEntropy: {"reduction": "'mean', 'sum', 'none'"},
}


@pytest.mark.parametrize("value", ["foo", "", "MEAN", None, 1, ["mean"]], ids=repr)
@pytest.mark.parametrize(
    ("cls", "field"),
    [(cls, field) for cls in WORDS for field in WORDS[cls]],
    ids=lambda p: p if isinstance(p, str) else p.__name__,
)
def test_words(cls, field, value):
    with pytest.raises(InvalidInputError) as caught:
        cls(**{field: value})
    assert str(caught.value) == f"{field} must be one of {WORDS[cls][field]}; got {value!r}"


DENSE = tp.Dense(2, 3)
OTHERS = {
    "nesterov-without-momentum": (
        lambda: tp.SGD(nesterov=True),
        "nesterov=True needs momentum > 0, got 0.0",
    ),
    "rmsprop-nesterov-without-momentum": (
        lambda: tp.RMSProp(nesterov=True),
        "nesterov=True needs momentum > 0, got 0.0",
    ),
    "adamw-coupled": (
        lambda: tp.AdamW(decay="coupled"),
        "AdamW's decay is 'decoupled', got 'coupled'; write Adam(weight_decay=...) for "
        "the coupled form",
    ),
    "no-layers": (tp.Sequential, "a Sequential needs at least one Dense layer"),
    "only-dropout": (
        lambda: tp.Sequential(tp.Dropout(0.5)),
        "a Sequential needs at least one Dense layer",
    ),
    "a-name-as-layer": (
        lambda: tp.Sequential(DENSE, "relu"),
        "layer 1 must be a Dense or a Dropout, got 'relu'",
    ),
    "a-list-of-layers": (
        lambda: tp.Sequential([]),
        "layer 0 must be a Dense or a Dropout, got []",
    ),
    "widths": (
        lambda: tp.Sequential(DENSE, tp.Dropout(0.5), tp.Dense(4, 1)),
        "layer 0 has 3 outputs but layer 2 expects 4 inputs",
    ),
    "batch-size-word": (
        lambda: tp.Training(1, "half"),
        "batch_size must be an integer >= 1 or 'all', got 'half'",
    ),
    "reduction-none": (
        lambda: tp.Training(1, loss=tp.MeanSquaredError(reduction="none")),
        "training needs one number to go down: the loss's reduction must be 'mean' or "
        "'sum', got 'none'",
    ),
    "early-stopping": (
        lambda: tp.Training(1, early_stopping=3),
        "early_stopping must be an EarlyStopping or None, got 3",
    ),
    "seed-of-init": (
        lambda: tp.Sequential(DENSE).init(seed=-1),
        "seed must be in [0, 4294967296), got -1",
    ),
    "seed-of-key": (
        lambda: tp.threefry.key(2**32),
        "seed must be in [0, 4294967296), got 4294967296",
    ),
    "key-word": (
        lambda: tp.threefry.bits("k", (3,)),
        "a key is an array of two uint32, as key() returns it; got 'k'",
    ),
    "batch-size-array": (
        lambda: tp.Training(1, np.array([1, 2])),
        "batch_size must be an integer, got array([1, 2])",
    ),
    "constant-huge": (
        lambda: tp.Constant(1e300),
        "value must be one of float32's, got 1e+300",
    ),
    "state-epoch": (
        lambda: TrainingState("a", 0, {}, {}, {"loss": []}),
        "epoch must be an integer, got 'a'",
    ),
    "state-step": (
        lambda: TrainingState(0, -1, {}, {}, {"loss": []}),
        "step must be in [0, 4294967296), got -1",
    ),
    "state-best-loss": (
        lambda: TrainingState(0, 0, {}, {}, {"loss": []}, best_loss=math.nan),
        "best_loss must be a number, got nan",
    ),
    "state-position": (
        lambda: TrainingState(0, 0, {}, {}, {"loss": []}, order=np.arange(3), position=4),
        "position must be in [0, 4), got 4",
    ),
    "state-position-between-epochs": (
        lambda: TrainingState(0, 0, {}, {}, {"loss": []}, position=4),
        "between epochs (order None) position and loss_sum must be 0, got 4 and 0.0",
    ),
    "state-order": (
        lambda: TrainingState(0, 0, {}, {}, {"loss": []}, order=np.array([0, 0, 2])),
        "order must be the numbers 0 ... 2, each once, got array([0, 0, 2])",
    ),
    "schedule": (
        lambda: tp.Training(1, schedule="cosine"),
        "schedule must be a schedule, one of ConstantSchedule(...), StepDecay(...), "
        "CosineDecay(...), Warmup(...), or 'constant'; got 'cosine'",
    ),
    "schedule-after-warmup": (
        lambda: tp.Warmup(3, then=0.1),
        "then must be a schedule, one of ConstantSchedule(...), StepDecay(...), "
        "CosineDecay(...), Warmup(...), or 'constant'; got 0.1",
    ),
    "metric": (
        lambda: tp.Training(1, loss="bce", metrics=["accuracy", "r2"]),
        "metrics of binary_cross_entropy are accuracy; got 'r2'",
    ),
    "metric-twice": (
        lambda: tp.Training(1, metrics=["r2", "r2"]),
        "metrics must each be there once, got ['r2', 'r2']",
    ),
    "metrics-word": (
        lambda: tp.Training(1, metrics="r2"),
        "metrics must be a tuple of names, got 'r2'",
    ),
    "state-history": (
        lambda: TrainingState(0, 0, {}, {}, None),
        "history must be a dictionary with 'loss', got None",
    ),
    "state-history-short": (
        lambda: TrainingState(2, 8, {}, {}, {"loss": [1.0]}),
        "history['loss'] must be a list with a number for each of 2 epochs, got [1.0]",
    ),
    "state-history-words": (
        lambda: TrainingState(1, 4, {}, {}, {"loss": ["a"]}),
        "history['loss'] must hold floats, got ['a']",
    ),
    "fold-in": (
        lambda: tp.threefry.fold_in(tp.threefry.key(0), 1.0),
        "data must be an integer, got 1.0",
    ),
    "fold-in-large": (
        lambda: tp.threefry.fold_in(tp.threefry.key(0), 2**32),
        "data must be in [0, 4294967296), got 4294967296",
    ),
    "split-negative": (
        lambda: tp.threefry.split(tp.threefry.key(0), -1),
        "num must be in [0, 4294967296), got -1",
    ),
    "split-shape": (
        lambda: tp.threefry.split(tp.threefry.key(0), (2, 3)),
        "num must be an integer, got (2, 3)",
    ),
    "bits-of-a-number": (
        lambda: tp.threefry.bits(tp.threefry.key(0), 3),
        "shape must be a sequence of integers >= 0, got 3",
    ),
    "bits-negative": (
        lambda: tp.threefry.bits(tp.threefry.key(0), (2, -1)),
        "shape must be a sequence of integers >= 0, got (2, -1)",
    ),
    "uniform-of-a-half": (
        lambda: tp.threefry.uniform(tp.threefry.key(0), (0.5,)),
        "shape must be a sequence of integers >= 0, got (0.5,)",
    ),
    "bernoulli-p": (
        lambda: tp.threefry.bernoulli(tp.threefry.key(0), "half", (2,)),
        "p must be a number, got 'half'",
    ),
    "bernoulli-nan": (
        lambda: tp.threefry.bernoulli(tp.threefry.key(0), math.nan, (2,)),
        "p must be finite, got nan",
    ),
    "permutation-negative": (
        lambda: tp.threefry.permutation(tp.threefry.key(0), -1),
        "n must be in [0, 4294967296), got -1",
    ),
    "permutation-array": (
        lambda: tp.threefry.permutation(tp.threefry.key(0), [1, 2]),
        "n must be an integer, got [1, 2]",
    ),
}


@pytest.mark.parametrize(("make", "message"), OTHERS.values(), ids=OTHERS)
def test_others(make, message):
    with pytest.raises(InvalidInputError) as caught:
        make()
    assert str(caught.value) == message


KNOWN = {
    activation: "activation must be an activation or one of identity, sigmoid, tanh, relu, "
    "softmax, leaky_relu, elu, softplus, silu, gelu_erf, gelu_tanh; got {!r}",
    loss: "loss must be a loss or one of mean_squared_error, mse, binary_cross_entropy, "
    "bce, softmax_cross_entropy; got {!r}",
    optimizer: "optimizer must be an optimizer or one of sgd, adagrad, adadelta, rmsprop, "
    "adam, adamw; got {!r}",
    initializer: "initializer must be an initializer or one of zeros, constant, "
    "glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal; "
    "got {!r}",
}


class Other(tp.ReLU):
    """Looks like an activation, but no implementation knows it."""


@pytest.mark.parametrize(
    "given",
    ["foo", "", "ReLU", None, 3, [], {}, tp.ReLU, Other(), np.ones(2), np.array("relu")],
    ids=lambda g: g.__name__ if isinstance(g, type) else type(g).__name__ + repr(g),
)
@pytest.mark.parametrize("which", KNOWN, ids=lambda f: f.__name__)
def test_unknown_names(which, given):
    with pytest.raises(InvalidInputError) as caught:
        which(given)
    assert str(caught.value) == KNOWN[which].format(given)


def test_gelu_is_two_functions():
    message = "^activation 'gelu' is two functions: write 'gelu_erf' .* or 'gelu_tanh'"
    with pytest.raises(InvalidInputError, match=message):
        tp.Dense(2, 3, "gelu")


def test_the_constant_initializer_needs_its_value():
    with pytest.raises(InvalidInputError, match=r"got 'constant'$"):
        tp.Dense(2, 3, weight_init="constant")


@pytest.mark.parametrize(
    "field", ["activation", "weight_init", "bias_init"], ids=lambda field: field
)
def test_a_dense_layer_refuses_unknown_names(field):
    with pytest.raises(InvalidInputError, match=r"got 'foo'$"):
        tp.Dense(2, 3, **{field: "foo"})


@pytest.mark.parametrize(("field", "value"), [("optimizer", "foo"), ("loss", "foo")])
def test_a_training_refuses_unknown_names(field, value):
    with pytest.raises(InvalidInputError, match=f"^{field} must be .* got 'foo'$"):
        tp.Training(1, **{field: value})


@pytest.mark.parametrize(
    "value",
    [0.1, np.float64(0.1), np.float32(0.1), 1, np.int64(1)],
    ids=lambda v: type(v).__name__,
)
def test_numbers_become_python_floats_unrounded(value):
    lr = tp.SGD(lr=value).lr
    assert type(lr) is float
    assert lr == float(value)


def test_a_training_is_hashable_and_equal_by_value():
    one = tp.Training(3, 4, tp.Adam(0.1), "mse", early_stopping=tp.EarlyStopping(2))
    two = tp.Training(3, 4, tp.Adam(0.1), "mse", early_stopping=tp.EarlyStopping(2))
    assert one == two
    assert hash(one) == hash(two)
