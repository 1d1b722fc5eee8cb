"""How far runs drift apart in a stable and in a chaotic setting, and the figure."""

import json
import math
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import support
from click.testing import CliRunner

from tetrapla import cli
from tetrapla.backends import Backend, load
from tetrapla.commands import drift as command
from tetrapla.data import MissingExtraError
from tetrapla.parity import trajectories as measuring
from tetrapla.parity import trajectories_figure as figure
from tetrapla.parity.chart import unit
from tetrapla.parity.drift import Curve, distance
from tetrapla.parity.sharpness import sharpness
from tetrapla.parity.trajectories import (
    CHAOTIC,
    CONTROL,
    STABLE,
    Paths,
    Trajectories,
    growth,
    nudged,
    recorded,
    small_until,
    together,
    trajectories,
)
from tetrapla.parity.trajectories_document import document
from tetrapla.spec.layers import Dense, Sequential
from tetrapla.spec.losses import MeanSquaredError

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
STEPS = 250  # enough for 1 ULP to grow a millionfold


@cache
def alone():
    """Return NumPy against itself: both settings, both dtypes."""
    support.dataset("digits")
    backends = [load("numpy", dtype=dtype) for dtype in ("float32", "float64")]
    return trajectories(backends, STEPS)


def control(paths, dtype):
    (curve,) = (c for c in paths.curves if (c.right, c.dtype) == (CONTROL, dtype))
    return curve


# ---- what is measured


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_the_stable_setting_roundings_only_add_up(dtype):
    curve = control(alone().paths[0], dtype)
    # Where no step stretches a difference, each adds a rounding of its own at most.
    for step, d in zip(alone().at, curve.distances, strict=True):
        assert 0 < d < max(step, 2) * unit(dtype)


def test_in_the_chaotic_setting_one_ulp_grows_a_millionfold():
    curve = control(alone().paths[1], "float64")
    assert curve.distances[0] < unit("float64")
    assert curve.distances[-1] > 1e6 * curve.distances[0]
    assert curve.distances[-1] > 1e3 * STEPS * unit("float64")  # no sum of roundings


def test_both_dtypes_grow_alike_from_another_start():
    paths = alone().paths[1]
    until = together(paths, alone().at)
    assert until >= 100
    narrow, wide = (control(paths, dtype) for dtype in ("float32", "float64"))
    slopes = [growth(c, alone().at, until) for c in (narrow, wide)]
    assert min(slopes) > 0.03
    assert max(slopes) < 1.5 * min(slopes)
    at = alone().at.index(100)
    apart = math.log2(narrow.distances[at] / wide.distances[at])
    assert abs(apart - 29) < 3  # 2^29: float64's roundings are so much smaller


def test_the_sharpness_is_on_either_side_of_two():
    stable, chaotic = alone().paths
    assert len(stable.sharpness) == len(chaotic.sharpness) == STEPS // measuring.CURVED - 1
    assert 0 < stable.reach < 2 < chaotic.reach
    assert all(s * STABLE.lr < 2 for s in stable.sharpness)


def test_both_settings_learn():
    for paths in alone().paths:
        assert all(accuracy > 0.9 for accuracy in paths.accuracies.values())


def test_another_framework_does_as_one_ulp_does():
    steps = 60  # a step of dropout is slow in PyTorch
    support.dataset("digits")
    backends = [support.backend(name, "float64") for name in ("numpy", "torch")]
    found = trajectories(backends, steps)
    stable, chaotic = found.paths
    for paths in found.paths:
        assert [(c.left, c.right) for c in paths.curves] == [
            ("numpy", "torch"),
            ("numpy", CONTROL),
        ]
    assert 0 < stable.curves[0].distances[-1] < steps * unit("float64")
    torch, ulp = (growth(c, found.at) for c in chaotic.curves)
    assert min(torch, ulp) > 0.03
    assert max(torch, ulp) < 1.5 * min(torch, ulp)


def test_the_same_backend_twice_is_at_distance_0():
    support.dataset("digits")
    one = load("numpy", dtype="float64")
    said = []
    found = trajectories([one, Backend("two", one.implementation)], 30, on_run=said.append)
    for paths in found.paths:
        same, other = paths.curves
        assert same == Curve("float64", "numpy", "two", (0.0,) * len(recorded(30)))
        assert all(d > 0 for d in other.distances)
    assert said == [
        f"{setting} {name} float64"
        for setting in ("stable", "chaotic")
        for name in ("numpy", "two", CONTROL)
    ]
    assert measuring.runs([one, one]) == len(said)


