"""The page docs/lecture/30-play.md: its script computes what the NumPy backend does.

Steps, not trajectories: every step of a path is judged from where the script itself
was. The landscape is judged in exact fractions, and its slopes come out of its heights.
"""

import re
import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla.oracle import optimizers
from tetrapla.oracle.arithmetic import judge
from tetrapla.oracle.bounded import Bounded, given
from tetrapla.parity.comparison import compare, require
from tetrapla.parity.verification import expected

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

DOCS = Path(__file__).parent.parent / "docs"
SCRIPT, STYLE = DOCS / "_static" / "play.js", DOCS / "_static" / "play.css"
PAGE = (DOCS / "lecture" / "30-play.md").read_text(encoding="utf-8")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

UNIT = 2.0**-53
MU = 0.9
SPECS = {
    "sgd": lambda lr: tp.SGD(lr),
    "momentum": lambda lr: tp.SGD(lr, momentum=MU),
    "nesterov": lambda lr: tp.SGD(lr, momentum=MU, nesterov=True),
    "adagrad": lambda lr: tp.Adagrad(lr),
    "adadelta": lambda lr: tp.Adadelta(lr),
    "rmsprop": lambda lr: tp.RMSProp(lr),
    "adam": lambda lr: tp.Adam(lr),
    "adam_keras": lambda lr: tp.Adam.keras(lr),
}
STARTS = ((-1.5, -0.5), (0.3, 1.6))
RATES = (0.003, 0.04)
STEPS = 100

each_path = pytest.mark.parametrize(
    ("rule", "lr", "start"),
    [
        pytest.param(rule, lr, start, id=f"{rule}-{lr}-{place}")
        for rule in SPECS
        for lr in RATES
        for place, start in zip(("left", "above"), STARTS, strict=True)
    ],
)


# The landscape, in exact fractions


def loss(w1, w2):
    """Return J at two fractions."""
    half, depth = Fraction(1, 2), Fraction(18, 100)
    dips = half * (w1 - 1) ** 2 * ((w1 + 1) ** 2 + depth)
    return dips + 5 * (w2 - half * w1**2) ** 2


def gradient(w1, w2):
    """Return the slopes of `loss`: of a polynomial of degree 4 this formula is exact."""
    h = Fraction(1)

    def slope(f):
        return (f(-2 * h) - 8 * f(-h) + 8 * f(h) - f(2 * h)) / (12 * h)

    return slope(lambda d: loss(w1 + d, w2)), slope(lambda d: loss(w1, w2 + d))


def loss_bound(w1, w2):
    """Return how far J may be off in float64.

    A number of the script's formula goes through at most 9 roundings (0.18 itself, two
    factors of the square before it, ...): the result is off by 10 units, generously, of
    what it is when no term cancels another.
    """
    w1, w2 = abs(w1), abs(w2)
    dips = (w1 + 1) ** 2 * ((w1 + 1) ** 2 + Fraction(18, 100)) / 2
    return 10 * UNIT * float(dips + 5 * (w2 + w1**2 / 2) ** 2)


def gradient_bound(w1, w2):
    """Return how far both slopes may be off in float64: at most 6 roundings each."""
    w1, w2 = abs(w1), abs(w2)
    aside = w2 + w1**2 / 2
    along = (w1 + 1) * (2 * w1 * (w1 + 1) + Fraction(18, 100)) + 10 * w1 * aside
    return [7 * UNIT * float(along), 7 * UNIT * float(10 * aside)]


def fractions(point):
    return tuple(Fraction(w) for w in point)


# The script, in a browser


@pytest.fixture(scope="module")
def browser():
    if sync_playwright is None:
        support.missing("needs playwright: pip install playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        support.missing(f"needs one of {', '.join(BROWSERS)}")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def ask(browser):
    """Return a way to call the script, which needs no page for it."""
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)

    def call(name, *args):
        return page.evaluate("([name, args]) => tetraplaPlay[name](...args)", [name, args])

    return call


