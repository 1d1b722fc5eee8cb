"""The page: whole, safe to open, and with everything that a reader needs."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from click.testing import CliRunner

from tetrapla.backends import load
from tetrapla.commands.parity import parity
from tetrapla.parity import html
from tetrapla.parity.comparison import OCTAVES, Comparison, failed
from tetrapla.parity.drift import Curve, Drift
from tetrapla.parity.engine import AGREES, DIFFERS, ERROR, FORMULA, NOT_RUN, Verdict, run
from tetrapla.parity.pairwise import Pair, Pairwise
from tetrapla.parity.report import Report
from tetrapla.parity.suite import cases

VOID = {"meta", "br", "wbr"}
SOURCES = {"src", "srcset", "data", "poster", "action", "formaction", "background"}
HOSTILE = '<script>alert(1)</script> & "see" https://example.org/x.png\''
COUNTS = (0,) * OCTAVES + (8, 0)


def compared(tensor, share, **more):
    values = {"got": 1.25, "expected": 1.5, "bound": 1e-7, "index": (1, 2)}
    values |= {"ulps": 3.0, "likely": share, "octaves": COUNTS, "formula": "g(z)"}
    return Comparison(tensor, share, **(values | more))


def verdict(case, backend, dtype, *comparisons, **more):
    status = AGREES if all(c.agrees for c in comparisons) else DIFFERS
    component = case.split("-")[0]
    values = {"status": status, "comparisons": tuple(comparisons)}
    return Verdict(case, component, backend, dtype, **(values | more))


AROUND = {
    "a": np.arange(12.0).reshape(3, 4) + 0.125,
    "z": -np.arange(12.0).reshape(3, 4),
    "bias": np.array([7.5, 8.5]),
}
WRONG = compared("a", 2.5, around=AROUND, index=(1, 2), got=6.125)


@pytest.fixture
def report():
    """Return a small report with everything that can go wrong."""
    verdicts = [
        verdict("g/tanh", "numpy", "float32", compared("a", 0.25), compared("dz", 0.0)),
        verdict("g/tanh", "numpy", "float64", compared("a", 0.5, unclaimed=3)),
        verdict("g/tanh", "ours", "float32", WRONG, cause=FORMULA),
        verdict("g/tanh", "ours", "float64", WRONG, cause=FORMULA),
        verdict("g/tanh-2", "numpy", "float32", compared("a", 1.0)),
        verdict("g/tanh-2", "ours", "float32", failed("a", "has shape (3,)")),
        verdict("l/mse", "numpy", "float64", status=NOT_RUN, message="no data"),
        verdict("l/mse", "ours", "float64", status=ERROR, message=HOSTILE),
    ]
    pairs = [
        Pair("g/tanh", "g/tanh", "a", d, "ours", "numpy", share, 4.0, (0, 1), (1.5, 2.5))
        for d, share in (("float32", 0.125), ("float64", 7.5))
    ]
    versions = {"numpy": "2.4", "ours": "0.1"}
    return Report(verdicts, versions, {"jax": "needs jax"}, pairs)


DRIFT = Drift(
    "training/x",
    2,
    3,
    (Curve("float64", "numpy", "ours", (0.0, 1e-16)),),
    {"jax float32": "RuntimeError: <no>"},
)
DATE = datetime(2026, 11, 23, 7, 30, tzinfo=timezone(timedelta(hours=1)))


class Page(HTMLParser):
    """Every element with its attributes, its ancestors and its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        found = {"tag": tag, "text": "", "over": list(self.open), **dict(attrs)}
        self.elements.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, class_=None):
        return [
            e
            for e in self.elements
            if e["tag"] == tag and class_ in (None, *(e.get("class") or "").split())
        ]

    def at(self, place):
        (found,) = [e for e in self.elements if e.get("id") == place]
        return found


@pytest.fixture
def page(report):
    return Page(html.page(report, DATE, DRIFT))