def test_only_the_learning_rate_differs():
    a, b = (setting.training(1000, 1438) for setting in (STABLE, CHAOTIC))
    assert a.optimizer != b.optimizer
    assert a.optimizer.with_lr(b.optimizer.lr) == b.optimizer
    same = ("epochs", "batch_size", "loss", "seed", "shuffle", "schedule", "l2")
    assert [getattr(a, name) for name in same] == [getattr(b, name) for name in same]
    assert a.epochs * 45 >= 1000 > (a.epochs - 1) * 45


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_weight_is_moved_by_one_ulp(dtype):
    weights = measuring.network().init(seed=0)
    moved = nudged(weights, dtype)
    changed = [
        (name, place)
        for name, w in weights.items()
        for place in zip(*np.nonzero(moved[name] != w.astype(dtype)), strict=True)
    ]
    ((name, place),) = changed
    before = weights[name].astype(dtype)[place]
    assert abs(before) == np.max(np.abs(weights[name]))
    assert abs(moved[name][place]) - abs(before) == np.spacing(abs(before))
    assert distance(weights, weights) == 0.0
    assert all(w.dtype == dtype for w in moved.values())


def test_a_quadratic_has_the_sharpness_of_its_matrix():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((20, 5)), rng.standard_normal((20, 1))
    net = Sequential(Dense(5, 1))
    found = sharpness(
        load("numpy", dtype="float64"), net, net.init(0), (x, y), MeanSquaredError()
    )
    rows = np.column_stack([x, np.ones(20)])
    expected = np.linalg.eigvalsh(2 / 20 * rows.T @ rows)[-1]
    assert found == pytest.approx(expected, rel=1e-8)


# ---- growth


def curve(*distances, dtype="float64", right="b"):
    return Curve(dtype, "a", right, distances)


def test_growth_is_the_slope_while_the_distance_is_small():
    at = recorded(40)
    exact = [1e-16 * math.exp(0.05 * step) for step in at]
    assert growth(curve(*exact), at) == pytest.approx(0.05)
    saturated = curve(9.0, *exact[1:3], 0.5, 0.5)  # the first step is not asked
    assert small_until(saturated, at) == 1
    late = curve(*exact[:3], 0.5, 1e-30)
    assert small_until(late, at) == 20
    assert growth(late, at) == pytest.approx(0.05)
    assert growth(curve(*exact[:3], 1e-9, 1e-9), at, until=20) == pytest.approx(0.05)


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_growth_of_what_has_no_logarithm(value):
    at = recorded(30)
    assert math.isnan(growth(curve(value, value, value, value), at))
    paths = Paths(STABLE, (curve(1e-16, 1e-16, value, value),), {}, ())
    assert together(paths, at) == (30 if value == 0 else 10)
    assert math.isnan(paths.reach)


# ---- the figure


def made(stable=1e-16, chaotic=0.06):
    at = recorded(1000)
    grown = tuple(min(1.1e-16 * math.exp(chaotic * step), 0.3) for step in at)
    flat = (stable,) * len(at)
    return Trajectories(
        at,
        tuple(
            Paths(
                setting,
                tuple(
                    curve(*values, dtype=dtype, right=right)
                    for dtype in ("float32", "float64")
                    for right in ("<b> & 'c'", CONTROL)
                ),
                {
                    (right, dtype): accuracy
                    for dtype in ("float32", "float64")
                    for right, accuracy in (("<b> & 'c'", 0.95), (CONTROL, 0.975))
                },
                sharp,
            )
            for setting, values, sharp in (
                (STABLE, flat, (1.0, 2.0, 3.0)),
                (CHAOTIC, grown, (2.0,)),
            )
        ),
    )


def drawn(found):
    text = figure.svg(found, "Measured at noon.")
    assert text == figure.svg(found, "Measured at noon.")
    root = ElementTree.fromstring(text)
    return root, ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]


def classes(root, tag):
    return [e.get("class") for e in root.iter(f"{SVG}{tag}")]


def test_the_figure_has_every_curve_and_says_what_it_is():
    root, words = drawn(made())
    assert classes(root, "polyline") == ["curve", "control"] * 4
    assert root.get("role") == "img"
    said = {root.find(f"{SVG}{name}").get("id") for name in ("title", "desc")}
    assert said == set(root.get("aria-labelledby").split())
    told = root.find(f"{SVG}desc").text
    assert told.endswith("Measured at noon.")
    last = "in float64 1.1e-16 after step 1, 3.0e-01 after the last"
    assert told.count("<b> & 'c' from a") == 4
    assert last.replace("1.1e-16", "1.2e-16") in told
    assert {"stable: learning rate 0.1", "chaotic: learning rate 2"} <= set(words)
    assert "learning rate times sharpness 0.2 < 2: differences do not grow" in words
    assert "learning rate times sharpness 4.0 > 2: differences grow" in words
    assert "test accuracy of these runs: 95.0% to 97.5%" in words
    assert "a from itself, one weight moved by one ULP" in words


def test_the_law_is_drawn_where_it_is_reached_within_the_run():
    root, words = drawn(made())
    guides = [e for e in root.iter(f"{SVG}line") if e.get("class") == "guide"]
    assert len(guides) == 2  # both dtypes of the chaotic setting
    assert "≈ u e0.060 t: doubles every 12 steps" in words
    assert "30% to 30% apart" in words
    root, words = drawn(made(chaotic=0.01))
    assert "guide" not in classes(root, "line")
    assert not any("doubles" in w for w in words)


