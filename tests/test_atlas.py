"""The atlas: true of the installed libraries, and its advice tried out."""

import json
from dataclasses import replace

import numpy as np
import pytest
import support
from click.testing import CliRunner

from tetrapla.atlas import seen, tf32
from tetrapla.atlas.code import PRESETS, written
from tetrapla.atlas.row import BACKENDS, LIBRARIES, Observed, alike, observe
from tetrapla.atlas.rows import ROWS, about
from tetrapla.commands.atlas import atlas
from tetrapla.spec import OPTIMIZERS

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own words


@pytest.fixture(scope="module")
def found() -> dict[str, Observed]:
    if missing := set(LIBRARIES) - set(seen.installed()):
        support.missing(f"the atlas needs {', '.join(missing)}")
    return {row.name: observe(row, LIBRARIES) for row in ROWS}


def ask(*arguments: str):
    return CliRunner().invoke(atlas, [*arguments], catch_exceptions=False)


def test_it_is_up_to_date(found):
    assert list(seen.changes(found.values())) == []
    assert (
        seen.versions(LIBRARIES).keys()
        == json.loads(seen.FILE.read_text())["versions"].keys()
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_a_row_advises_makes_them_equal(row, found):
    o = found[row.name]
    assert o.same or row.never or len(o.aligned) > 1, "and what is one to write?"
    if len(o.aligned) > 1:
        assert alike(o.aligned.values())
    assert set(row.write) <= set(LIBRARIES)
    assert row.links
    assert all(link.startswith("https://") for link in row.links)


def test_names_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_library_that_changes_is_noticed(found):
    o = found["adamw-decay-default"]
    changed = replace(o, answers={**o.answers, "torch": 0.02})
    assert list(seen.changes([changed])) == [
        "the atlas is out of date: adamw-decay-default: torch answered 0.01, now 0.02"
    ]
    new = replace(o, row=replace(o.row, name="something-new"))
    assert list(seen.changes([new])) == [
        "the atlas is out of date: something-new was never written down"
    ]


MEASURED = "1; 3.1e-04 off: measured on NVIDIA H200"


def test_what_a_gpu_answers_is_no_change_and_is_not_written_down(
    found, tmp_path, monkeypatch
):
    """The file is of machines without one."""
    o = found["matmul-tf32-size"]
    on_gpu = replace(o, answers={**o.answers, "jax": MEASURED})
    assert list(seen.changes([on_gpu])) == []
    file = tmp_path / "seen.json"
    file.write_text(seen.FILE.read_text())
    before = json.loads(file.read_text())["rows"]
    monkeypatch.setattr(seen, "FILE", file)
    seen.record([on_gpu if each is o else each for each in found.values()], LIBRARIES)
    assert json.loads(file.read_text())["rows"]["matmul-tf32-size"] == before[o.row.name]


def test_tf32s_size_is_that_of_its_eleven_bits(found):
    """A factor is off by up to 2^-11, so a product by up to 2^-10; cut, by twice that."""
    x = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    off = np.abs(tf32.rounded(x, 10) / x - 1)
    assert 2.0**-12 < off.max() <= 2.0**-11
    steps = np.float32(1) + np.array([1, 2, 3, 4], np.float32) * 2.0**-11
    assert list(tf32.rounded(steps, 10)) == [1, 1 + 2**-10, 1 + 2**-9, 1 + 2**-9]
    answers = found["matmul-tf32-size"].answers
    for library, kind in (("torch", "float32"), ("keras", "TF32"), ("jax", "TF32")):
        if tf32.MEASURED not in answers[library]:
            assert answers[library].endswith(f"no GPU here, {kind} emulated")
            one = "1.000244140625; 2.9e-07" if kind == "float32" else "1; 2.9e-04"
            assert answers[library].startswith(one)


def test_with_a_gpu_it_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(tf32, "load", lambda *about: asked.append(about))
    said = tf32.answer("jax", False, lambda: ("a GPU", tf32.emulated(10)))
    assert said == "1; 2.9e-04 off: measured on a GPU"
    assert asked == [("jax.flax", "gpu")]


STATED = {  # design.md's table, and the numbers it says must come out
    "adam-epsilon-place": {"torch": -0.990, "keras": -0.240, "jax": -0.990},
    "bce-certain": {"torch": 100.0, "keras": 16.118},
    "mse-sum": {"torch": 12.0, "keras": 4.0},
    "leaky-relu-slope": {"torch": -0.01, "keras": -0.3, "jax": -0.01},
    "leaky-relu-function": {"torch": 0.01, "keras": 0.2, "jax": 1.0},
    "maximum-at-zero": {"torch": 0.5, "keras": 1.0, "jax": 0.5},
}


@pytest.mark.parametrize("name", STATED)
def test_the_known_numbers_come_out(name, found):
    for library, value in STATED[name].items():
        assert found[name].answers[library] == pytest.approx(value, abs=6e-4)


SETTINGS = {
    "bare": {},
    "decay": {"weight_decay": 0.25},
    "momentum": {"momentum": 0.5},
    "nesterov": {"momentum": 0.5, "nesterov": True, "weight_decay": 0.25},
    "centered": {"centered": True, "momentum": 0.5, "eps": 1e-3},
    "amsgrad": {"amsgrad": True, "eps": 1e-3},
}
ASKED = [
    pytest.param(library, name, dialect, settings, id=f"{library}-{dialect}-{name}-{label}")
    for library in LIBRARIES
    for name, kind in OPTIMIZERS.items()
    for dialect in PRESETS.values()
    for label, settings in SETTINGS.items()
    if set(settings) <= set(kind.__dataclass_fields__)
]


@pytest.mark.parametrize(("library", "name", "dialect", "settings"), ASKED)
def test_the_code_is_the_rule(library, name, dialect, settings):
    """The call that the atlas writes is run, beside the backend's own update."""
    backend = load(library)
    spec = getattr(OPTIMIZERS[name], dialect)(lr=0.125, **settings)
    support = backend.supports(spec)
    # A hook or an overridden method is words; Optax's compositions are code.
    if support.status != "native" and (library, support.status) != ("jax", "composed"):
        assert support.reason
        return
    weights, g = {"w": np.array([1.0, -2.0])}, np.array([0.5, 1e-3])
    state = backend.init_optimizer(spec, weights)
    for _ in range(3):
        weights, state = backend.update(spec, weights, {"w": g}, state)
    got = _steps(library, written(library, spec), np.array([1.0, -2.0]), g, 3)
    # The same calls, but for jit: some hundred roundings of float64.
    np.testing.assert_allclose(got, weights["w"], rtol=1e-13)


def load(library):
    return support.backend(BACKENDS[library], "float64")


def _steps(library, code, theta, g, count):
    if library == "torch":
        import torch

        w = torch.nn.Parameter(torch.tensor(theta))
        optimizer = eval(code, {"torch": torch, "params": [w]})
        for _ in range(count):
            w.grad = torch.tensor(g)
            optimizer.step()
        return w.detach().numpy()
    if library == "keras":
        import keras

        w = keras.Variable(theta, dtype="float64")
        optimizer = eval(code, {"keras": keras})
        for _ in range(count):
            optimizer.apply([keras.ops.convert_to_tensor(g)], [w])
        return w.numpy()
    import jax
    import jax.numpy as jnp
    import optax

    with jax.enable_x64(True):
        rule = eval(code, {"optax": optax})
        w = jnp.array(theta)
        state = rule.init(w)
        for _ in range(count):
            steps, state = rule.update(jnp.array(g), state, w)
            w = optax.apply_updates(w, steps)
        return np.array(w)


def test_one_question_on_one_screen(found):
    result = ask("torch", "keras", "adam")
    assert result.exit_code == 0
    out = result.stdout
    assert out.startswith("adam of torch and of keras: not the same\n")
    assert "torch.optim.Adam(params, lr=0.001)  = tp.Adam.torch()" in out
    assert "eps_place: torch outside, keras uncorrected" in out
    assert "keras as torch's: no." in out
    assert "torch -0.990099, keras -0.240251" in out
    assert len(out.splitlines()) < 60


def test_a_question_whose_answer_is_a_setting(found):
    result = ask("optax", "torch", "RMSprop")
    assert (
        "optax.rmsprop(learning_rate=0.01, decay=0.99, eps_in_sqrt=False)" in result.stdout
    )
    assert "apart after 20 steps in float64" in result.stdout
    result = ask("torch", "jax", "gelu")
    assert "jax.nn.gelu(z, approximate=False)" in result.stdout


def test_a_question_with_settings(found):
    result = ask("torch", "optax", "adam", "weight_decay=0.25", "lr=0.5")
    assert result.exit_code == 0
    assert "torch.optim.Adam(params, lr=0.5, weight_decay=0.25)" in result.stdout
    assert "tp.Adam.optax(weight_decay=0.25, lr=0.5)" in result.stdout
    assert (
        "composed: optax.add_decayed_weights(weight_decay) before the rule" in result.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("torch",), "ask about two libraries"),
        (("torch", "caffe", "adam"), "unknown library 'caffe'"),
        (("torch", "torch.nn", "adam"), "are one library here"),
        (("torch", "keras"), "ask about something"),
        (("torch", "keras", "adam", "rho=0.9"), "adam has no setting 'rho'"),
        (("torch", "keras", "adam", "0.9"), "a setting is NAME=VALUE"),
        (("torch", "keras", "adam", "lr=-1"), "lr must be"),
        (("torch", "keras", "gelu", "lr=1"), "settings are an optimizer's"),
        (("torch", "keras", "teapot"), "no row is about 'teapot'"),
        (("--json", "--markdown"), "choose one"),
        (("torch", "keras", "adam", "--json"), "print the whole atlas"),
    ],
)
def test_misuse_is_one_line(arguments, message):
    result = ask(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_all_rows_as_text_markdown_and_json(found):
    text = ask().stdout
    assert all(row.title in text for row in ROWS)
    markdown = ask("--markdown").stdout
    assert markdown.startswith("# How the libraries differ")
    assert all(f"### {row.title}" in markdown for row in ROWS)
    document = json.loads(ask("--json").stdout)
    assert list(document["rows"]) == [row.name for row in ROWS]
    assert document["rows"]["adadelta-uphill"]["answers"]["jax"] > 0
    assert ask("--check").exit_code == 0


def test_words_find_their_rows():
    assert {row.name for row in about("LeakyReLU")} == {
        "leaky-relu-slope",
        "leaky-relu-function",
    }
    assert "dense-layout" in {row.name for row in about("linear")}
    assert about("nothing of the kind") == []
