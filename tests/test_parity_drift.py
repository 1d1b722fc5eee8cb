"""How far whole runs drift apart: the distances, and the figure of them."""

import math
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from tetrapla.backends import Backend, load
from tetrapla.data import MissingExtraError
from tetrapla.parity import chart, drift, drift_figure
from tetrapla.parity.cases import TrainingCase
from tetrapla.parity.drift import Curve, Drift, distance
from tetrapla.parity.suite_networks import trainings

SVG = "{http://www.w3.org/2000/svg}"


class Other(Backend):
    """NumPy's backend under another name, from weights that are a bit off."""

    error = 0.0

    def __init__(self, name, dtype, error=0.0):
        super().__init__(name, load("numpy", dtype=dtype).implementation)
        self.error = error

    def fit(self, net, weights, *args, **kwargs):
        moved = {name: w * (1 + self.error) for name, w in weights.items()}
        return super().fit(net, moved, *args, **kwargs)


class Raises(Other):
    def fit(self, *args, **kwargs):
        raise RuntimeError("no such kernel")


class Silent(Other):
    def fit(self, *args, on_epoch=None, **kwargs):
        return super().fit(*args, **kwargs)


@pytest.fixture(scope="module")
def case():
    """Return a run that needs no data set."""
    found = next(c for c in trainings() if c.id == "training/lecture-full-batch")
    assert isinstance(found, TrainingCase)
    return found


def both(make, *args):
    return [make(*args, dtype=d) for d in ("float64", "float32")]


def test_the_same_backend_does_not_drift(case):
    found = drift.drift(case, both(Other, "one") + both(Other, "two"), epochs=3)
    assert [(c.dtype, c.left, c.right) for c in found.curves] == [
        ("float32", "one", "two"),
        ("float64", "one", "two"),
    ]
    assert all(c.distances == (0.0, 0.0, 0.0) for c in found.curves)
    assert (found.case, found.epochs, found.steps) == (case.id, 3, 1)
    assert found.failed == {}


def test_a_difference_stays_a_difference(case):
    backends = [Other("one", "float64"), Other("two", "float64", 1e-10)]
    (curve,) = drift.drift(case, backends, epochs=4).curves
    assert all(1e-11 < d < 1e-9 for d in curve.distances)


def test_the_run_neither_converges_nor_stops_early(case):
    ended = replace(case.training, convergence_threshold=1e9)
    found = drift.drift(
        replace(case, training=ended),
        [Other("one", "float64"), Other("two", "float64")],
        epochs=5,
    )
    assert len(found.curves[0].distances) == 5


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Raises, "RuntimeError: no such kernel"),
        (Silent, "ValueError: on_epoch was called 0 times in 2 epochs"),
    ],
)
def test_a_backend_that_fails_is_named_and_hides_no_other(case, kind, why):
    backends = [kind("bad", "float64"), Other("a", "float64"), Other("b", "float64")]
    found = drift.drift(case, backends, epochs=2)
    assert found.failed == {"bad float64": why}
    assert [(c.left, c.right) for c in found.curves] == [("a", "b")]


def test_distance():
    one, zero = {"w": np.array([3.0, 4.0])}, {"w": np.zeros(2)}
    assert distance(one, one) == 0.0
    assert distance(one, zero) == 1.0
    assert distance(zero, zero) == 0.0
    assert distance(zero, one) == math.inf
    assert math.isnan(distance(one, {"w": np.array([np.nan, 0])}))
    narrow = {"w": np.array([1e30, 1.0], np.float32)}  # its square is inf in float32
    assert distance(narrow, {"w": 2 * narrow["w"]}) == pytest.approx(1.0)


def test_shown_takes_two_backends_and_data(monkeypatch):
    assert drift.shown(both(Other, "one")) is None

    def absent(*args):
        raise MissingExtraError("pip install 'tetrapla[data]'")

    monkeypatch.setattr(drift, "drift", absent)
    assert drift.shown([*both(Other, "one"), *both(Other, "two")]) is None


def test_shown_is_a_case_of_the_suite():
    assert drift.SHOWN in {c.id for c in trainings()}


def made(*distances):
    curves = tuple(
        Curve(dtype, "numpy", f"b{i}", d) for i, (dtype, d) in enumerate(distances, 1)
    )
    return Drift("training/made", len(distances[0][1]), 3, curves)


def drawn(found):
    root = ElementTree.fromstring(drift_figure.svg(found))
    lines = [
        [tuple(map(float, p.split(","))) for p in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]
    return root, lines


def words(root):
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_the_figure_is_logarithmic_and_says_what_it_is():
    found = made(("float32", (1e-8, 1e-7, 1e-6)), ("float64", (1e-17, 1e-16, 1e-15)))
    root, (narrow, wide) = drawn(found)
    assert all(a[1] > b[1] for line in (narrow, wide) for a, b in pairwise(line))
    steps = [a[1] - b[1] for a, b in pairwise(narrow)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2)  # a decade is a decade
    assert all(a[1] < b[1] for a, b in zip(narrow, wide, strict=True))
    assert root.get("role") == "img"
    said = {root.find(f"{SVG}{name}").get("id") for name in ("title", "desc")}
    assert said == set(root.get("aria-labelledby").split())
    assert "1.0e-06 after the last" in root.find(f"{SVG}desc").text
    assert "epoch (3 steps each)" in words(root)
    assert "relative distance of all weights (no unit)" in words(root)
    assert "b1 float32 1.0e-06" in words(root)
    assert drift_figure.svg(found) == drift_figure.svg(found)


def test_zero_is_drawn_below_the_axis_and_hollow():
    root, (line,) = drawn(made(("float64", (0.0, 1e-16, 1e-15))))
    assert line[0][1] == drift_figure.BOTTOM
    assert line[1][1] <= drift_figure.BOTTOM - drift_figure.ZERO
    classes = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert classes == ["hollow", "mark", "mark", "mark"]  # the last is the label's
    assert "b1 float64 equal" in words(drawn(made(("float64", (0.0, 0.0))))[0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_left_out_and_said(value):
    root, (line,) = drawn(made(("float64", (1e-16, value, value))))
    assert len(line) == 1
    assert "b1 float64 no number" in words(root)
    drift_figure.svg(made(("float64", (value, value))))


def test_labels_keep_apart_and_names_are_escaped():
    same = [("float64", (1e-16, 1e-16))] * 6
    root, _ = drawn(made(*same))
    places = sorted(
        float(text.get("y"))
        for text in root.iter(f"{SVG}text")
        if "float64 1.0e-16" in "".join(text.itertext())
    )
    assert all(b - a > chart.SPACE - 1 for a, b in pairwise(places))
    assert places[-1] <= drift_figure.HEIGHT
    curve = Curve("float64", "a", "<b> & 'c'", (1e-16,))
    root, _ = drawn(Drift("x", 1, 1, (curve,)))
    assert "<b> & 'c' float64 1.0e-16" in words(root)