def descent(ask, rule, lr, start, steps=STEPS):
    options = {"lr": lr, "momentum": MU, "steps": steps, "start": start}
    found = ask("path", rule, options)
    assert found["diverged"] or len(found["points"]) == steps + 1
    assert len(found["points"]) > 2
    return found


def rows(found, slots):
    """Return points and slots of a path: one row for each step's beginning, and the end."""
    state = {s: np.array([row[s] for row in found["slots"]], float) for s in slots}
    return np.array(found["points"], float), state


def numpy_steps(spec, points, state, gradients):
    """Return what NumPy makes of every step: each from the script's own place."""
    b = support.backend("numpy", "float64")
    weights, slots = [], {s: [] for s in state}
    for t, g in enumerate(gradients):
        before = {"t": np.array(t, np.int64)}
        before |= {f"{s}/w": values[t] for s, values in state.items()}
        new, after = b.update(spec, {"w": points[t]}, {"w": g}, before)
        assert after["t"] == t + 1
        weights.append(new["w"])
        for s in slots:
            slots[s].append(after[f"{s}/w"])
    return np.array(weights), {s: np.array(values) for s, values in slots.items()}


def judged(spec, points, state, g):
    """Return how the tensors of all steps are held to the oracle's bounds."""
    ar = judge("float64")
    t = np.arange(1, len(points))[:, None]
    before = {s: given(ar, values[:-1]) for s, values in state.items()}
    theta, slots = optimizers.update(spec, given(ar, points[:-1]), g, before, t)
    stages = {s: expected(s, spec.name, value) for s, value in slots.items()}
    stages["w"] = expected("w", spec.name, theta)
    steps = range(1, len(points))

    def check(weights, slots):
        got = slots | {"w": weights}
        assert got.keys() == stages.keys()
        require(compare(stages[n], got[n], steps=steps) for n in stages)

    return check


@each_path
def test_its_gradients_are_the_slopes_of_its_losses(ask, rule, lr, start):
    found = descent(ask, rule, lr, start)
    columns = (found[name] for name in ("points", "losses", "gradients"))
    for point, height, g in zip(*columns, strict=True):
        w = fractions(point)
        assert abs(Fraction(height) - loss(*w)) <= loss_bound(*w)
        for got, slope, bound in zip(g, gradient(*w), gradient_bound(*w), strict=True):
            assert abs(Fraction(got) - slope) <= bound


@each_path
def test_every_step_is_numpys(ask, rule, lr, start):
    # NumPy is given the gradient that is computed here; the script had its own, which
    # may be off by its bound. Both must be within what the oracle makes of that.
    spec = SPECS[rule](lr)
    found = descent(ask, rule, lr, start)
    points, state = rows(found, spec.slots)
    exact = [gradient(*fractions(p)) for p in points[:-1]]
    gradients = np.array(exact, float)
    bounds = np.array([gradient_bound(*fractions(p)) for p in points[:-1]])
    ar = judge("float64")
    g = Bounded(ar, gradients, bounds + UNIT * np.abs(gradients))
    check = judged(spec, points, state, g)
    check(points[1:], {s: values[1:] for s, values in state.items()})
    check(*numpy_steps(spec, points, state, gradients))


@each_path
def test_from_the_same_gradient_it_is_to_the_bit(ask, rule, lr, start):
    # Sums, products, quotients and roots are rounded correctly (IEEE 754) in both, so
    # the same order gives the same bits. Adam's correction is 1 - beta^t by log and
    # expm1, which every library rounds in its own way: there, the oracle's bound.
    spec = SPECS[rule](lr)
    found = descent(ask, rule, lr, start)
    points, state = rows(found, spec.slots)
    gradients = np.array(found["gradients"][:-1], float)
    check = judged(spec, points, state, given(judge("float64"), gradients))
    check(points[1:], {s: values[1:] for s, values in state.items()})
    weights, slots = numpy_steps(spec, points, state, gradients)
    for s in spec.slots:
        np.testing.assert_array_equal(state[s][1:], slots[s])
    if spec.name == "adam":
        check(weights, slots)
    else:
        np.testing.assert_array_equal(points[1:], weights)


