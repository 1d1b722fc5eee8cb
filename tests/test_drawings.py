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
from itertools import pairwise
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
OF_DATA = ("features", "one_page")  # of data that scikit-learn brings
OF_NUMPY = tuple(name for name in NAMES if name not in OF_ALL + OF_DATA)

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
    if name in OF_DATA:
        support.dataset("digits")


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
    there = elsewhere(next(of for of in (OF_ALL, OF_DATA, OF_NUMPY) if name in of))
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


def test_terms_three_rules_are_right_and_the_learned_one_is_unfair():
    module = drawing("terms")
    d = tp.data.lecture()
    ends = np.array([[0.0, 0.0], [8.0, 10.0]])
    places = np.concatenate([d.x_train, module.NEW, ends, ends.mean(axis=0)[None]])
    said = module.answers(places)
    assert len(said) == len(module.WORDS) == len(module.boxes())
    for z in said:
        np.testing.assert_array_equal(z[:3] > 0, d.y_train[:, 0] == 1)
    assert [bool(z[3] > 0) for z in said] == [True, False, True]
    assert d.y_train[0] == 1
    more = module.NEW - d.x_train[0]
    assert (more > 0).all()
    typed, learned, deep = (abs(z[4:6].mean() - z[6]) for z in said)
    # float64, of numbers up to 10: a line but for a few roundings
    assert max(typed, learned) < 1e-12
    assert deep > 1
    sides = [(x, y, x + w, y + h) for x, y, w, h in module.boxes()]
    for (x0, y0, x1, y1), inner in pairwise(sides):
        assert x0 < inner[0] < inner[2] < x1
        assert y0 < inner[1] < inner[3] < y1


def test_learned_features_are_right_where_those_by_hand_are_wrong():
    module = drawing("features")
    d = support.dataset("digits")
    images = d.x_test.reshape(-1, 8, 8)
    means = np.concatenate([images.mean(axis=1), images.mean(axis=2)], axis=1)
    # float64, sums of eight numbers of about 1
    np.testing.assert_allclose(d.x_test @ module.by_hand(), means, rtol=0, atol=1e-12)
    (_, hand), (weights, learned) = module.trained().values()
    assert d.score(hand) < 0.9
    assert d.score(learned) > 0.95
    i, says = module.example()
    assert says == {"by hand": hand[i].argmax(), "learned": learned[i].argmax()}
    assert says["by hand"] != says["learned"] == d.y_test[i]
    assert weights.shape == (64, 64)
    texts = [f"it is a {d.y_test[i]}", f"say: a {says['by hand']}", f"16 of {64}"]
    assert all(any(text in line for line in said("features")) for text in texts)
    # the image is that digit: a pixel darker than another digit's is so standardised
    darker = np.sign(module.ink(i) - module.ink(0))
    np.testing.assert_array_equal(darker, np.sign(d.x_test[i] - d.x_test[0]))


def test_two_outputs_are_two_lines():
    module = drawing("multi_output")
    assert module.answers(np.array(module.PLACES)).tolist() == [0, 1, 2, 3]
    assert module.ANSWERS[module.answers(module.POINT)[0]] == "only the second"
    first, second = module.outputs(module.POINT)[0]
    assert first == pytest.approx(0.0024726, abs=0.5e-7)  # the perceptron's
    texts = {f"{first:.2g}, {second:.2g}", "bias 1", "bias \N{MINUS SIGN}1"}
    assert texts <= set(said("multi_output"))
    described = "{:g} and {:g} lead to the first output, {:g} and {:g} to the second"
    assert described.format(*module.WEIGHT.T.ravel()) in module.ALT
    for k, (w1, w2) in enumerate(module.WEIGHT.T):
        on = np.array([[x1, -(module.BIAS[k] + w1 * x1) / w2] for x1 in (-2.0, 0.0, 3.0)])
        # z is 0 there, but for a few roundings of float64
        np.testing.assert_allclose(module.outputs(on)[:, k], 0.5, rtol=1e-12)


