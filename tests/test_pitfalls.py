"""The pages of docs/pitfalls: each is reproduced, and says what was seen.

Every block of a page is run and must print what stands under it; what the
parity engine says there must be its output for a backend with that fault; and
the numbers that matter are compared with something else than the page.
"""

import ast
import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support
from power import plant
from rich.console import Console

import tetrapla as tp
from tetrapla.backends import Backend, load
from tetrapla.parity import deviations, report
from tetrapla.parity.engine import AGREES, NOT_RUN, run
from tetrapla.parity.suite import cases
from tetrapla.spec import LossAndGradients, SoftmaxCrossEntropy

TESTS = Path(__file__).parent
PAGES = TESTS.parent / "docs" / "pitfalls"
WRONG, SEEN, WHY = "What is written", "What happens", "Why"
NAMED, RIGHT = "How the parity engine names it", "The right form"
HERE = "test_pitfalls"

# page -> the tests that reproduce it, beside those below of every page
TABLE = {
    "tape": ["test_lecture_libraries.test_tensorflow_outside_the_tape_has_no_gradient"],
    "rebound-variable": ["test_lecture_libraries.test_a_rebound_variable_is_no_variable"],
    "dropout-keyword": [
        "test_lecture_libraries.test_keras_dropout_takes_rate_and_torch_takes_p",
        f"{HERE}.test_the_rate_is_the_share_that_is_dropped",
    ],
    "relu-module": [
        "test_lecture_libraries.test_torch_relu_of_z_builds_a_module",
        f"{HERE}.test_a_relu_of_one_number_overwrites_its_input",
        f"{HERE}.test_a_module_for_a_tensor_is_an_error_of_the_case",
    ],
    "single-output-softmax": [
        "test_lecture.test_softmax_cross_entropy_of_one_output_is_a_pitfall",
        "test_kinks.test_softmax_ce_of_a_single_output_is_zero",
        f"{HERE}.test_a_single_output_is_no_difference",
        f"{HERE}.test_labels_of_a_single_output_are_refused",
        f"{HERE}.test_tensorflow_moves_the_logits_of_a_loss_of_zero",
    ],
    "double-softmax": [
        "test_lecture_libraries.test_softmax_before_a_loss_that_applies_it_again",
        f"{HERE}.test_a_second_softmax_hides_the_worst_mistakes",
    ],
    "zero-grad": ["test_lecture_libraries.test_torch_gradients_add_up_without_zero_grad"],
    "epsilon-parentheses": [f"{HERE}.test_epsilon_lands_on_the_parameter"],
    "step-counter": [
        "test_lecture_libraries.test_a_step_counter_that_stands_still_never_corrects_enough",
        f"{HERE}.test_a_step_counter_that_stands_still",
    ],
    "one-dropout-key": [
        f"{HERE}.test_one_key_is_one_mask",
        f"{HERE}.test_a_mask_drawn_in_python_is_a_constant_of_the_graph",
    ],
    "clipped-probabilities": [
        "test_lecture_libraries."
        "test_clipped_probabilities_have_no_gradient_where_it_matters_most",
        f"{HERE}.test_a_clipped_probability_is_a_constant",
    ],
    "float32-rate": [
        "test_lecture_libraries.test_a_learning_rate_stored_in_float32",
        f"{HERE}.test_a_rate_in_float32_moves_a_float64_weight",
    ],
    "where-trap": [
        "test_kinks.test_the_where_trap",
        f"{HERE}.test_the_branch_not_taken_is_nan_in_every_framework",
    ],
    "bce-logit-zero": [
        "test_kinks.test_bce_at_logit_zero",
        f"{HERE}.test_the_slopes_at_a_logit_of_zero",
    ],
    "gelu-forms": [f"{HERE}.test_the_two_gelus"],
}


def pages() -> list[str]:
    return sorted(p.stem for p in PAGES.glob("*.md") if p.stem != "index")


every_page = pytest.mark.parametrize("page", pages())


