"""Side by side: the columns are the files, aligned by the steps written in them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import tetrapla.impls
from tetrapla import cli
from tetrapla.reading import differences, source, terminal
from tetrapla.reading.concepts import CONCEPTS, concept
from tetrapla.reading.formulas import FORMULAS, PLAIN
from tetrapla.spec import ACTIVATIONS, LOSSES, OPTIMIZERS, InvalidInputError

ROOT = Path(tetrapla.impls.__file__).parent
FORMULA = re.compile(r"\S (=|[-+]=|->) \S")
every_concept = pytest.mark.parametrize("name", CONCEPTS)


def read(*arguments, **environment):
    done = CliRunner(env=environment).invoke(cli.main, ["read", *map(str, arguments)])
    return done.exit_code, done.output


def drawn(output):
    """Each column that `read` printed, in the order of its lines."""
    columns, starts = {}, {}
    for line in output.splitlines():
        if line and set(line.split()) <= set(source.FOLDERS):  # names begin columns
            starts = {name[0]: name.start() for name in re.finditer(r"\S+", line)}
        ends = [*list(starts.values())[1:], None] if starts else []
        for (name, start), end in zip(starts.items(), ends, strict=True):
            columns.setdefault(name, []).append(line[start:end].rstrip())
    return columns


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
    assert bool(library) != bool(found.no_library)


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
    found = CONCEPTS[name]
    for symbol in {*found.symbols, *found.library}:
        margin = "    " * (symbol.count(".") - 1)  # a method's, in its class
        for backend in source.FOLDERS:
            column = source.column(backend, [symbol])
            for block in column.blocks if column else ():
                lines = source.path_of(block).read_text(encoding="utf-8").splitlines()
                shown = list(block.lines)
                while shown and not shown[-1]:
                    shown.pop()
                there = lines[block.first - 1 : block.first - 1 + len(shown)]
                assert there == [margin + line if line else "" for line in shown]


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
    two = 2 * terminal.LEAST + terminal.GAP
    assert [len(part) for part in terminal.fitting(columns, wide)] == [4]
    assert [len(part) for part in terminal.fitting(columns, two)] == [2, 2]
    assert [len(part) for part in terminal.fitting(columns, two - 1)] == [1, 1, 1, 1]


def test_what_calls_a_library_stays_beside_what_does_not():
    columns = concept("adam").of(source.beside(source.LIBRARY))
    three = 3 * (terminal.LEAST + terminal.GAP)
    assert [len(part) for part in terminal.fitting(columns, three)] == [2, 2, 2]


@pytest.mark.parametrize("width", [20, 40, 60, 72, 100, 120, 180, 300])
@every_concept
def test_all_of_a_column_is_drawn(name, width):
    every = CONCEPTS[name].of(source.beside(source.FOLDERS))
    names = ",".join(column.backend for column in every)
    code, output = read(name, "--width", width, "--backends", names)
    assert code == 0
    assert all(len(line) <= width and line == line.rstrip() for line in output.split("\n"))
    columns = drawn(output)
    for column in every:
        first = column.blocks[0]
        expected = f"{column.backend}{first.path}:{first.first}{column.text}"
        shown = "".join(columns.pop(column.backend))
        assert "".join(shown.split()) == "".join(expected.split())
    assert not columns


def test_what_does_not_fit_goes_on_below_further_in():
    _, output = read("dense", "--width", 60, "--backends", "torch,jax")
    assert (
        """
        self, weight: Tensor, bias: Tensor, activation:
            Activation
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
            # (inputs, outputs)
"""
        in output
    )
    _, output = read("adam", "--width", 60, "--diff", "torch", "jax")
    assert (
        """
-         self, theta: Tensor, g: Tensor, s: Slots, t: Step,
-             eta: Rate
"""
        in output
    )


@every_concept
def test_a_formula_comes_before_the_code(name):
    code, output = read(name, "--width", 100)
    assert code == 0
    assert FORMULA.search(output.partition("impls/")[0])


def test_a_plain_formula_is_where_the_specification_has_none():
    without = {c.name for c in CONCEPTS.values() if not FORMULA.search(c.definition)}
    assert set(PLAIN) == without
    assert all(PLAIN[name] in concept(name).opening for name in PLAIN)


def test_a_definition_is_set_anew_where_it_does_not_fit():
    _, output = read("adam", "--width", 60)
    assert (
        """
  Moving averages of g and g^2, corrected for their start
  at 0.

  m = beta1 m"""
        in output
    )
    assert (
        """
  Source: Kingma and Ba, Adam: a method for stochastic
  optimization (ICLR 2015), algorithm 1; Reddi, Kale and
"""
        in output
    )


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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["threefry"], "the libraries draw numbers of their own"),
        (["threefry", "--backends", "torch"], "the libraries draw numbers of their own"),
        (["relu", "--backends", "numpy"], "NumPy is all that"),
    ],
)
def test_it_says_why_no_column_calls_a_library(arguments, reason):
    line = "No column here calls a library (torch.nn, tf.keras, jax.flax do): "
    code, output = read(*arguments, "--library", "--width", 300)
    assert code == 0
    assert line + reason in output
    assert line not in read(*arguments, "--width", 300)[1]


@pytest.mark.parametrize(("own", "given"), [(None, "-RS"), ("-i", "-i"), ("", "")])
def test_less_is_told_to_show_colours_unless_told_otherwise(monkeypatch, own, given):
    if own is None:
        monkeypatch.delenv("LESS", raising=False)
    else:
        monkeypatch.setenv("LESS", own)
    seen = []
    monkeypatch.setattr(
        click, "echo_via_pager", lambda text, color: seen.append((text, os.environ["LESS"]))
    )
    assert read("relu", "--pager") == (0, "")
    ((text, less),) = seen
    assert "def relu(z: Array) -> Array:" in text
    assert less == given
    assert os.environ.get("LESS") == own


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(
    ("own", "colours"),
    [({}, True), ({"LESS": "-i"}, False), ({"NO_COLOR": "1"}, False)],
)
def test_a_pager_gets_the_colours_that_it_can_show(tmp_path, own, colours):
    import pty

    pager, got = tmp_path / "less", tmp_path / "got"
    pager.write_text(f'#!/bin/sh\necho "$LESS" > {got}\ncat >> {got}\n')
    pager.chmod(0o755)
    drop = ("LESS", "NO_COLOR", "FORCE_COLOR")
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    environment |= {"PAGER": str(pager), "TERM": "xterm-256color"} | own
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "tetrapla", "read", "relu", "--pager"]
    try:
        done = subprocess.run(
            command, env=environment, stdin=inner, stdout=inner, timeout=60, check=False
        )
    finally:
        os.close(inner)
        os.close(outer)
    assert done.returncode == 0
    less, _, text = got.read_text(encoding="utf-8").partition("\n")
    assert less == own.get("LESS", "-RS")
    assert "impls/numpy/activations.py" in text
    assert ("\x1b[" in text) == colours


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