def requests(page):
    """Yield whatever would make a browser ask for something."""
    for e in page.elements:
        yield from (f"{e['tag']} {n}={e[n]}" for n in SOURCES & e.keys())
        for name in ("href", "xlink:href"):
            if not e.get(name, "#").startswith("#"):
                yield f"{e['tag']} {e[name]}"
        if e["tag"] in {"link", "base", "iframe", "object", "embed", "img", "image", "use"}:
            yield e["tag"]
        styles = [e.get("style") or "", e["text"] if e["tag"] == "style" else ""]
        if any(re.search(r"url\(|@import|@font-face", s) for s in styles):
            yield f"a style of {e['tag']}"


def test_the_browser_has_nothing_to_request(page):
    assert list(requests(page)) == []
    addresses = [
        value
        for e in page.elements
        for name, value in e.items()
        if name not in ("text", "over") and re.search("https?://", str(value))
    ]
    assert addresses == ["http://www.w3.org/2000/svg"]  # a name, which nobody loads
    for name in ("page.css", "page.js"):
        assert "://" not in files("tetrapla.parity").joinpath(name).read_text()


def test_and_its_policy_forbids_every_request(page):
    (policy,) = [e for e in page.all("meta") if "http-equiv" in e]
    assert policy["content"].startswith("default-src 'none'; ")
    (script,) = page.all("script")
    digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
    assert policy["content"].endswith(f"script-src 'sha256-{digest}'")


def test_what_a_backend_says_is_escaped(report):
    text = html.page(report, DATE, DRIFT)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text
    named = replace(report.verdicts[2], backend='<img src="x">', case="<b>/x")
    page = Page(html.page(replace(report, verdicts=[named]), DATE))
    assert list(requests(page)) == []
    assert not page.all("img")


def test_it_is_accessible(page):
    (root,) = page.all("html")
    assert root["lang"] == "en"
    assert "Parity of numpy, ours" in page.all("title")[0]["text"]
    assert all(e.get("scope") in ("row", "col") for e in page.all("th"))
    assert all(e["text"] for e in page.all("th"))
    heat = page.all("table", "heat")
    assert heat
    for table in heat:
        assert any(table in c["over"] for c in page.all("caption"))
    assert all(e.get("aria-label") for e in page.all("span") if e.get("role") == "img")
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(ids) == len(set(ids))
    assert all(e["href"][1:] in ids for e in page.all("a"))


def test_every_coloured_cell_has_its_number(page):
    cells = [e for e in page.all("td") if re.match(r"h\d|over", e.get("class") or "")]
    texts = [" ".join(e["text"].split()) for e in cells]
    assert all(re.search(r"\d|inf|raised", text) for text in texts)
    for e, text in zip(cells, texts, strict=True):
        assert ("✗" in text) == (e["class"] == "over")
    assert {e["class"] for e in cells} == {"h1", "h3", "h5", "over"}


def row_of(page, caption, name):
    for table in page.all("table", "heat"):
        (words,) = [c["text"] for c in page.all("caption") if table in c["over"]]
        if words.startswith(caption) and table["over"][-3]["id"] == "components":
            rows = [e for e in page.all("tr") if table in e["over"]]
            (row,) = [e for e in rows if e["text"].startswith(name)]
            return [e for e in page.all("td") if row in e["over"]]
    raise AssertionError(caption)


def test_the_map_has_the_worst_of_each_cell(page):
    mine, other = row_of(page, "float32", "g/tanh")
    # The one within its bound by nothing, and the one that is no tensor.
    assert (mine["class"], mine["text"]) == ("h5", "1.003.00")
    assert (other["class"], other["text"]) == ("over", "✗ infinf")
    mine, other = row_of(page, "float64", "l/mse")
    assert (mine["class"], mine["text"]) == ("none", "not run")
    assert (other["class"], other["text"]) == ("over", "✗ raised")
    assert [e["text"] for e in row_of(page, "float32", "l/mse")] == ["no case"] * 2