def text_of(page: str) -> str:
    return (PAGES / f"{page}.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """Return the text under a heading of a page."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text_of(page), re.M | re.S)
    assert found, f"{page}.md has no section {title!r}"
    return found[1]


def blocks(page: str, title: str, language: str) -> list[str]:
    """Return the blocks of code in a section."""
    return support.blocks_of(section(page, title), language)


BACKEND = {
    "torch": "torch",
    "tensorflow": "tf",
    "keras": "tf.keras",
    "jax": "jax",
    "flax": "jax.flax",
}


def execute(page: str, title: str) -> tuple[list[str], dict[str, Any]]:
    """Run a section's blocks; return what each printed, and the last one's names."""
    printed, ran = [], {}
    for code in blocks(page, title, "python"):
        for module in re.findall(r"^(?:import|from) (\w+)", code, re.M):
            if module in BACKEND:
                support.backend(BACKEND[module])  # skips where it is missing
        ran = {}
        printed.append(support.printed(code, f"{page}.md", ran, raises=True))
    return printed, ran


# the pages


def test_every_page_has_a_test():
    assert pages() == sorted(TABLE)


@pytest.mark.parametrize("test", sorted({t for tests in TABLE.values() for t in tests}))
def test_the_tests_of_the_table_exist(test):
    module, name = test.split(".")
    tree = ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8"))
    assert name in [f.name for f in tree.body if isinstance(f, ast.FunctionDef)]


def test_the_index_lists_every_page():
    (listed,) = re.findall(r"^```{toctree}\n(.*?)^```", text_of("index"), re.M | re.S)
    assert sorted(line for line in listed.split() if line in TABLE) == pages()


@every_page
def test_a_page_has_its_sections(page):
    assert re.findall(r"^## (.*)", text_of(page), re.M) == [WRONG, SEEN, WHY, NAMED, RIGHT]
    assert text_of(page).startswith("# ")


@every_page
def test_a_page_says_what_its_wrong_form_prints(page):
    printed, _ = execute(page, WRONG)
    assert printed == blocks(page, SEEN, "text")


@every_page
def test_a_page_says_what_its_right_form_prints(page):
    printed, _ = execute(page, RIGHT)
    assert printed == blocks(page, RIGHT, "text")


# what the parity engine says of a backend with the fault


class Mine(Backend):
    """NumPy's backend, of which a subclass gets one thing wrong."""

    def __init__(self, dtype: str) -> None:
        super().__init__("mine", load("numpy", dtype=dtype).implementation)


class NoGradients(Mine):
    def loss_and_gradients(self, net, weights, x, y, loss, *, key=None):
        r = super().loss_and_gradients(net, weights, x, y, loss, key=key)
        return LossAndGradients(r.loss, dict.fromkeys(r.weights), r.input)


class Unconverted(Mine):
    def loss_and_gradients(self, net, weights, x, y, loss, *, key=None):
        r = super().loss_and_gradients(net, weights, x, y, loss, key=key)
        gradients = dict.fromkeys(r.weights)
        return replace(r, weights={n: g.numpy() for n, g in gradients.items()})


class Rebound(Mine):
    def update(self, optimizer, weights, gradients, state):
        _, after = super().update(optimizer, weights, gradients, state)
        return dict(weights), after


class SoftmaxTwice(Mine):
    def loss(self, loss, outputs, y):
        if isinstance(loss, SoftmaxCrossEntropy):
            outputs = self.activation("softmax", outputs)
        return super().loss(loss, outputs, y)


class EpsilonOnTheParameter(Mine):
    def update(self, optimizer, weights, gradients, state):
        if optimizer.name != "adam":
            return super().update(optimizer, weights, gradients, state)
        bare = replace(optimizer, eps=0.0)
        new, after = super().update(bare, weights, gradients, state)
        eps = np.asarray(optimizer.eps, self.dtype)
        return {name: theta + eps for name, theta in new.items()}, after


# page -> the fault: a class above, or a planted one's name (power/faults)
FAULTS: dict[str, str | Callable[[str], Backend]] = {
    "tape": NoGradients,
    "rebound-variable": Rebound,
    "dropout-keyword": "dropout-keeps-the-rate",
    "double-softmax": SoftmaxTwice,
    "zero-grad": "fit-gradients-add-up",
    "epsilon-parentheses": EpsilonOnTheParameter,
    "step-counter": "step-not-counted",
    "one-dropout-key": "fit-dropout-key-of-the-epoch",
    "clipped-probabilities": "bce-probabilities-clipped",
    "float32-rate": "rate-in-float32",
    "where-trap": "elu-branch-overflows",
    "bce-logit-zero": "bce-logits-gradient-at-0",
    "gelu-forms": "gelu-erf-is-tanh",
}
# where the mistake itself, outside of a backend, is seen by nobody
UNSEEN = {"tape", "rebound-variable", "dropout-keyword", "relu-module"}
UNSEEN |= {"single-output-softmax", "double-softmax"}


def faulty(fault: str | Callable[[str], Backend]) -> list[Backend]:
    """Return the backend `mine` in both dtypes."""
    if not isinstance(fault, str):
        return [fault(dtype) for dtype in ("float64", "float32")]
    (found,) = (f for f in plant.faults() if f.name == fault)
    module = plant.load("numpy", plant.patched(found, "numpy")).module
    dtypes = ("float64", "float32")
    return [Backend("mine", module.Backend(device="cpu", dtype=d)) for d in dtypes]


def said(backends: list[Backend], text: str) -> str:
    """Return what `tetrapla parity` prints of the cases with this text in their name."""
    chosen = [case for case in cases() if text in case.id]
    verdicts = list(run(chosen, backends))
    assert verdicts
    if all(v.status == NOT_RUN for v in verdicts):
        support.missing(verdicts[0].message)
    console = Console(file=io.StringIO(), width=120)
    report.show(report.Report(verdicts, {"mine": "1"}, {}), console)
    return console.file.getvalue()


@every_page
def test_a_page_says_what_the_engine_says(page):
    text = section(page, NAMED)
    assert ("cannot see" in text) == (page in UNSEEN)
    if page not in FAULTS:
        assert page in UNSEEN
        assert not blocks(page, NAMED, "text")
        return
    (session,) = blocks(page, NAMED, "text")
    command, dots, answer = session.split("\n", 2)
    asked = re.fullmatch(r"\$ tetrapla parity --backends mine --filter (\S+)", command)
    assert asked
    assert dots == "..."
    assert answer.startswith("mine goes wrong first in ")
    assert f"\n{answer}" in said(faulty(FAULTS[page]), asked[1])


@pytest.mark.parametrize(
    ("page", "name"), [("float32-rate", "sgd"), ("clipped-probabilities", "bce")]
)
def test_a_page_quotes_the_known_deviation(page, name):
    quoted = re.findall(r"^> (.*)", section(page, NAMED), re.M)
    cause = " ".join(quoted).removeprefix("≈ tf.keras ")
    (row,) = (row for row in deviations.TABLE if row.cause == cause)
    assert "tf.keras" in row.backends
    assert name in row.seen[0]


def test_gradients_that_are_none_raise_where_they_are_converted():
    assert "mine (layer/dense)" in said([Unconverted("float64")], "layer/dense-tanh-4-3")
    (verdict,) = run(
        [case for case in cases() if case.id == "layer/dense-tanh-4-3-batch-5"],
        [Unconverted("float64")],
    )
    assert verdict.message == "AttributeError: 'NoneType' object has no attribute 'numpy'"


def test_a_missing_correction_is_in_the_weight():
    answer = said(faulty("adam-not-corrected"), "optimizer/adam")
    assert "(float64), step 1: 0.weight: another formula" in answer


# the numbers, beside something else than the page


def names(page: str, title: str) -> dict[str, Any]:
    return execute(page, title)[1]


def test_the_rate_is_the_share_that_is_dropped():
    """In all three, and in tetrapla."""
    from tetrapla.atlas import layers

    made = names("dropout-keyword", RIGHT)["dropped"]
    assert [made[0].p, made[1].rate, made[2].rate] == [0.2] * 3
    kept = (layers.torch_dropped, layers.keras_dropped, layers.flax_dropped)
    assert [share(0.2) for share in kept] == [0.8] * 3
    mask = tp.threefry.bernoulli(tp.threefry.key(0), 1 - 0.2, (100_000,))
    assert round(float(mask.mean()), 2) == 0.8


def test_a_relu_of_one_number_overwrites_its_input():
    support.backend("torch")
    import torch

    x = torch.tensor([-5.0, 3.0])
    torch.nn.ReLU(torch.tensor([-1.0]))(x)
    assert x.tolist() == [0, 3]


def test_a_module_for_a_tensor_is_an_error_of_the_case():
    support.backend("torch")
    import torch

    class ReturnsAModule(Mine):
        def activation(self, activation, z):
            return torch.nn.ReLU(torch.tensor(z))

    chosen = [case for case in cases() if case.id == "activation/relu"]
    (verdict,) = run(chosen, [ReturnsAModule("float32")])
    assert verdict.message.startswith("AttributeError: 'ReLU' object has no attribute")


@pytest.mark.parametrize("how", ["none", "mean"])
def test_a_single_output_is_no_difference(how):
    """0 is what is demanded, so that nobody is wrong."""
    wanted = f"loss/softmax-cross-entropy-classes-{how}-1x1"
    assert "classes-none-1x1` and `-mean-1x1`" in section("single-output-softmax", NAMED)
    chosen = [case for case in cases() if case.id == wanted]
    backends = [load("numpy", dtype=dtype) for dtype in ("float64", "float32")]
    assert [v.status for v in run(chosen, backends)] == [AGREES] * 2


def test_labels_of_a_single_output_are_refused(f64):
    with pytest.raises(tp.InvalidInputError, match="rows that add up to 1, got 0"):
        f64.loss(SoftmaxCrossEntropy(), np.array([[2.0], [-1.0]]), np.array([[1.0], [0.0]]))


def test_tensorflow_moves_the_logits_of_a_loss_of_zero():
    """Its gradient takes rows of labels to add up to 1; PyTorch's does not."""
    support.backend("tf")
    import tensorflow as tf

    z = tf.Variable([[2.0], [-1.0]])
    with tf.GradientTape() as tape:
        losses = tf.nn.softmax_cross_entropy_with_logits(tf.constant([[1.0], [0.0]]), z)
    np.testing.assert_array_equal(losses, [0, 0])
    np.testing.assert_array_equal(tape.gradient(losses, z), [[0], [1]])
    assert not names("single-output-softmax", WRONG)["z"].grad.any()


def test_a_second_softmax_hides_the_worst_mistakes(f64):
    z, y = np.array([[20.0, 0.0, 0.0], [0.0, 20.0, 0.0]]), np.array([0, 0])
    none = tp.SoftmaxCrossEntropy(reduction="none")
    twice = f64.loss(none, f64.activation("softmax", z), y)
    right = math.log(1 + 2 / math.e)
    # softmax of 20 and 0 is 1 and 0 but for exp(-20), 2e-9, and so is the limit
    np.testing.assert_allclose(twice, [right, 1 + right], rtol=0, atol=1e-7)
    np.testing.assert_allclose(names("double-softmax", WRONG)["loss"].tolist(), twice, 1e-6)
    # A network that ends with softmax is one that all agree on.
    net = tp.Sequential(tp.Dense(3, 3, "softmax"))
    w = {"0.weight": np.eye(3), "0.bias": np.zeros(3)}
    summed = tp.SoftmaxCrossEntropy(reduction="sum")
    r = f64.loss_and_gradients(net, w, z, y, summed)
    # the same formula, its two terms added in another order: an ULP or two
    np.testing.assert_allclose(r.loss, twice.sum(), rtol=1e-15)
    assert np.abs(r.input).max() < 5e-9
    assert np.abs(names("double-softmax", WRONG)["z"].grad.numpy()).max() < 5e-9
    assert names("double-softmax", RIGHT)["z"].grad[1].abs().max() == 1


def test_epsilon_lands_on_the_parameter(f32):
    theta, g = np.array([1.0, 1.0, 0.0]), np.array([1e-12, 0.0, 1.0])
    adam = tp.Adam(0.001)
    state = f32.init_optimizer(adam, {"w": theta})
    expected, _ = f32.update(adam, {"w": theta}, {"w": g}, state)
    right = names("epsilon-parentheses", RIGHT)["theta"].numpy()
    # float32 on both sides, some ten roundings; a misplaced epsilon is 1e-5 off
    np.testing.assert_allclose(right, expected["w"], rtol=1e-6)
    wrong = names("epsilon-parentheses", WRONG)["theta"].numpy()
    np.testing.assert_allclose(wrong[[0, 2]], [1 - 0.001, -0.001 + 1e-8], rtol=1e-6)
    assert np.isnan(wrong[1])


def test_a_step_counter_that_stands_still(f64):
    """The rule itself, with t put back to 0 before every step."""
    adam = tp.Adam(0.001)
    for title, back in ((WRONG, True), (RIGHT, False)):
        w, moved = {"w": np.zeros(1)}, []
        state = f64.init_optimizer(adam, w)
        for _ in range(100):
            before = dict(state) | ({"t": np.int64(0)} if back else {})
            new, state = f64.update(adam, w, {"w": np.ones(1)}, before)
            moved.append(w["w"][0] - new["w"][0])
            w = new
        moves = names("step-counter", title)["moves"]
        # a move of 1e-3 is the difference of two float64 weights up to 1: 1e-13
        np.testing.assert_allclose(moves[:100], moved, rtol=1e-10)
    settled = names("step-counter", WRONG)["moves"][-1]
    np.testing.assert_allclose(settled, 0.001 * math.sqrt(0.001) / 0.1, rtol=1e-4)


def test_one_key_is_one_mask():
    key = tp.threefry.key(0)
    one = tp.threefry.bernoulli(key, 0.5, (8,)).astype(int).tolist()
    assert names("one-dropout-key", WRONG)["masks"] == [one] * 3
    each = [
        tp.threefry.bernoulli(tp.threefry.fold_in(key, step), 0.5, (8,))
        for step in range(3)
    ]
    masks = names("one-dropout-key", RIGHT)["masks"]
    np.testing.assert_array_equal(masks, each)
    assert len({tuple(mask) for mask in masks}) == 3


def test_a_mask_drawn_in_python_is_a_constant_of_the_graph():
    """The page says so of NumPy in a tf.function, and of the key in jax.jit."""
    support.backend("tf")
    import tensorflow as tf

    rng = np.random.default_rng(0)

    @tf.function
    def drop(x):
        return tf.where(rng.random(64) < 0.5, x / 0.5, 0)

    masks = [drop(tf.ones(64)).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*masks)
    ours = names("one-dropout-key", WRONG)
    first = ours["drop"](np.ones(8, np.float32))
    import jax

    ours["key"] = jax.random.key(1)
    np.testing.assert_array_equal(ours["drop"](np.ones(8, np.float32)), first)


def test_a_clipped_probability_is_a_constant():
    wrong, right = (names("clipped-probabilities", title) for title in (WRONG, RIGHT))
    np.testing.assert_allclose(float(wrong["loss"]), -math.log(1e-7), rtol=1e-6)
    assert wrong["gradient"].numpy().item() == 0
    np.testing.assert_allclose(float(right["loss"]), 20, rtol=1e-6)
    assert right["gradient"].numpy().item() == -1  # sigmoid(-20) - 1, to float32
    # where the sigmoid reaches 1e-7 and 1 - 1e-7: at 16.1 in either direction
    assert 16 < math.log(1e7) < 16.2


def keras_step(steps: int = 1, **settings: float) -> float:
    """Return how far SGD(0.1) moves a float64 weight under a gradient of 1."""
    import keras

    w = keras.Variable(np.zeros(1), dtype="float64")
    sgd = keras.optimizers.SGD(0.1, **settings)
    for _ in range(steps):
        sgd.apply([np.ones(1)], [w])
    return -float(w.numpy()[0])


def test_a_rate_in_float32_moves_a_float64_weight():
    wrong = names("float32-rate", WRONG)["moved"]
    assert wrong == float(np.float32(0.1)) != 0.1
    assert 1.4e-8 < wrong / 0.1 - 1 < 1.5e-8
    assert names("float32-rate", RIGHT)["moved"] == 0.1
    import keras

    assert float(keras.optimizers.SGD(0.125).learning_rate) == 0.125
    assert keras_step() == wrong
    keras.config.set_floatx("float64")
    try:
        assert keras_step() == 0.1
        second = keras_step(momentum=0.9, steps=2)
        assert 1e-9 < abs(second / (0.1 * 2.9) - 1) < 1e-7
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("name", ["torch", "tf", "jax"])
def test_the_branch_not_taken_is_nan_in_every_framework(name):
    support.backend(name)
    from tetrapla.atlas import activations

    assert math.isnan(getattr(activations, f"{name}_where")(1000.0))


def slope_at_zero(library: str, form: str) -> float:
    """Return the gradient at logit 0 and y = 0 of the form with two kinks."""
    if library == "torch":
        import torch

        z = torch.zeros((), requires_grad=True)
        first = torch.relu(z) if form == "relu(z)" else torch.maximum(z, torch.zeros(()))
        (first + torch.log1p(torch.exp(-torch.abs(z)))).backward()
        return z.grad.item()
    if library == "tf":
        import tensorflow as tf

        z = tf.Variable(0.0)
        with tf.GradientTape() as tape:
            first = tf.nn.relu(z) if form == "relu(z)" else tf.maximum(z, 0.0)
            loss = first + tf.math.log1p(tf.exp(-tf.abs(z)))
        return float(tape.gradient(loss, z))
    import jax
    import jax.numpy as jnp

    def naive(z):
        first = jax.nn.relu(z) if form == "relu(z)" else jnp.maximum(z, 0)
        return first + jnp.log1p(jnp.exp(-jnp.abs(z)))

    return float(jax.grad(naive)(0.0))


@pytest.mark.parametrize("form", ["relu(z)", "maximum(z, 0)"])
def test_the_slopes_at_a_logit_of_zero(form):
    for name in ("torch", "tf", "jax"):
        support.backend(name)
    slopes = [slope_at_zero(name, form) for name in ("torch", "tf", "jax")]
    row = f"| `{form}` | " + " | ".join(f"{s + 0.0}" for s in slopes) + " |"
    assert row in section("bce-logit-zero", WHY)
    assert slopes.count(0.5) == (form == "maximum(z, 0)")


@pytest.mark.parametrize("name", support.LIBRARIES)
def test_the_librarys_loss_on_logits_is_right_at_zero(name):
    b = support.backend(name)
    net = tp.Sequential(tp.Dense(1, 1))
    w = {"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)}
    for y in (0.0, 1.0):
        r = b.loss_and_gradients(net, w, np.zeros((1, 1)), np.array([[y]]), "bce")
        assert r.input == 0.5 - y


def test_the_two_gelus(f64):
    at_one = 0.5 * math.erfc(-math.sqrt(0.5))
    np.testing.assert_allclose(names("gelu-forms", RIGHT)["a"], at_one, rtol=1e-6)
    u = math.sqrt(2 / math.pi) * (1 + 0.044715)
    tanh_form = 0.5 * (1 + math.tanh(u))
    np.testing.assert_allclose(names("gelu-forms", WRONG)["a"], tanh_form, rtol=1e-6)
    z = np.linspace(-6, 6, 12001)
    apart = np.abs(f64.activation("gelu_erf", z) - f64.activation("gelu_tanh", z))
    assert f"{apart.max():.1e}" == "4.7e-04"
    assert abs(z[apart.argmax()]) == pytest.approx(2.7, abs=0.01)
