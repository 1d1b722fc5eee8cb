"""How cost grows: the points, the arithmetic, the tables and the figure."""

import json
import sys
from dataclasses import asdict, replace
from io import StringIO
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from tetrapla import cli
from tetrapla.benchmarks import measure, problems, resident, scaling, scaling_chart
from tetrapla.benchmarks import scaling_worker as worker
from tetrapla.benchmarks.scaling import Cost, Difference, Plan, Point, Scaling, Stream
from tetrapla.commands import scaling_tables
from tetrapla.commands.scaling_tables import seconds, size

SVG = "{http://www.w3.org/2000/svg}"
ABOUT = {"processor": "a < b", "cores": 2, "date": "2026-11-23"}


def tetra(*args):
    args = ["bench", "--scaling", *map(str, args)]
    return CliRunner().invoke(cli.main, args, prog_name="tetrapla")


def cost(parameters=99_690, batch=64, backend="numpy", **other):
    fit = Difference(4, 12, (0.5, 0.7, 0.6), (1.4, 9.0, 1.3))
    floor = Difference(1, 9, (0.05,), (0.45,))
    made = Cost(backend, parameters, batch, fit, floor, memory=3_000_000)
    return replace(made, **other)


def made(framework="numpy", *backends):
    costs = [
        cost(parameters, batch, backend)
        for backend in backends or (framework,)
        for parameters in (967, 10_015, 99_690)
        for batch in (1, 64)
        if (parameters, batch) != (99_690, 64)
    ]
    streams = (Stream(framework, 1_024, 310, (1.0, 2.0), (1.25, 2.5)),)
    return Scaling(framework, tuple(costs), streams)


# ---- the points


@pytest.mark.parametrize("width", [1, 11, 963])
def test_the_parameters_are_the_networks(width):
    problem = Point(width, 8).problem()
    weights = worker.first_weights(problem)
    assert weights.keys() == problem.net().init(seed=0).keys()
    assert sum(w.size for w in weights.values()) == scaling.count(width)


@pytest.mark.parametrize("wanted", scaling.WHOLE.parameters)
def test_no_width_comes_nearer(wanted):
    width = scaling.hidden(wanted)
    far = [abs(scaling.count(width + i) - wanted) for i in (-1, 0, 1)]
    assert min(far) == far[1]


@pytest.mark.parametrize("plan", [scaling.WHOLE, scaling.QUICK])
def test_the_points_are_within_the_limits(plan):
    points = list(plan.points())
    assert len(set(points)) == len(points)
    assert max(p.operations for p in points) <= plan.limit
    for point in points:
        assert point.problem().steps == point.steps
        assert point.steps * point.batch * 64 <= scaling.NUMBERS
    assert all(n % scaling.BATCH == 0 for n in plan.samples)


def test_the_whole_plan_reaches_all_sizes_and_batches():
    points = list(scaling.WHOLE.points())
    assert {p.batch for p in points} == {1, 32, 512, 8192}
    assert {round(np.log10(p.parameters), 1) for p in points} == {3, 4, 5, 6, 7, 8}


def test_noise_is_the_same_again():
    problem = problems.Noise("noise", (4, 4), 2, 1, passes=1, n=6)
    (x, y), (again, _) = problem.data(), problem.data()
    assert (x.shape, x.dtype, y.shape) == ((6, 64), np.float32, (6,))
    np.testing.assert_array_equal(x, again)


# ---- the arithmetic


def test_a_difference_leaves_the_start_out():
    found = cost()
    assert found.fit.step == pytest.approx((1.3 - 0.5) / 8)
    assert found.fit.start == pytest.approx(0.5 - 4 * 0.1)
    assert found.times == pytest.approx(0.1 / 0.05)
    assert found.needed == 16 * 99_690


def test_a_stream_is_compared_round_by_round():
    stream = Stream("numpy", 1_024, 310, (1.0, 4.0, 2.0), (1.25, 4.0, 4.0))
    assert stream.ratio == 0.8
    assert stream.step == 2 / 310


class Clock:
    """A run that takes a second to start and so many for each unit."""

    def __init__(self, each):
        self.each, self.asked = each, []

    def __call__(self, units):
        self.asked.append(units)
        return 1 + self.each * units


@pytest.mark.parametrize("each", [1e-5, 1e-2, 0.3])
def test_the_search_ends_where_the_difference_is_long_enough(each):
    runs = worker.Runs(Clock(each), steps=5)
    runs.search(0.2)
    assert runs.more * each >= 0.2
    assert runs.more == 1 or runs.more * each < 0.2 * 16
    runs.round()
    assert runs.found().step == pytest.approx(each / 5)
    assert runs.found().start == pytest.approx(1)


def test_what_takes_long_is_measured_once():
    clock = Clock(8.0)
    runs = worker.Runs(clock)
    runs.search(0.2)
    assert (runs.tired, clock.asked) == (True, [1, 2])
    assert runs.found().step == 8


# ---- measuring