def test_a_cell_leads_to_its_cases_and_tensors(page):
    cell = row_of(page, "float32", "g/tanh")[0]
    (link,) = [e for e in page.all("a") if cell in e["over"]]
    inside = page.at(link["href"][1:])
    # Within, so that a browser opens what it leads into.
    assert [e["tag"] for e in inside["over"]].count("details") == 2
    case = page.at("case/g-tanh/numpy/float32")
    assert inside in case["over"]
    (table,) = [e for e in page.all("table") if case in e["over"]]
    rows = [e["text"] for e in page.all("tr") if table in e["over"]]
    assert rows[1] == "ag(z)0.250.250.713.00[1, 2]1.251.51e-07"
    assert rows[2].startswith("dzg(z)0.00")
    assert "g(z) (3 unclaimed)" in page.at("case/g-tanh/numpy/float64")["text"]
    assert "has shape (3,)" in page.at("case/g-tanh-2/ours/float32")["text"]


def test_failures_come_first_with_cause_formula_and_values(page):
    (body,) = page.all("main")
    sections = [e["id"] for e in page.all("section") if e["over"][-1] is body]
    assert sections == ["failures", "components", "pairs", "drift", "cases", "reading"]
    (card,) = page.all("article")
    assert "✗ ours goes wrong first in g/tanh (float64)" in card["text"]
    for words in (FORMULA, "a[1, 2] = g(z)", "6.125", "1.5 ± 1e-07", "2.50 of the bound"):
        assert words in card["text"]
    marked = [e["text"] for e in page.all("mark") if card in e["over"]]
    assert marked == ["6.125", "-6"]  # of the tensor, and of the input like it
    assert "8.5" in card["text"]
    links = [e["text"] for e in page.all("a") if card in e["over"]]
    assert links == ["g/tanh", "g/tanh", "g/tanh", "g/tanh-2", "l/mse"]


def test_the_step_in_question_is_shown_of_many(report):
    around = {"w": np.arange(27.0).reshape(3, 3, 3)}
    c = compared("w", 3.0, step=2, index=(0, 1), around=around)
    bad = verdict("o/x", "numpy", "float64", c)
    page = Page(html.page(replace(report, verdicts=[bad])))
    assert [e["text"] for e in page.all("mark")] == ["10"]  # [1, 0, 1]
    assert "26" not in page.all("article")[0]["text"]


def test_pairs_are_named_in_the_backends_order(page):
    inside = page.at("pairs/g-tanh")
    (table,) = [e for e in page.all("table", "plain") if inside in e["over"]]
    rows = [e["text"] for e in page.all("tr") if table in e["over"]]
    assert rows[1:] == [
        "numpy, oursfloat320.124.00g/tanha[0, 1]2.51.5",
        "numpy, oursfloat647.504.00g/tanha[0, 1]2.51.5",
    ]
    classes = [e.get("class") for e in page.all("td") if e["over"][-3]["class"] == "heat"]
    assert classes.count("over") >= 4  # both halves, over all and by component


def test_the_drift_is_shown_and_is_no_verdict(page):
    text = page.at("drift")["text"]
    assert "This is no verdict: bounds that are carried through training" in text
    assert "jax float32: RuntimeError: <no>" in text
    assert "0 has no logarithm" in text
    assert "ours from numpy, float64" in text
    assert page.all("svg")[0]["aria-labelledby"] == "drift-title drift-desc"


def test_without_drift_pairs_or_failures_it_says_so(report):
    good = [v for v in report.verdicts if v.status == AGREES]
    page = Page(html.page(replace(report, verdicts=good, pairs=())))
    assert "Not drawn" in page.at("drift")["text"]
    assert "it takes two backends" in page.at("pairs")["text"]
    assert not [e for e in page.elements if e.get("id") == "failures"]
    assert "agrees" in [e.get("aria-label") for e in page.all("span")]


def test_a_dtype_that_was_not_asked_for_is_shown_where_it_fails(report):
    wide = verdict("g/tanh", "numpy", "float64", compared("a", 0.5))
    narrow = replace(wide, dtype="float32")
    asked = replace(report, verdicts=[narrow, wide], shown=("float32",))
    captions = [e["text"] for e in Page(html.page(asked)).all("caption")]
    assert not any(c.startswith("float64") for c in captions)
    bad = replace(asked, verdicts=[narrow, replace(wide, status=ERROR)])
    captions = [e["text"] for e in Page(html.page(bad)).all("caption")]
    assert any(c.startswith("float64") for c in captions)


