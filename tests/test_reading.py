"""Side by side: the columns are the files, aligned by the steps written in them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import tetrapla.impls
from tetrapla import cli
from tetrapla.reading import differences, source, terminal
from tetrapla.reading.concepts import CONCEPTS, concept
from tetrapla.reading.formulas import FORMULAS
from tetrapla.spec import ACTIVATIONS, LOSSES, OPTIMIZERS, InvalidInputError

ROOT = Path(tetrapla.impls.__file__).parent
every_concept = pytest.mark.parametrize("name", CONCEPTS)


def read(*arguments, **environment):
    done = CliRunner(env=environment).invoke(cli.main, ["read", *map(str, arguments)])
    return done.exit_code, done.output


def test_every_building_block_can_be_read():
    assert {*ACTIVATIONS, *OPTIMIZERS} <= set(CONCEPTS)
    assert {*LOSSES.values()} <= {each.defined for each in CONCEPTS.values()}
    assert set(FORMULAS) == set(CONCEPTS)


@every_concept
def test_every_column_has_it(name):
    found = CONCEPTS[name]
    assert tuple(c.backend for c in found.columns) == source.COLUMNS
    library = found.of(tuple(source.LIBRARY.values()))
    assert len(library) == (0 if name == "threefry" else 3)


@every_concept
def test_every_symbol_is_somewhere(name):
    found = CONCEPTS[name]
    for symbols, backends in (
        (found.symbols, source.COLUMNS),
        (found.library, tuple(source.LIBRARY.values())),
    ):
        for symbol in symbols:
            assert any(source.column(b, [symbol]) for b in backends), symbol


@every_concept
def test_a_column_is_the_file_word_for_word(name):
    for column in CONCEPTS[name].of(tuple(source.FOLDERS)):
        for block in column.blocks:
            lines = source.path_of(block).read_text(encoding="utf-8").splitlines()
            shown = list(block.lines)
            while shown and not shown[-1]:
                shown.pop()
            there = lines[block.first - 1 : block.first - 1 + len(shown)]
            assert [line.strip() for line in there] == [line.strip() for line in shown]


@every_concept
def test_the_steps_are_the_same_in_every_column(name):
    numpy, *others = [column.steps for column in CONCEPTS[name].columns]
    first = others[0]
    assert others == [first] * 3
    assert numpy[: len(first)] == first
    # NumPy, without automatic differentiation, goes on by hand
    more = [title for _, title in numpy[len(first) :]]
    assert all(title.startswith("the chain rule") for title in more)
    if name != "backpropagation":  # which is of a dense layer's last step
        assert [row for row, _ in numpy] == [str(i + 1) for i in range(len(numpy))]


def test_rows_stand_where_most_have_them():
    training = concept("training")
    rows = source.rows(training.columns)
    assert [row for row in rows if row.isdigit()] == [str(n) for n in range(1, 8)]
    assert rows.index("head 4") < rows.index("4") < rows.index("5") < rows.index("6")


def test_what_calls_a_library_begins_beside_what_does_not():
    torch, library = concept("adam").of(["torch", "torch.nn"])
    assert [b.row for b in library.blocks] == [torch.blocks[0].row] == ["bias_correction"]
    torch, library = concept("sequential").of(["torch", "torch.nn"])
    assert [b.row for b in library.blocks] == ["sequential"]


def test_what_is_read_is_what_is_there(tmp_path, monkeypatch):
    place = tmp_path / "torch"
    place.mkdir()
    file = place / "optimizers.py"
    text = (ROOT / "torch" / "optimizers.py").read_text(encoding="utf-8")
    file.write_text(text)
    monkeypatch.setattr(source, "folder", lambda: tmp_path)
    before = concept("adam").of(["torch"])[0].text
    file.write_text(text.replace("m_hat, v_hat = m / c1, v / c2", "m_hat, v_hat = m, v"))
    file.touch()
    after = concept("adam").of(["torch"])[0].text
    assert "m_hat, v_hat = m / c1, v / c2" in before
    assert "m_hat, v_hat = m, v" in after


def test_as_many_columns_as_fit():
    columns = concept("adam").columns
    wide = sum(c.width + terminal.GAP for c in columns)
    assert [len(part) for part in terminal.fitting(columns, wide)] == [4]
    assert [len(part) for part in terminal.fitting(columns, wide // 2 + 10)] == [2, 2]
    assert [len(part) for part in terminal.fitting(columns, 20)] == [1, 1, 1, 1]


def test_the_command_shows_columns_side_by_side():
    code, output = read("adam", "--width", 300)
    assert code == 0
    (line,) = [each for each in output.splitlines() if "6. the step" in each]
    assert line.count("6. the step") == 4
    assert "theta.sub_(eta * m_hat / root(v_hat, eps, place))" in output
    assert "\x1b" not in output


def test_the_command_can_narrow_and_colour():
    code, output = read("dense", "--width", 80, "--backends", "torch,jax")
    assert code == 0
    assert output.index("impls/torch/layers.py") < output.index("impls/jax/layers.py")
    assert "impls/numpy" not in output
    code, output = read("relu", FORCE_COLOR="1")
    assert code == 0
    assert "\x1b[" in output


def test_the_command_lists_and_compares():
    code, output = read()
    assert code == 0
    assert all(name in output for name in CONCEPTS)
    code, output = read("adam", "--library", "--width", 500)
    assert "torch.nn" in output
    assert "optim.AdamW if h.decay" in output
    code, output = read("adam", "--diff", "torch", "jax")
    assert code == 0
    assert "+         return theta - eta * m_hat / root(v_hat, eps, place), s" in output


def test_a_column_does_not_differ_from_itself():
    one, *_ = concept("adam").columns
    assert len(list(differences.lines(one, one))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["adm"], "nothing is called 'adm': did you mean adam"),
        (["adam", "--backends", "mxnet"], "unknown backend 'mxnet'"),
        (["threefry", "--backends", "torch.nn"], "not in the columns of torch.nn"),
        (["adam", "--diff", "torch", "jax", "--library"], "--diff names its two"),
        (["--library"], "say what to read"),
    ],
)
def test_misuse_is_one_line(arguments, message):
    code, output = read(*arguments)
    assert code == 2
    assert message in output


def test_a_wrong_name_is_named():
    with pytest.raises(InvalidInputError, match="there are identity, sigmoid"):
        concept("convolution")