def test_a_curve_rises_by_decades_within_its_panel():
    root, _ = drawn(made())
    lines = [
        [tuple(map(float, p.split(","))) for p in e.get("points").split()]
        for e in root.iter(f"{SVG}polyline")
    ]
    stable, chaotic = lines[2], lines[6]
    assert len({y for _, y in stable}) == 1
    rise = [a[1] - b[1] for a, b in pairwise(chaotic[1:40])]
    assert min(rise) > 0
    assert max(rise) - min(rise) < 0.3  # a straight line, to a tenth of a pixel
    assert stable[-1][0] < chaotic[0][0]
    width = float(root.get("viewBox").split()[2])
    assert all(0 <= x <= width for line in lines for x, _ in line)


def test_what_is_zero_or_no_number_can_be_drawn():
    root, words = drawn(made(stable=0.0))
    assert "0: equal" in words
    assert "hollow" in classes(root, "path")
    assert "0: equal" not in drawn(made())[1]
    root, _ = drawn(made(stable=math.nan))
    assert next(e.get("points") for e in root.iter(f"{SVG}polyline")) == ""
    drawn(Trajectories((1, 10), ()))
    rises = curve(1e-16, 1e-9, *[math.nan] * 99)  # steep, and then broken
    drawn(replace(made(), paths=(Paths(CHAOTIC, (rises,), {}, ()),)))


def test_the_document_is_plain_json():
    found = made(stable=math.nan)
    text = json.dumps(document(found, "noon", {"a": "1"}), allow_nan=False)
    stable, chaotic = json.loads(text)["settings"]
    assert stable["curves"][0]["distances"] == [None] * len(found.at)
    assert chaotic["curves"][0]["growth"] == pytest.approx(0.06)
    assert chaotic["lr_times_sharpness"] == 4.0


# ---- the command


def tetra(*args):
    return CliRunner().invoke(cli.main, ["drift", *map(str, args)], prog_name="tetrapla")


def test_the_command_prints_a_table_and_writes_both_files(tmp_path):
    support.dataset("digits")
    svg, path = tmp_path / "paths.svg", tmp_path / "paths.json"
    args = ("--backends", "numpy", "--steps", 20, "--svg", svg, "--json", path)
    result = tetra(*args)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if "1 ULP float" in line]
    assert len(rows) == 4  # two settings, two dtypes
    found = json.loads(path.read_text())
    assert found["steps"] == [1, 10, 20]
    first = found["settings"][0]["curves"][0]["distances"]
    assert all(f"{d:.1e}" in rows[0] for d in first[:2])
    assert found["versions"]["numpy"] == np.__version__
    described = ElementTree.parse(svg).getroot().find(f"{SVG}desc").text
    assert f"Measured on {found['date']} with tetrapla" in described
    assert f"numpy {np.__version__}" in described


def test_the_command_refuses_before_it_runs(tmp_path, monkeypatch):
    result = tetra("--svg", tmp_path / "no" / "such.svg")
    assert (result.exit_code, "there is no folder" in result.output) == (2, True)
    assert tetra("--backends", "nunpy").exit_code == 2
    assert tetra("--backends", "numpy,").exit_code == 2
    assert tetra("--steps", 9).exit_code == 2

    def absent():
        raise MissingExtraError("pip install 'tetrapla[data]'")

    monkeypatch.setattr(measuring, "digits", absent)
    result = tetra("--backends", "numpy")
    assert (result.exit_code, "tetrapla[data]" in result.output) == (2, True)


def test_by_default_it_is_those_from_scratch(monkeypatch):
    asked = []

    def loaded(name, dtype):
        asked.append((name, dtype))
        return load("numpy", dtype=dtype)

    found = made()
    monkeypatch.setattr(command, "load", loaded)
    monkeypatch.setattr(command, "_run", lambda backends, steps: found)
    there = dict.fromkeys((*support.ALL, "others"), "1")
    monkeypatch.setattr(command, "available", lambda: there)
    assert tetra().exit_code == 0
    assert [name for name, dtype in asked if dtype == "float64"] == [*support.BACKENDS]


# ---- what is published


def test_the_published_figure_and_its_page_say_the_same():
    path = ROOT / "docs" / "figures" / "trajectories.svg"
    assert path.stat().st_size < 60_000  # light enough for a page
    root = ElementTree.parse(path).getroot()
    assert classes(root, "polyline") == ["curve", "curve", "curve", "control"] * 4
    told = root.find(f"{SVG}desc").text
    assert re.search(r"Measured on \d{4}-\d\d-\d\d with tetrapla [\d.]+", told)
    page = (ROOT / "docs" / "trajectories.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if "e-" in line]
    rows = [[cell.strip() for cell in row] for row in rows if len(row) > 5]
    assert len(rows) == 16
    for name, dtype, first, *_, last, _, _ in rows:
        assert f"{name} from numpy in {dtype} {first} after step 1, {last} after" in told