def test_a_framework_is_measured():
    plan = Plan((10**3,), (1, 16), 1e6, 0.001, (128, 256))
    first, second = worker.costs("numpy", plan, 2)
    assert (first.backend, first.parameters, first.batch) == ("numpy", 967, 1)
    assert second.batch == 16
    for each in (first, second):
        assert len(each.fit.seconds_few) == len(each.floor.seconds_many) == 2
        assert each.fit.many > each.fit.few
    a, b = worker.streams(["numpy"], plan.samples, 2)
    assert (a.samples, a.steps, b.samples, b.steps) == (128, 2, 256, 2)
    assert len(a.in_memory) == len(a.in_file) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_memory_of_a_call_is_seen_again_and_again():
    for _ in range(2):
        before = resident.resident()
        most = resident.peak(lambda: np.ones(5_000_000))
        assert 39e6 < most - before < 60e6


def test_elsewhere_memory_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "PROCESS", tmp_path / "none")
    ran = []
    assert resident.resident() is None
    assert resident.peak(lambda: ran.append(1)) is None
    assert ran == [1]


def test_what_a_process_prints_is_read_back(monkeypatch):
    found = made()
    rows = {"costs": found.costs, "streams": found.streams}
    text = json.dumps({name: [asdict(row) for row in each] for name, each in rows.items()})
    monkeypatch.setattr(scaling, "in_process", lambda *how: json.loads(text))
    assert list(scaling.scale(["numpy"], 3, quick=True)) == [found]


# ---- what is shown


def test_the_tables_fit_a_terminal():
    huge = cost(99_998_566, 8192, fit=Difference(1, 2, (9.9999e-4,), (1.9998e-3,)))
    stream = Stream("torch.nn", 999_936, 7_812, (100.0,), (110.0,))
    found = Scaling(
        "torch", (replace(huge, memory=199_900_000), replace(huge, memory=None)), (stream,)
    )
    console = Console(width=80, record=True, file=StringIO())
    scaling_tables.show(console, found, scaling.WHOLE)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "99,998,566" in text
    assert "2e+10" in text
    assert "0.91" in text


def test_units():
    assert [seconds(s) for s in (2e-6, 0.5, -0.002)] == ["2.0 us", "500.0 ms", "-2.0 ms"]
    assert [size(b) for b in (900, 5e6, 3e9)] == ["0.9 kB", "5.0 MB", "3.0 GB"]


def figure(*found):
    text = scaling_chart.svg(found, ABOUT)
    assert text == scaling_chart.svg(found, ABOUT)
    return ElementTree.fromstring(text)


def test_the_figure_has_a_panel_for_each_backend_and_one_of_memory():
    root = figure(made(), made("torch", "torch", "torch.nn"))
    titles = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "panel"]
    times = [f"{name}: seconds per step" for name in ("numpy", "torch", "torch.nn")]
    assert titles == [*times, "bytes of memory, batch 1"]
    lines = [line.get("class") for line in root.iter(f"{SVG}polyline")]
    assert lines.count("curve") == 3 * 2 + 3
    assert lines.count("floor") == 3 * 2 + 1
    described = root.find(f"{SVG}desc").text
    assert "torch.nn, 967 parameters, batch 64: 0.1 s, 2.0 times, 3.0 MB" in described
    assert root.get("aria-labelledby") == "scaling-title scaling-desc"


def test_the_figure_leaves_out_what_is_unknown_or_none():
    backwards = Difference(1, 2, (1.0,), (0.9,))  # noise was more than the step
    known = cost(10_015, memory=None)
    root = figure(Scaling("numpy", (known, cost(967, fit=backwards, memory=None)), ()))
    assert len(list(root.iter(f"{SVG}polyline"))) == 2
    assert "nan" not in ElementTree.tostring(root, encoding="unicode")


# ---- the command


def test_problems_are_refused():
    result = tetra("--problems", "small")
    assert (result.exit_code, "--problems" in result.output) == (2, True)


def test_bad_options_are_refused():
    assert tetra("--frameworks", "nunpy").exit_code == 2
    assert tetra("--repeats", 0).exit_code == 2
    assert tetra("--svg", "no/such/folder.svg").exit_code == 2


def test_the_command_writes_both_files(tmp_path, monkeypatch):
    asked = []

    def scale(*how):
        asked.append(how)
        yield made()

    monkeypatch.setattr(scaling, "scale", scale)
    monkeypatch.setattr(measure, "missing", lambda framework: [])
    svg, path = tmp_path / "scaling.svg", tmp_path / "scaling.json"
    how = ("--frameworks", "numpy", "--quick", "--svg", svg, "--json", path)
    result = tetra(*how)
    assert result.exit_code == 0, result.output
    assert asked == [(("numpy",), 3, True)]
    (found,) = json.loads(path.read_text())["scaling"]
    assert found["costs"][0]["times_the_floor"] == pytest.approx(2)
    assert found["streams"][0]["of_memory_speed"] == 0.8
    assert ElementTree.parse(svg).getroot().tag == f"{SVG}svg"
    assert max(map(len, result.stdout.splitlines()[2:])) <= 80


def test_a_failed_process_is_said(monkeypatch):
    def scale(*how):
        raise RuntimeError("no such kernel")
        yield

    monkeypatch.setattr(scaling, "scale", scale)
    monkeypatch.setattr(measure, "missing", lambda framework: [])
    result = tetra("--frameworks", "numpy")
    assert (result.exit_code, "no such kernel" in result.output) == (1, True)