def test_its_rules_have_the_specifications_numbers(browser):
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)
    rules = page.evaluate("tetraplaPlay.RULES")  # what JSON can say of them
    assert list(rules) == list(SPECS)
    for name, rule in rules.items():
        spec, hyper = SPECS[name](0.1), rule["hyper"]
        default = tp.Adam.keras() if name == "adam_keras" else type(spec)()
        assert hyper.pop("momentum", 0.0) == getattr(spec, "momentum", 0.0)
        assert {key: getattr(default, key) for key in hyper} == hyper
        assert rule["slots"] == spec.slots


def test_what_is_not_given_is_the_rules_own(ask):
    for name in SPECS:
        lr = {"adadelta": 1.0, "adam": 1e-3, "adam_keras": 1e-3}.get(name, 0.01)
        assert ask("path", name) == descent(ask, name, lr, STARTS[0], 200)


def test_a_path_that_diverges_ends_and_says_so(ask):
    found = descent(ask, "sgd", 0.5, STARTS[0])
    assert found["diverged"]
    sizes = np.abs(found["points"]).max(axis=1)
    assert sizes[-1] > 1000 >= sizes[-2]
    assert ask("path", "sgd", {"lr": 1e308})["diverged"]  # to infinity


# What the page says


def said(formula):
    """Return a formula of the page as a function of two fractions."""
    bare = re.sub(r"\\bigl|\\bigr|\\,|\\\\|\{\}|&|\s", "", formula)
    tokens = re.findall(r"w_[12]|\^2|[()+-]|\d[\d.]*", bare)
    assert "".join(tokens) == bare
    code = ""
    for before, token in pairwise(["(", *tokens]):
        times = before not in "(+-" and token[0] not in ")+-^"
        number = f"F('{token}')" if token[0].isdigit() else token.replace("^", "**")
        code += f"*{number}" if times else number
    return lambda w1, w2: eval(code, {"F": Fraction, "w_1": w1, "w_2": w2})


def displayed():
    """Return the formulas that stand by themselves: left side -> right side."""
    formulas = re.findall(r"^\$\$\n(.*?)\n\$\$$", PAGE, re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"\\(begin|end)\{aligned\}\n?", "", f).strip() for f in formulas]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def test_the_pages_formulas_are_the_scripts(ask):
    sides = displayed()
    height = said(sides["J"])
    slopes = [said(sides[rf"\frac{{\partial J}}{{\partial w_{i}}}"]) for i in (1, 2)]
    axis = [Fraction(n, 4) for n in range(-9, 10)]
    for w in [(w1, w2) for w1 in axis for w2 in axis]:
        assert height(*w) == loss(*w)
        assert tuple(slope(*w) for slope in slopes) == gradient(*w)
        floats = [float(x) for x in w]
        assert abs(Fraction(ask("loss", *floats)) - height(*w)) <= loss_bound(*w)
        for i, got in enumerate(ask("gradient", *floats)):
            assert abs(Fraction(got) - slopes[i](*w)) <= gradient_bound(*w)[i]


def test_the_places_are_level_and_as_high_as_the_page_says():
    heights = {("1", "0.5"): "0", ("-0.9", "0.405"): "0.343", ("-0.1", "0.005"): "0.599"}
    for (w1, w2), height in heights.items():
        w = Fraction(w1), Fraction(w2)
        assert gradient(*w) == (0, 0)
        assert abs(loss(*w) - Fraction(height)) < Fraction(1, 2000)
        assert f"$({w1}, {w2})$ with $J = {height}$" in " ".join(PAGE.split())