def test_dense_shapes():
    module = drawing("dense_shapes")
    (batch, inputs), outputs = module.X.shape, len(module.WEIGHTS["0.bias"])
    assert len({batch, inputs, outputs}) == 3
    first_two = drawing("multi_output")  # of the chapter before
    np.testing.assert_array_equal(module.WEIGHTS["0.weight"][:, :2], first_two.WEIGHT)
    np.testing.assert_array_equal(module.WEIGHTS["0.bias"][:2], first_two.BIAS)
    w, bias, z = *module.WEIGHTS.values(), module.product()
    for i, j in np.ndindex(batch, outputs):  # small halves: exact in any order
        assert z[i, j] == sum(module.X[i, k] * w[k, j] for k in range(inputs)) + bias[j]
    np.testing.assert_array_equal(z[1], bias)
    texts = said("dense_shapes")
    assert module.sentence() in texts
    assert module.sentence().endswith("= \N{MINUS SIGN}6")
    for array in (module.X, *module.WEIGHTS.values(), z):
        assert str(array.shape) in texts


def test_the_same_weights_either_way_round():
    module = drawing("weight_layouts")
    kept, transposed, read = module.outputs().values()
    np.testing.assert_array_equal(kept, transposed)
    assert (np.abs(read - kept) > 0.5).all()
    memory = np.ascontiguousarray(module.W.T).ravel()
    np.testing.assert_array_equal(memory[module.order()], module.W.ravel())
    model = support.backend("torch.nn").build(module.NET, module.WEIGHTS)
    (stored,) = (p for p in model.parameters() if p.ndim == 2)
    expected = module.W.T.astype(np.float32)
    np.testing.assert_array_equal(stored.detach().numpy(), expected)


def test_depth_buys_pieces_and_costs_gradient():
    module = drawing("depth")
    for k in module.FOLDS:
        assert module.pieces(module.folded(k)) == 2**k
        assert {f"{2 * k} units", f"in one layer: {2**k - 1}"} <= set(said("depth"))
    gradients, sizes = zip(*map(module.arriving, module.DEPTHS), strict=True)
    assert (np.diff(gradients) < 0).all()
    assert gradients[0] == pytest.approx(0.5, abs=0.05)  # as ALT says, to one digit
    assert gradients[-1] == pytest.approx(2e-5, abs=0.5e-5)
    assert {str(size) for size in sizes} <= set(said("depth"))


def test_the_mean_of_the_losses_is_their_level():
    module = drawing("empirical_loss")
    each, mean = module.losses()
    # the lecture's numbers, to the six digits that are drawn
    np.testing.assert_allclose(each, [2.302585, 1.609438, 0.510826], rtol=0, atol=0.5e-6)
    assert mean == pytest.approx(1.474283, abs=0.5e-6)
    above, below = np.maximum(each - mean, 0).sum(), np.maximum(mean - each, 0).sum()
    assert above == pytest.approx(below, abs=1e-12)  # float64: a few roundings
    texts = {f"{loss:.6f}" for loss in each} | {f"mean J = {mean:.6f}"}
    assert texts <= set(said("empirical_loss"))


def test_a_clamp_makes_the_loss_level():
    module = drawing("cross_entropy")
    losses = module.by_probability(module.P, module.Y)
    # the lecture's numbers, to six digits
    np.testing.assert_allclose(losses, [2.302585, 1.609438, 0.510826], rtol=0, atol=0.5e-6)
    assert {f"{loss:.2f}" for loss in losses} <= set(said("cross_entropy"))
    curves, z = module.by_logit(), module.Z
    far = z < -100
    np.testing.assert_array_equal(curves["exact"][far], -z[far])  # exp(-100) adds nothing
    np.testing.assert_array_equal(curves["torch"][far], 100)
    assert np.ptp(curves["keras"][z < -17]) == 0
    assert curves["keras"][0] == pytest.approx(16.118, abs=0.5e-3)  # -log(1e-7)
    near = (z > -16) & (z < 16)
    for name in ("torch", "keras"):
        # the same but for rounding p, 1e-16 of at most 1, and a logarithm of at most 16
        near_exact = curves["exact"][near]
        np.testing.assert_allclose(curves[name][near], near_exact, rtol=0, atol=1e-12)
    assert module.slope(-150.0) == -1
    assert module.slope(0.0) == -0.5


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
    paths = module.races()
    assert all(tuple(path[0]) == module.START for path in paths.values())
    steps = [len(path) - 1 for path in paths.values()]
    assert max(steps) < 120
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