def test_only_the_worst_are_listed_of_a_case_that_agrees(report):
    many = [compared(f"t{i}", i / 100) for i in range(40)]
    page = Page(
        html.page(replace(report, verdicts=[verdict("g/x", "a", "float64", *many)]))
    )
    case = page.at("case/g-x/a/float64")
    names = [e["text"] for e in page.all("th") if case in e["over"] and e["scope"] == "row"]
    assert names == ["t37", "t38", "t39"]
    assert "and 37 more tensors, all with smaller shares" in case["text"]


def test_the_same_report_gives_the_same_page(report):
    text = html.page(report, DATE, DRIFT)
    assert text == html.page(report, DATE, DRIFT)
    assert "2026-11-23 06:30 UTC" in text
    assert "UTC" not in html.page(report)
    assert html.page(report, DATE.astimezone(UTC)) == html.page(report, DATE)


def test_it_is_written_whole_or_not_at_all(report, tmp_path):
    path = tmp_path / "report.html"
    html.write(report, path, DATE, DRIFT)
    assert path.read_text(encoding="utf-8") == html.page(report, DATE, DRIFT)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileNotFoundError):
        html.write(report, tmp_path / "no" / "report.html")


def test_it_stays_small_where_everything_is_wrong():
    wrong = [compared(f"step {i}: 0.weight.grad", 1e9 + i, got=1 / 3) for i in range(40)]
    verdicts = [
        verdict(f"training/digits-{case}", backend, dtype, *wrong, cause=FORMULA)
        for case in range(150)
        for backend in ("numpy", "torch", "tf", "jax")
        for dtype in ("float32", "float64")
    ]
    page = html.page(Report(verdicts, {}, {}))
    assert len(page.encode()) < 6e6
    assert "of them outside their bounds" in page


def colours(style):
    """Return the custom properties of a block as luminances by name."""
    found = {}
    for name, digits in re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style):
        levels = [int(digits[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in levels
        ]
        found[name] = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return found


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_have_contrast_and_a_steady_scale(theme):
    style = files("tetrapla.parity").joinpath("page.css").read_text(encoding="utf-8")
    found = colours(re.findall(r":root \{(.*?)\n\s*\}", style, re.DOTALL)[theme])
    texts = [(f"h{i}-ink", f"h{i}") for i in range(6)] + [("bad-ink", "bad")]
    for name in ("ink", "soft", "link", "bad-text", "good-text"):
        texts += [(name, "page"), (name, "panel")]
    for text, ground in texts:
        dark, light = sorted((found[text], found[ground]))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    scale = [found[f"h{i}"] for i in range(6)]
    assert scale == sorted(scale, reverse=theme == 0)
    assert len(html.html_maps.LEVELS) == len(scale)


def test_a_run_of_numpy_becomes_a_page():
    pairwise = Pairwise()
    backends = [load("numpy", dtype=d) for d in ("float64", "float32")]
    chosen = [c for c in cases() if c.id in ("activation/tanh", "optimizer/sgd-defaults")]
    verdicts = list(run(chosen, backends, on_check=pairwise))
    report = Report(verdicts, {"numpy": "2"}, {}, tuple(pairwise.pairs()))
    page = Page(html.page(report, DATE))
    assert list(requests(page)) == []
    assert len(row_of(page, "float64", "activation/tanh")) == 1
    assert all(page.at(f"case/{c.id.replace('/', '-')}/numpy/float32") for c in chosen)


def test_the_command_writes_it(tmp_path):
    path = tmp_path / "report.html"
    choice = ["--backends", "numpy", "--filter", "activation/tanh", "--html", str(path)]
    result = CliRunner().invoke(parity, choice, catch_exceptions=False)
    assert result.exit_code == 0
    page = Page(path.read_text(encoding="utf-8"))
    assert list(requests(page)) == []
    assert f"{datetime.now(UTC):%Y-%m-%d}" in page.all("header")[0]["text"]
    assert "Not drawn" in page.at("drift")["text"]  # it takes two backends