def test_what_to_try_ends_as_the_page_says(ask):
    ends = {
        "sgd": {
            0.001: "neither",
            0.01: "false",
            0.05: "lowest",
            0.089: "lowest",
            0.1: "neither",
            0.11: "diverged",
        },
        "momentum": {0.01: "lowest", 0.05: "diverged"},
        "adam": {0.001: "neither", 0.1: "false", 0.3: "lowest", 3.0: "lowest"},
        "adadelta": {1.0: "neither"},
        "adagrad": {0.01: "neither", 2.0: "lowest"},
        "rmsprop": {0.1: "false"},
    }
    paths = {
        (rule, lr): descent(ask, rule, lr, STARTS[0], 200)
        for rule, rates in ends.items()
        for lr in rates
    }
    for (rule, lr), found in paths.items():
        assert ask("outcome", found) == ends[rule][lr], (rule, lr)
        assert f"{lr:g}" in PAGE
    assert abs(paths["sgd", 0.05]["points"][1][0] - -0.1) < 0.05  # on the pass
    unlucky = descent(ask, "sgd", 0.05, (-1.49, -0.5), 200)
    assert ask("outcome", unlucky) == "false"
    to_and_fro = np.array(paths["sgd", 0.1]["points"][-20:])
    np.testing.assert_allclose(to_and_fro[2:], to_and_fro[:-2], atol=1e-9)
    assert np.abs(to_and_fro[1] - to_and_fro[0]).max() > 0.1
    at_default = np.array(paths["adam", 0.001]["points"])
    assert np.abs(at_default - at_default[0]).max() <= 0.2
    keras = np.array(descent(ask, "adam_keras", 0.001, STARTS[0], 200)["points"])
    assert np.abs(keras - at_default).max() < 0.005  # half a pixel: 400 of them are 4
    trembling = paths["rmsprop", 0.1]["losses"][-50:]
    assert max(trembling) - min(trembling) > 0.01
    curvature = np.array([[14.18, -10.0], [-10.0, 10.0]])
    assert round(2 / np.linalg.eigvalsh(curvature)[-1], 4) == 0.0897