def test_three_classes_arrows_lead_from_the_bars_to_the_labels():
    module = drawing("three_classes")
    for z, label in zip(module.LOGITS, module.CLASSES, strict=True):
        p, loss, gradient = module.stages(z, label)
        # float64, of numbers up to 3: a few roundings
        np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(), rtol=1e-14)
        np.testing.assert_allclose(loss, -np.log(p[label]), rtol=1e-14)
        np.testing.assert_allclose(p - gradient, np.eye(len(z))[label], atol=1e-15)
        assert len(z) == 1 or f"loss {loss:.2f}" in said("three_classes")
    for z in (-30.0, 0.0, 2.0, 700.0):
        assert module.stages([z], 0) == (1, 0, 0)
    assert "loss 0, always" in said("three_classes")


def test_squares_have_the_errors_as_sides_and_are_least_on_the_line():
    module = drawing("squares")
    flat, line = module.lines().values()
    assert (flat["0.weight"].item(), flat["0.bias"].item()) == (0, module.GRADES.mean())
    for weights in (flat, line):
        predicted, each, mean = module.errors(weights)
        # float64, of numbers up to 500: a few roundings
        np.testing.assert_allclose(each, (predicted - module.GRADES[:, 0]) ** 2, atol=1e-9)
        assert mean == pytest.approx(each.mean(), rel=1e-12)
        assert f"mean {mean:.0f}" in said("squares")
        assert f" {mean:.0f}" in module.ALT
    for name in line:
        for change in (-0.1, 0.1):
            assert module.errors(line | {name: line[name] + change})[2] > mean

    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    module.square(ax, 1.0, 2.0, 49.0, module._style.TEAL)
    (patch,) = ax.patches
    assert 10 * patch.get_width() == pytest.approx(patch.get_height()) == 7


def test_steps_downhill_shrink_with_the_slope():
    module = drawing("downhill")
    w2, height, slope = module.slide()
    b, (x, y) = tp.load("numpy", dtype="float64"), module._descent.DATA
    at = [b.loss("mse", w * np.tanh(x), y) for w in w2]
    np.testing.assert_allclose(height, at, rtol=1e-12)  # float64: a few roundings
    steps = np.diff(w2)
    # float64, of numbers up to 4: a few roundings
    np.testing.assert_allclose(steps, -module.ETA * slope[:-1], rtol=1e-12)
    assert (np.diff(steps) < 0).all()
    assert (np.diff(np.abs(slope)) < 0).all()
    assert (np.diff(height) < 0).all()


def test_the_starts_decide_between_the_two_lowest_points():
    paths = drawing("downhill").paths()
    assert len({tuple(path[0]) for path in paths}) == 12
    ends = [np.sign(path[-1, 0]) for path in paths]
    assert set(ends) == {-1, 1}
    for path, side in zip(paths, ends, strict=True):
        # descent nears the lowest point and does not reach it: the eye sees no gap
        np.testing.assert_allclose(path[-1], [side, 2 * side], atol=0.03)
    assert ends[:2] == [-1, 1]  # the chapter's two


def test_two_factors_for_the_last_weight_and_three_for_the_one_before():
    module = drawing("chain_rule")
    factors, stages = module.factors(), module.trace()
    last, before = factors["w₂"], factors["w₁"]
    assert [len(last), len(before)] == [2, 3]
    assert last[0] == before[0]
    b = tp.load("numpy", dtype="float64")

    def loss(w1, w2):
        return (w2 * b.activation("tanh", np.array(w1 * module.X)) - module.Y) ** 2

    h, w1, w2 = 1e-5, module.W1, module.W2
    slopes = (
        (loss(w1, w2 + h) - loss(w1, w2 - h)) / (2 * h),
        (loss(w1 + h, w2) - loss(w1 - h, w2)) / (2 * h),
    )
    for product, slope, layer in zip((last, before), slopes, (1, 0), strict=True):
        grad = np.prod([value for _, value in product])
        # a few roundings; then h^2, and a rounding of 3 over h
        assert grad == pytest.approx(stages[f"{layer}.weight.grad"], rel=1e-14)
        assert grad == pytest.approx(slope, abs=1e-8)
        assert f"= {module.number(grad)}" in said("chain_rule")


def test_the_training_loop_is_the_run():
    module = drawing("training_loop")
    steps, training = module.steps(), module.TRAINING
    b = tp.load("numpy", dtype="float64")
    run = b.fit(module.NET, module.NET.init(seed=0), module.data(), training)
    losses = np.array([step["loss"] for step in steps]).reshape(training.epochs, -1)
    assert losses.shape == (5, 4)
    # float64: what two orders of the same sums differ by, after twenty steps
    np.testing.assert_allclose(losses.mean(axis=1), run.history["loss"], rtol=1e-10)
    assert steps[-1]["after"] == pytest.approx(run.weights["1.weight"][0, 0], rel=1e-10)
    for step, following in pairwise(steps):
        assert step["after"] == following["before"]
        moved = step["before"] - training.optimizer.lr * step["gradient"]
        assert step["after"] == pytest.approx(moved, rel=1e-14)
    assert (np.diff(losses.mean(axis=1)) < 0).all()
    assert {f"{mean:.2f}" for mean in losses.mean(axis=1)} <= set(said("training_loop"))


