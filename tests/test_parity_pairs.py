"""Backends against each other: what `--pairs` prints of many, and what is left out."""

import io
from itertools import combinations

import pytest
from rich.console import Console

from tetrapla.backends import BUILT_IN, label_of
from tetrapla.parity import html
from tetrapla.parity.comparison import Comparison
from tetrapla.parity.engine import AGREES, KNOWN, Verdict
from tetrapla.parity.pairwise import Pair
from tetrapla.parity.report import Report
from tetrapla.parity.report_pairs import furthest, show_pairs

LABELS = [label_of(name, device) for device in ("cpu", "gpu") for name in BUILT_IN]
LONGEST = "loss/softmax cross-entropy"


def report(labels, pairs, known=()):
    verdicts = [
        Verdict(
            component,
            component,
            name,
            "float32",
            KNOWN if name in known else AGREES,
            comparisons=(Comparison("a", 0.5, known="a habit" * (name in known)),),
        )
        for component in ("activation/elu", LONGEST)
        for name in labels
    ]
    return Report(verdicts, dict.fromkeys(labels, "1"), {}, pairs, ("float32",))


def apart(left, right, fraction, component=LONGEST):
    left, right = sorted((left, right))  # as they come from pairwise.py
    about = component, component, "a", "float32", left, right
    return Pair(*about, fraction, 1.5e40 if fraction else 0.0, (0, 3), (0.25, 0.5))


def printed(report, width=80):
    console = Console(width=width, file=io.StringIO())
    show_pairs(report, console)
    return console.file.getvalue()


def rows(text):
    """Return the tables' rows as words; what goes on in the next line is put together."""
    found = []
    for line in text.splitlines():
        if line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            if cells[1]:
                found.append(cells)
            else:
                both = zip(found[-1], cells, strict=True)
                found[-1] = [f"{above} {below}".strip() for above, below in both]
    return found


def test_all_pairs_of_fourteen_fit_a_terminal():
    both = list(combinations(LABELS, 2))
    pairs = [apart(*names, i / 100) for i, names in enumerate(both)]
    text = printed(report(LABELS, pairs))
    tables = [line for line in text.splitlines() if line[:1] in "┏┃┡│└"]
    assert max(map(len, tables)) <= 80
    of_pairs, of_components = rows(text)[:91], rows(text)[91:]
    assert [row[0] for row in of_pairs] == [", ".join(names) for names in reversed(both)]
    assert of_pairs[0][1:] == ["✓ 0.90", "1.5e40", LONGEST, ""]
    assert of_pairs[-1][1:] == ["✓ 0.00", "0.00", "all equal", ""]
    assert of_components == [[LONGEST, *of_pairs[0][1:3], ", ".join(both[-1]), ""]]
    assert "91 comparisons of two backends; --json has each" in text


def test_the_worst_is_first_and_said_in_full_where_it_is_outside():
    pairs = [
        apart("numpy", "torch", 0.5),
        apart("numpy", "torch", 0.25, "activation/elu"),
        apart("numpy", "jax", 1.5, "activation/elu"),
    ]
    text = printed(report(["numpy", "torch", "jax"], pairs))
    assert [row[:2] + row[3:4] for row in rows(text)] == [
        ["numpy, jax", "✗ 1.50", "activation/elu"],
        ["numpy, torch", "✓ 0.50", LONGEST],
        ["torch, jax", "-", "nothing compared"],
        ["activation/elu", "✗ 1.50", "numpy, jax"],
        [LONGEST, "✓ 0.50", "numpy, torch"],
    ]
    assert "✗ float32 activation/elu: a[0, 3]: numpy 0.5, jax 0.25: 1.5 of the sum" in text


def test_a_known_deviation_hides_nothing_else():
    pairs = [
        apart("numpy", "tf.keras", 1e6),
        apart("numpy", "tf.keras", 0.75, "activation/elu"),
        apart("numpy", "torch", float("inf")),
        apart("torch", "tf.keras", 1e6),
    ]
    full = report(["numpy", "torch", "tf.keras"], pairs, known=("tf.keras",))
    text = printed(full)
    assert [row[0:1] + row[1:2] + row[3:] for row in rows(text)[:3]] == [
        ["numpy, torch", "✗ inf", LONGEST, ""],
        ["numpy, tf.keras", "✓ 0.75", "activation/elu", "1"],
        ["torch, tf.keras", "-", "", "1"],
    ]
    assert "≈ so many tensors are further apart, for a known deviation" in text
    page = html.page(full)
    assert "7.5e5" not in page
    assert "1.0e6" not in page
    assert "≈ 1" in page


def test_within_its_bound_a_deviating_backend_is_compared_as_others_are():
    full = report(["numpy", "tf.keras"], [apart("numpy", "tf.keras", 0.9)], ("tf.keras",))
    (found,) = furthest(full, lambda p: (p.left, p.right)).values()
    assert (found.fraction, found.known) == (0.9, 0)


def test_one_backend_has_no_pairs():
    assert printed(report(["numpy"], [])) == "No pairs: it takes two backends.\n"


@pytest.mark.parametrize("width", [80, 120])
def test_a_components_name_is_whole(width):
    pairs = [apart("torch.nn@gpu", "jax.flax@gpu", 0.5)]
    text = printed(report(["torch.nn@gpu", "jax.flax@gpu"], pairs), width)
    assert text.count(LONGEST) == 2
