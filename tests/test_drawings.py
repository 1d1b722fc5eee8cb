"""The drawings of docs/drawings: there, described, reproducible, and true."""

import functools
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import support

import tetrapla as tp

DOCS = Path(__file__).parent.parent / "docs"
DRAWINGS = DOCS / "drawings"
NAMES = sorted(path.stem for path in DRAWINGS.glob("[a-z]*.py"))
OF_ALL = ("dropout", "landscape")  # drawn by all four frameworks
OF_NUMPY = tuple(name for name in NAMES if name not in OF_ALL)

ELSEWHERE = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
made = {name: __import__(name).svg() for name in sys.argv[2:]}
print(json.dumps({k: hashlib.sha256(v.encode()).hexdigest() for k, v in made.items()}))
"""


def needed(name: str) -> None:
    """Skip, or fail in CI, where the drawing cannot be made here."""
    if importlib.util.find_spec("matplotlib") is None:
        support.missing("the drawings need matplotlib: pip install matplotlib")
    for backend in support.BACKENDS if name in OF_ALL else ():
        support.backend(backend)


@functools.cache
def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"drawing_{name}", DRAWINGS / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(DRAWINGS))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DRAWINGS))
    return module


def drawing(name: str) -> ModuleType:
    needed(name)
    return loaded(name)


@functools.cache
def drawn(name: str) -> str:
    svg = drawing(name).svg()
    assert isinstance(svg, str)
    return svg


@functools.cache
def elsewhere(names: tuple[str, ...]) -> dict[str, str]:
    """Return the hashes of the drawings as another process makes them."""
    command = [sys.executable, "-c", ELSEWHERE, str(DRAWINGS), *names]
    env = os.environ | {"PYTHONHASHSEED": "1", "MPLBACKEND": "pdf"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def wanted() -> Iterator[str]:
    for path in DOCS.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        yield from re.findall(r"^`{3,}\{drawn\} (\S+)$", text, flags=re.MULTILINE)


def said(name: str) -> list[str]:
    """Return the texts in a drawing; matplotlib writes them beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", drawn(name))


def test_every_drawing_that_a_page_asks_for_is_there():
    assert set(wanted()) <= set(NAMES)


def test_every_drawing_is_on_a_page():
    assert set(NAMES) <= set(wanted())


@pytest.mark.parametrize("name", NAMES)
def test_described_for_who_cannot_see_it(name):
    module = drawing(name)
    assert 40 <= len(module.ALT) <= 400
    assert 40 <= len(module.CAPTION) <= 240
    assert module.ALT.endswith(".")
    assert module.CAPTION.endswith(".")
    assert len(re.findall(r"\. ", module.CAPTION)) <= 1  # two sentences at most


@pytest.mark.parametrize("name", NAMES)
def test_an_svg_that_needs_nothing_else(name):
    svg = drawn(name)
    assert len(svg.encode()) < 300_000
    tags = {
        element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()
    }
    assert "path" in tags
    assert not tags & {"image", "script", "text", "foreignObject"}
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="([^"]*)"|url\(([^)]*)\)', svg)) <= {
        pair for i in ids for pair in [(f"#{i}", ""), ("", f"#{i}")]
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_in_another_process(name):
    needed(name)
    there = elsewhere(OF_ALL if name in OF_ALL else OF_NUMPY)
    assert hashlib.sha256(drawn(name).encode()).hexdigest() == there[name]


def test_matplotlib_is_left_as_it_was():
    module = drawing("perceptron")
    import matplotlib

    with matplotlib.rc_context({"font.size": 31, "svg.fonttype": "none"}):
        before = dict(matplotlib.rcParams)
        assert module.svg() == drawn("perceptron")
        assert dict(matplotlib.rcParams) == before
    assert not any("pyplot" in path.read_text("utf-8") for path in DRAWINGS.glob("*.py"))


def test_a_colour_for_each_backend_and_none_like_its_neighbour_in_grey():
    drawing("perceptron")
    import _style
    from matplotlib.colors import to_rgb

    assert tuple(_style.BACKENDS) == tuple(_style.NAMES) == support.BACKENDS
    grey = [
        np.dot(to_rgb(color), [0.299, 0.587, 0.114]) for color in _style.BACKENDS.values()
    ]
    assert np.abs(np.diff(grey)).min() > 0.15


def test_activations():
    curves = drawing("activations").values()
    for g, slope_of in [
        ("sigmoid", lambda z, a: a * (1 - a)),
        ("tanh", lambda z, a: 1 - a**2),
        ("relu", lambda z, a: z > 0),
    ]:
        z, a, slope = curves[g]
        assert (z[0], z[-1]) == (-5, 5)
        # float64, of numbers up to 1: thousands of roundings
        np.testing.assert_allclose(slope, slope_of(z, a), rtol=0, atol=1e-12)
    assert "never above 0.25" in said("activations")


def test_perceptron():
    module = drawing("perceptron")
    (y,) = module.output(module.POINT[None])
    assert y == pytest.approx(0.0024726, abs=0.5e-7)
    on = np.array([[-1.0, -1.0], [1.0, 2.0]])
    # z is 0 there, but for a few roundings of float64
    np.testing.assert_allclose(module.output(on), 0.5, rtol=1e-12)
    assert (module.output(on + module.WEIGHT) > 0.99).all()
    assert "sigmoid(z) = 0.0025" in said("perceptron")