def test_the_price_of_weights_has_its_best_in_between():
    module = drawing("price")
    prices = (0.0, *module.PRICES)
    _, train, held_out = zip(*(module.fit(price) for price in prices), strict=True)
    assert (np.diff(train) > 0).all()
    assert (np.diff([module.size(price) for price in prices]) < 0).all()
    best = int(np.argmin(held_out))
    assert prices[best] == 0.1
    assert (np.diff(held_out[: best + 1]) < 0).all()
    assert (np.diff(held_out[best:]) > 0).all()
    titles = [f"{name}: λ = {price:g}" for price, name in module.SHOWN.items()]
    sizes = [f"size of the weights {module.size(price):.2f}" for price in module.SHOWN]
    assert {*titles, *sizes} <= set(said("price"))


def test_the_lecture_on_one_page():
    module = drawing("one_page")
    history, score = module.run()
    stop, best = len(history["val_loss"]), 1 + int(np.argmin(history["val_loss"]))
    assert stop == best + 5  # the patience
    held_out = f"held out, lowest at epoch {best}: {min(history['val_loss']):.3f}"
    right = f"{score:.0%} of the test rows right"
    assert {held_out, right, f"stops at epoch {stop}", "0.0025"} <= set(said("one_page"))
    assert f"epoch {best}" in module.ALT
    assert f"epoch {stop}" in module.ALT


def test_companion():
    module = drawing("companion")
    values, slopes = module.graph()
    assert values == {"a": 1.5, "b": 2.5, "c": 4, "d": 1.5, "e": 6}
    h = 2.0**-10
    for name, (da, db) in {"a": (h, 0), "b": (0, h)}.items():
        up, down = ((1.5 + s * da + 2.5 + s * db) * (2.5 + s * db - 1) for s in (1, -1))
        assert slopes[name] == (up - down) / (2 * h)  # exact: a parabola, in halves
    assert (slopes["c"], slopes["d"], slopes["e"]) == (values["d"], values["c"], 1)
    path = module.descent()
    # float64: five hundred roundings of numbers up to 4
    np.testing.assert_allclose(4 - path, 4 * 0.98 ** np.arange(501), rtol=0, atol=1e-12)
    assert {"3.9998", "∂e/∂b =", "1.5 + 4 = 5.5"} <= set(said("companion"))


def numbers_in(chapter: str, pattern: str) -> list[tuple[str, ...]]:
    """Return what a chapter's own assertions expect."""
    (path,) = (DOCS / "lecture").glob(f"{chapter}-*.md")
    found = re.findall(pattern, path.read_text(encoding="utf-8"))
    assert found, f"chapter {chapter} asserts nothing of the form {pattern}"
    return found


def test_chapter_21_runs_the_race_of_its_figure():
    counts = dict(numbers_in("21", r'"(\w+)"\]?(?::| =) (\d+)\b'))
    paths = drawing("optimizers").races()
    assert counts == {name: str(len(path) - 1) for name, path in paths.items()}


def test_chapter_24_fits_the_networks_of_its_figure():
    asserted = numbers_in("24", r'losses\["\w+"\], \[([\d.]+), ([\d.]+)\]')
    fits = drawing("fitting").fits().values()
    # the chapter's tolerances: three decimals; roundings grow in the longest run
    for (*_, loss), expected, atol in zip(fits, asserted, (1e-3, 1e-3, 6e-3), strict=True):
        seen = loss["loss"], loss["val_loss"]
        np.testing.assert_allclose(seen, [float(v) for v in expected], atol=atol)


def test_chapter_25_pays_the_prices_of_its_figure():
    (expected,) = numbers_in("25", r"held_out.values\(\)\), \[(.*?)\]")
    seen = [drawing("price").fit(price)[2] for price in (0.0, 0.01, 0.1, 3.0)]
    # the chapter has three decimals
    np.testing.assert_allclose(seen, [float(v) for v in expected.split(",")], atol=1e-3)