# The controls


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that opens the page's own HTML, without the site around it."""
    (block,) = re.findall(r"^```\{raw\} html\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "lecture").mkdir()
    (tmp_path / "_static").mkdir()
    for path in (SCRIPT, STYLE):
        shutil.copy(path, tmp_path / "_static")
    html = tmp_path / "lecture" / "30-play.html"
    html.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Try it</title>'
        f'<meta name="viewport" content="width=device-width">{block}',
        encoding="utf-8",
    )
    contexts, problems = [], []

    def open_(width=1600, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith("file:") else problems.append(r.url),
        )
        page.goto(html.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


def part(page, name):
    return page.locator(f'[data-part="{name}"]').first


def assert_starts_at(page, w1, w2):
    text = part(page, "start").get_attribute("aria-valuetext")
    numbers = re.fullmatch(r"w1 = (\S+), w2 = (\S+)", text.replace("\N{MINUS SIGN}", "-"))
    # A pixel is 1/80 where the map is small.
    np.testing.assert_allclose([float(w) for w in numbers.groups()], (w1, w2), atol=0.013)


def on_map(page, w1, w2):
    box = part(page, "map").bounding_box()
    x = box["x"] + (w1 + 2) / 4 * box["width"]
    return x, box["y"] + (2 - w2) / 3 * box["height"]


def test_a_change_shows_at_once(opened):
    page = opened()
    status = part(page, "said")
    assert status.get_attribute("aria-live") == "polite"
    assert status.inner_text().startswith("After 200 steps the loss is 0.343")
    assert "false minimum" in status.inner_text()
    assert not part(page, "momentum").is_visible()
    line = part(page, "line").get_attribute("d")

    page.get_by_label("Learning rate").focus()
    page.keyboard.press("End")
    assert "Diverged" in status.inner_text()
    assert not part(page, "end").is_visible()
    assert part(page, "line").get_attribute("d") != line

    page.get_by_label("Optimizer").select_option("momentum")
    assert part(page, "momentum").is_visible()
    assert "lowest point" in status.inner_text()
    assert page.get_by_label("Learning rate").get_attribute("aria-valuetext") == "0.01"
    page.get_by_label("Optimizer").select_option("sgd")
    assert page.get_by_label("Learning rate").get_attribute("aria-valuetext") == "10"

    page.get_by_label("Optimizer").select_option("rmsprop")
    page.get_by_label("Learning rate").fill("0.5")  # ends above the map, and says where
    assert re.search(r"at \(\S+, [2-9]\.\d\d\). It is at neither", status.inner_text())
    assert not part(page, "end").is_visible()
    assert page.get_by_label("Learning rate").get_attribute("aria-valuetext") == "3.2"

    page.get_by_role("button", name="Reset").click()
    assert part(page, "end").is_visible()
    assert part(page, "line").get_attribute("d") == line


def test_the_path_is_the_one_that_is_tested(opened, ask):
    page = opened()
    found = descent(ask, "sgd", 0.01, STARTS[0], 200)
    line = part(page, "line").get_attribute("d")
    drawn = [p.split() for p in line.removeprefix("M").split("L")]
    places = [[100 * (w1 + 2), 100 * (2 - w2)] for w1, w2 in found["points"]]
    np.testing.assert_allclose(np.array(drawn, float), places, atol=0.0051)


def test_every_rate_of_the_slider_is_written_with_two_digits(opened):
    page = opened()
    rate = part(page, "rate")
    seen = []
    rate.focus()
    page.keyboard.press("Home")
    for _ in range(101):
        seen.append(float(rate.get_attribute("aria-valuetext")))
        page.keyboard.press("ArrowRight")
    assert (seen[0], seen[-1], len(set(seen))) == (1e-4, 10.0, 101)
    assert {1e-3, 0.01, 0.05, 0.089, 0.1, 0.11, 2.0, 3.2} <= set(seen)


def test_the_start_moves_by_arrow_keys(opened):
    page = opened()
    page.get_by_role("slider", name="Start").focus()
    keys = ["ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowDown", "Shift+ArrowLeft"]
    for key in keys:
        page.keyboard.press(key)
    text = part(page, "start").get_attribute("aria-valuetext")
    assert text == "w1 = -1.41, w2 = -0.46".replace("-", "\N{MINUS SIGN}")
    for _ in range(80):
        page.keyboard.press("ArrowLeft")
    assert_starts_at(page, -2, -0.46)


def test_the_start_moves_with_the_mouse(opened):
    page = opened()
    page.mouse.move(*on_map(page, -1.5, -0.5))
    page.mouse.down()
    page.mouse.move(*on_map(page, 0, 1))
    assert_starts_at(page, 0, 1)
    page.mouse.move(*on_map(page, 9, 9))
    page.mouse.up()
    assert_starts_at(page, 2, 2)
    page.mouse.move(*on_map(page, 0, 0))
    assert_starts_at(page, 2, 2)
    page.mouse.click(*on_map(page, 0, 0))
    assert_starts_at(page, 0, 0)


def test_it_fits_a_phone_and_the_start_moves_by_touch(opened):
    page = opened(390, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.touchscreen.tap(*on_map(page, 0, 1))
    assert_starts_at(page, 0, 1)
    finger = page.context.new_cdp_session(page)
    for kind, *places in (
        ("Start", (0, 1)),
        ("Move", (0.5, 0.5)),
        ("Move", (1, 0)),
        ("End",),
    ):
        points = [dict(zip("xy", on_map(page, *w), strict=True)) for w in places]
        event = {"type": f"touch{kind}", "touchPoints": points}
        finger.send("Input.dispatchTouchEvent", event)
    assert_starts_at(page, 1, 0)
    size = part(page, "start").bounding_box()
    assert min(size["width"], size["height"]) >= 44
    # Fingers scroll the page, except on the start point.
    action = "e => getComputedStyle(e).touchAction"
    assert part(page, "start").evaluate(action) == "none"
    assert part(page, "map").evaluate(action) == "auto"


def test_without_scripts_it_says_where_else_to_look(opened):
    page = opened(java_script_enabled=False)
    assert "scripts are switched off" in page.inner_text("body")
    assert not part(page, "said").is_visible()


def test_the_files_ask_for_nothing_else():
    for path in (SCRIPT, STYLE):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"://|@import|url\(|\bimport\b|\bfetch\(", text)