def test_without_a_non_linearity_the_boundary_is_a_line():
    module = drawing("non_linear")
    x, y = module.moons()
    middle = (x[:-1] + x[1:]) / 2
    bent = {}
    for g in ("identity", "tanh"):
        logits = module.trained(g, np.concatenate([x, middle]))
        ends, between = logits[: len(x)], logits[len(x) :]
        bent[g] = np.abs((ends[:-1] + ends[1:]) / 2 - between).max()
        right = np.count_nonzero((ends > 0) == (y[:, 0] > 0.5))
        assert right == len(x) if g == "tanh" else right < 0.9 * len(x)
    assert bent["identity"] < 1e-9
    assert bent["tanh"] > 1


def test_network():
    module = drawing("network")
    assert [len(column) for column in module.columns()] == [2, 3, 1]
    assert [len(labels) for labels in module.LABELS] == [2, 3, 1]
    layer, *place = module.MARKED
    assert np.zeros(module.NET.shapes[f"{layer}.weight"])[tuple(place)] == 0
    assert module.CAPTION.endswith(f"from x{'₁₂'[place[0]]} to h{'₁₂₃'[place[1]]}.")


def test_four_frameworks_descend_on_one_path():
    module = drawing("landscape")
    descents = module.descents()
    assert tuple(descents) == support.BACKENDS
    assert len({places.tobytes() for places, _ in descents.values()}) > 1  # run, not copied
    first, _ = descents["numpy"]
    for places, losses in descents.values():
        assert places.shape == (module.STEPS + 1, 2)
        assert np.abs(places - first).max() < 1e-5
        assert (np.diff(losses) < 1e-6).all()
        # descent nears the lowest point and does not reach it: the eye sees no gap
        np.testing.assert_allclose(places[-1], [1, 2], atol=0.05)
    (most,) = re.findall(r"0\.0\d+", module.CAPTION)
    assert float(most) == pytest.approx(module.apart(), rel=0.5)
    assert module.apart() < 1e-5


def test_the_deeper_the_more_rugged():
    module = drawing("rugged")
    shallow, deep = module.cut(0), module.cut(6)
    assert len(module.minima(shallow)) == 1
    found = np.sort(deep[module.minima(deep)])
    assert len(found) >= 4
    assert (found[1:] > 4 * found[0]).all()


def test_learning_rates():
    runs = drawing("learning_rates").runs()
    starts = {(places[0, 0], losses[0]) for places, losses in runs.values()}
    assert len(starts) == 1
    ((_, began),) = starts
    ends = {name: losses[-1] for name, (_, losses) in runs.items()}
    assert ends["stable"] < ends["small"] < began < ends["large"]
    (small, _), (stable, _), (large, losses) = runs.values()
    assert abs(small[-1] - small[-2]) < 0.01  # at rest, in the false minimum
    assert small[-1] < 0 < stable[-1]
    assert abs(stable[-1] - stable[-2]) < 1e-6
    assert losses[0] < losses[1] < losses[2]  # higher with each jump that is seen
    assert large[1] > stable[-1] > large[2]


def test_all_optimizers_arrive():
    module = drawing("optimizers")
    paths = module.races(250)
    assert all(tuple(path[0]) == module.START for path in paths.values())
    steps = [len(path) - 1 for path in paths.values()]
    assert max(steps) < 250
    titles = [f"{name}: {n} steps" for name, n in zip(paths, steps, strict=True)]
    assert set(titles) <= set(said("optimizers"))
    for path in paths.values():
        w1, w2 = path[-1]
        x = np.linspace(-2, 2, 21)
        assert np.mean((w2 * np.tanh(w1 * x) - 2 * np.tanh(x)) ** 2) < 0.01
    for name in ("Momentum", "Adam"):
        assert (np.diff(np.sign(np.diff(paths[name][:, 1]))) != 0).any()


def test_the_smaller_the_batch_the_noisier_the_path():
    module = drawing("batches")
    paths = {size: module.path(size) for size in module.SIZES}
    assert [len(path) - 1 for path in paths.values()] == [8, 64, 512]
    x, y = module.data()
    lowest = np.linalg.lstsq(np.concatenate([x, np.ones_like(x)], axis=1), y)[0][:, 0]
    away = {size: np.linalg.norm(path - lowest, axis=1) for size, path in paths.items()}
    assert (np.diff(away["all"]) < 0).all()
    assert away["all"][-1] > 0.5 > away[8][-1]
    assert away[1][-100:].std() > 2 * away[8][-10:].std()
    assert away[1][-100:].max() > away[8][-10:].max()


def test_the_ideal_fit_is_the_best_on_what_it_has_not_seen():
    under, ideal, over = (loss for _, _, loss in drawing("fitting").fits().values())
    assert under["loss"] > ideal["loss"] > over["loss"]
    assert over["loss"] < 1e-3
    assert ideal["val_loss"] < 0.8 * min(under["val_loss"], over["val_loss"])


def test_early_stopping():
    module = drawing("early_stopping")
    history, best, stop = module.runs()
    train, held_out = history["loss"], history["val_loss"]
    assert stop == best + module.PATIENCE < module.EPOCHS
    assert held_out[best - 1] == min(held_out[:stop])
    assert held_out[-1] > 1.2 * held_out[best - 1]
    assert train[-1] < 0.5 * train[best - 1]
    assert f"at epoch {best}" in said("early_stopping")


def test_dropout_masks_are_equal_to_the_bit():
    module = drawing("dropout")
    masks = module.masks()
    assert tuple(masks) == support.BACKENDS
    key = tp.threefry.fold_in(tp.Training(1, seed=module.SEED).dropout_key(0), 1)
    shape = (module.EXAMPLES, 12)
    expected = tp.threefry.uniform(key, shape) < np.float32(0.5)
    for mask in masks.values():
        np.testing.assert_array_equal(mask, expected)
    assert module.differing() == 0
    assert any("NumPy's: 0 of 288" in text for text in said("dropout"))
