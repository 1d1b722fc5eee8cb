"""Specification objects to plain data and back: the same object, or a message."""

import json
from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tetrapla as tp
from tetrapla.spec import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    InvalidInputError,
)
from tetrapla.spec.config import TYPES, from_config, to_config
from tetrapla.spec.optimizers import (
    ADAM_EPS_PLACES,
    AMSGRAD_MAXIMA,
    DECAYS,
    EPS_PLACES,
    VELOCITIES,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
non_negative = st.floats(0, allow_infinity=False)
positive = st.floats(0, allow_infinity=False, exclude_min=True)
fractions = st.floats(0, 1, exclude_max=True)
counts = st.integers(1, 10**6)
either = st.booleans()


def choice(words):
    return st.sampled_from(words)


activations = st.one_of(
    st.sampled_from([cls() for cls in ACTIVATIONS.values()]),
    st.builds(tp.LeakyReLU, finite),
    st.builds(tp.ELU, non_negative),
)
initializers = st.one_of(
    st.sampled_from([c() for n, c in INITIALIZERS.items() if n != "constant"]),
    st.builds(tp.Constant, st.floats(width=32, allow_nan=False, allow_infinity=False)),
)
reductions = {"reduction": choice(("mean", "sum"))}
outputs = {"outputs": choice(("mean", "sum"))}
losses = st.one_of(
    st.builds(tp.MeanSquaredError, **reductions, **outputs),
    st.builds(tp.BinaryCrossEntropy, **reductions, **outputs, from_logits=either),
    st.builds(tp.SoftmaxCrossEntropy, **reductions),
)
decay = {"lr": non_negative, "weight_decay": non_negative, "decay": choice(DECAYS)}
momentum = {"momentum": fractions, "velocity": choice(VELOCITIES)}
eps = {"eps": non_negative, "eps_place": choice(EPS_PLACES)}
adam = {
    "lr": non_negative,
    "beta1": fractions,
    "beta2": fractions,
    "eps": non_negative,
    "amsgrad": either,
    "weight_decay": non_negative,
    "eps_place": choice(ADAM_EPS_PLACES),
    "amsgrad_max": choice(AMSGRAD_MAXIMA),
}
optimizers = st.one_of(
    st.builds(tp.SGD, **decay, **momentum),
    st.builds(tp.SGD, **decay, momentum=st.just(0.9), nesterov=either),
    st.builds(tp.Adagrad, **decay, **eps, initial_accumulator=non_negative),
    st.builds(tp.Adadelta, **decay, rho=fractions, eps=non_negative),
    st.builds(tp.RMSProp, **decay, **momentum, **eps, rho=fractions, centered=either),
    st.builds(tp.RMSProp, momentum=st.just(0.9), nesterov=either),
    st.builds(tp.Adam, **adam, decay=choice(DECAYS)),
    st.builds(tp.AdamW, **adam),
)
flat_schedules = st.one_of(
    st.just(tp.ConstantSchedule()),
    st.builds(tp.StepDecay, every=counts, gamma=st.floats(0, 1, exclude_min=True)),
    st.builds(tp.CosineDecay, steps=counts, final=non_negative),
)
schedules = flat_schedules | st.builds(tp.Warmup, counts, flat_schedules, non_negative)
stopping = st.builds(tp.EarlyStopping, patience=counts, min_delta=non_negative)
trainings = st.builds(
    tp.Training,
    epochs=counts,
    batch_size=counts | st.just("all"),
    optimizer=optimizers,
    loss=losses,
    seed=st.integers(0, 2**32 - 1),
    shuffle=either,
    convergence_threshold=st.none() | positive,
    early_stopping=st.none() | stopping,
    schedule=schedules,
    l2=non_negative,
)


@st.composite
def networks(draw):
    widths = draw(st.lists(counts, min_size=2, max_size=5))
    layers = []
    for n, m in pairwise(widths):
        w, b = draw(initializers), draw(initializers)
        layers.append(tp.Dense(n, m, draw(activations), weight_init=w, bias_init=b))
        layers += draw(st.lists(st.builds(tp.Dropout, fractions), max_size=1))
    return tp.Sequential(*layers)


@given(
    activations | initializers | losses | optimizers | schedules | trainings | networks()
)
def test_round_trip_through_json(spec):
    text = json.dumps(to_config(spec), allow_nan=False)
    back = from_config(json.loads(text))
    assert type(back) is type(spec)
    assert back == spec
    assert hash(back) == hash(spec)


def test_every_specification_class_is_known():
    tables = (ACTIVATIONS, INITIALIZERS, LOSSES, OPTIMIZERS, SCHEDULES)
    classes = {cls for table in tables for cls in table.values()}
    classes |= {tp.Dense, tp.Dropout, tp.Sequential, tp.Training, tp.EarlyStopping}
    assert set(TYPES.values()) == classes


def test_every_field_is_in_the_config():
    dense = tp.Dense(2, 3, "relu")
    assert list(to_config(dense)) == ["type", *(f.name for f in fields(dense))]
    assert to_config(dense)["activation"] == {"type": "ReLU"}


def test_names_and_defaults_may_be_used():
    config = {"type": "Dense", "inputs": 2, "outputs": 3, "activation": "relu"}
    assert from_config(config) == tp.Dense(2, 3, "relu")


RELU = {"type": "ReLU"}
REFUSED = [
    (None, "a config must be a dictionary with the name of its type under 'type'"),
    ([RELU], "a config must be a dictionary"),
    ({}, "a config must be a dictionary"),
    ({"type": 3}, "a config must be a dictionary"),
    ({"type": ["ReLU"]}, "a config must be a dictionary"),
    ({"type": "object"}, "unknown type 'object'; there are Dense, Dropout"),
    ({"type": "Layer"}, "unknown type 'Layer'"),
    ({"type": "Dropout", "rate": 0.5, "p": 1}, "Dropout has no field 'p'; its fields are"),
    ({"type": "ReLU", "name": "x"}, "ReLU has no field 'name'"),
    ({"type": "Dropout"}, "Dropout needs the field 'rate'"),
    ({"type": "Dense", "inputs": 2}, "Dense needs the field 'outputs'"),
    ({"type": "Dropout", "rate": 2}, r"rate must be in \[0, 1\)"),
    ({"type": "Dropout", "rate": RELU}, "rate must be a number"),
    ({"type": "Dropout", "rate": [0.5]}, "rate must be a number"),
    ({"type": "Dropout", "rate": {"type": "x"}}, "unknown type 'x'"),
    ({"type": "Dense", "inputs": 2, "outputs": 3, "activation": {"type": "Adam"}}, "activ"),
    ({"type": "Sequential"}, "Sequential needs one field, the list 'layers'; got"),
    ({"type": "Sequential", "layers": RELU}, "Sequential needs one field"),
    ({"type": "Sequential", "layers": [RELU]}, "layer 0 must be a Dense or a Dropout"),
    ({"type": "Sequential", "layers": [], "x": 1}, "Sequential needs one field"),
    ({"type": "Training", "epochs": 3, "batch_size": [1]}, "batch_size must be"),
]


@pytest.mark.parametrize(("config", "message"), REFUSED, ids=lambda c: str(c)[:40])
def test_refused(config, message):
    with pytest.raises(InvalidInputError, match=message):
        from_config(config)


KEYS = st.sampled_from(
    ["type", "layers", "activation", "inputs", "outputs", "lr", "epochs"]
)
json_values = st.recursive(
    st.none() | either | st.integers(-100, 100) | finite | st.sampled_from(list(TYPES)),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x, max_size=3),
    max_leaves=6,
)


@given(choice(list(TYPES)), st.dictionaries(KEYS, json_values, max_size=4))
def test_whatever_the_fields_hold_only_one_error_comes_out(name, fields):
    config = fields | {"type": name}
    try:
        spec = from_config(config)
    except InvalidInputError:
        return
    assert type(spec) is TYPES[name]


class ReLU:
    """Of the right name, and foreign."""


@pytest.mark.parametrize("spec", [3, None, "relu", ReLU(), tp.ReLU, {"type": "ReLU"}])
def test_only_specification_objects_have_a_config(spec):
    with pytest.raises(InvalidInputError, match="only specification objects"):
        to_config(spec)
