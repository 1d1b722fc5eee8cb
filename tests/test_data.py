"""The data sets: shapes, scales, and the same split on every machine."""

import subprocess
import sys

import numpy as np
import pytest
from support import dataset

from tetrapla import data
from tetrapla.spec import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy

#        name           train  test features outputs loss
SHAPES = [
    ("digits", 1438, 359, 64, 10, SoftmaxCrossEntropy),
    ("breast-cancer", 456, 113, 30, 1, BinaryCrossEntropy),
    ("diabetes", 354, 88, 10, 1, MeanSquaredError),
    ("lecture", 3, 3, 2, 1, BinaryCrossEntropy),
]
SKLEARN = ["digits", "breast-cancer", "diabetes"]


def test_every_dataset_is_in_the_table():
    assert [row[0] for row in SHAPES] == list(data.DATASETS)


@pytest.mark.parametrize(("name", "train", "test", "features", "outputs", "loss"), SHAPES)
def test_shapes_and_dtypes(name, train, test, features, outputs, loss):
    d = dataset(name)
    assert d.name == name
    assert type(d.loss) is loss
    for x, y, n in [(d.x_train, d.y_train, train), (d.x_test, d.y_test, test)]:
        assert (x.shape, x.dtype) == ((n, features), np.float64)
        classes = loss is SoftmaxCrossEntropy
        assert y.shape == ((n,) if classes else (n, 1))
        assert y.dtype == (np.int64 if classes else np.float64)
        assert np.isfinite(x).all()
    assert len(d.feature_names) == features
    assert d.network().inputs == features
    assert d.network().outputs == outputs


@pytest.mark.parametrize("name", SKLEARN)
def test_training_columns_are_standardised(name):
    x = dataset(name).x_train
    constant = np.ptp(x, axis=0) == 0
    # A mean of n < 2,000 numbers of order 1 is off by at most n u = 2e-13.
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=0)[~constant], 1, rtol=1e-12)
    assert constant.sum() == (3 if name == "digits" else 0)


def test_a_constant_column_is_divided_by_one():
    a = np.full((10, 1), 0.1)  # the computed deviation of ten 0.1 may be 1e-17
    a[9] = 3.1
    rows = data._standardised("x", a, np.arange(9), np.array([9]))
    np.testing.assert_allclose(rows["x_train"], 0, atol=1e-15)
    np.testing.assert_allclose(rows["x_test"], 3.0)


def test_the_regression_target_is_standardised_with_the_training_rows():
    d = dataset("diabetes")
    assert d.y_train.mean() == pytest.approx(0, abs=1e-12)
    assert d.y_train.std() == pytest.approx(1)
    assert d.y_test.std() != pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", SKLEARN)
def test_the_two_parts_are_all_the_rows(name):
    d = dataset(name)
    train, test = data._split(len(d.x_train) + len(d.x_test))
    assert sorted([*train, *test]) == list(range(len(train) + len(test)))


def test_the_split_is_the_documented_one():
    # jax.random.permutation(jax.random.fold_in(jax.random.key(0), 3), 20)
    train, test = data._split(20)
    assert test.tolist() == [12, 11, 16, 8]
    assert len(train) == 16


def test_labels_are_classes():
    assert set(dataset("digits").y_train) == set(range(10))
    assert set(dataset("breast-cancer").y_train.ravel()) == {0.0, 1.0}


def test_the_lecture():
    d = data.lecture()
    assert d.x_train.tolist() == [[4, 5], [2, 1], [5, 8]]
    assert d.y_train.tolist() == [[1], [0], [1]]
    assert [layer.outputs for layer in d.network().layers] == [3, 1]
    assert not np.shares_memory(d.x_train, d.x_test)


def test_network_of_other_widths():
    d = data.lecture()
    assert [layer.outputs for layer in d.network((5, 4)).layers] == [5, 4, 1]
    assert [layer.outputs for layer in d.network(()).layers] == [1]


def test_scores():
    d = data.lecture()
    assert (d.metric, d.score(np.array([[3.0], [2.0], [1.0]]))) == ("accuracy", 2 / 3)
    d = dataset("digits")
    assert (d.metric, d.score(np.eye(10)[d.y_test])) == ("accuracy", 1.0)
    d = dataset("diabetes")
    assert (d.metric, d.score(d.y_test)) == ("R^2", 1.0)
    mean = np.full_like(d.y_test, d.y_test.mean())
    assert d.score(mean) == pytest.approx(0, abs=1e-12)


def test_without_scikit_learn_the_message_names_the_extra():
    code = """
import sys
sys.modules["sklearn"] = None
from tetrapla import data
data.lecture()
try:
    data.digits()
except data.MissingExtraError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'tetrapla[data]'" in run.stdout, run.stderr
