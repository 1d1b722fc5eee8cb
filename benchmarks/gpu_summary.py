"""The summary of `make gpu`, from what its processes have written so far."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu_jobs import Job

Line = dict[str, Any]
KINDS = ("info", "tests", "parity", "speed")
GRAVEST_FIRST = ("error", "differs", "known deviation", "agrees", "no", "not run")
OUTCOMES = ("passed", "failed", "skipped", "not finished")
SLOW = 20.0  # seconds of a test that are worth a word
LONGEST = 1500  # characters of an error
SIGNS = {"known deviation": "≈ ", "differs": "✗ ", "error": "✗ "}


def lines(path: Path) -> list[Line]:
    """Return the whole lines of a file that somebody may be writing."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def summary(
    folder: Path, about: Mapping[str, str], jobs: Sequence[Job], note: str = ""
) -> str:
    """Return the summary as Markdown; `note`: why the run has ended before its end."""
    of = {kind: [job for job in jobs if job.kind == kind] for kind in KINDS}
    unfinished = [f"{job.name} ({job})" for job in jobs if not job.finished]
    state = f"**Not finished**: {', '.join(unfinished)}." if unfinished else "Finished."
    state = f"{note[:1].upper()}{note[1:]}. {state}" if note else state
    return "\n".join(
        [
            f"# tetrapla on a GPU, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"\n{state}\n",
            "| | |\n|---|---|",
            *(f"| {name} | {value} |" for name, value in about.items()),
            *("", *backends(lines(folder / "info.jsonl"))),
            *("", *tests(folder, of["tests"])),
            *("", *parity(folder, of["parity"][0])),
            *("", *speed(of["speed"])),
            "",
        ]
    )


def backends(found: list[Line]) -> Iterator[str]:
    """Yield what the backends say of themselves; those that say the same together."""
    alike: dict[str, list[str]] = defaultdict(list)
    for line in found:
        for name, value in line.get("cuda", {}).items():
            alike[value].append(name)
        if "info" in line:
            facts = "; ".join(f"{name}: {value}" for name, value in line["info"].items())
            alike[facts].append(line["backend"])
        if "missing" in line:
            alike[f"not run: {line['missing']}"].append(line["backend"])
    yield "## Backends\n"
    for facts, names in alike.items():
        yield f"- **{', '.join(names)}**: {facts}"
    if not found:
        yield "Not asked yet."


def tests(folder: Path, jobs: Sequence[Job]) -> Iterator[str]:
    """Yield the counts, every failure in full, and why others were not run."""
    totals: Counter[str] = Counter()
    rows, found, notes = [], [], []
    for job in jobs:
        written = lines(folder / f"{job.name}.jsonl")
        ends = outcomes(written)
        counts = Counter(line["outcome"] for line in ends)
        selected = sum(line.get("selected", 0) for line in written)
        counts["not finished"] += max(selected - len(ends), 0)
        totals += counts
        shown = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
        rows.append(f"| {job.name.removeprefix('tests-')} | {shown} | {job} |")
        found += ends
        if job.code not in (None, 0, 1, 5):  # nor 5, without a test
            at = [line["test"] for line in ends if line["outcome"] == "not finished"]
            notes += [f"- ✗ {job.name} {job} {' '.join(['in', *at] if at else [])}"]
            notes += indented(job.last(12))
    there = sum(seen(folder).values())
    totals["not finished"] += max(there - totals.total(), 0)  # of processes not begun
    said = ", ".join(f"{totals[each]} {each}" for each in OUTCOMES if totals[each])
    yield f"## Tests: {said or 'none yet'}\n"
    yield f"| backend | {' | '.join(OUTCOMES)} | process |"
    yield "|---|" + "---|" * (len(OUTCOMES) + 1)
    yield from [*rows, "", *notes]
    for message, names in failed(found).items():
        yield from (f"- ✗ {name}" for name in names)
        yield from indented(message)
    reasons = Counter(line["message"] for line in found if line["outcome"] == "skipped")
    yield from (f"- {count} not run: {reason}" for reason, count in reasons.items())
    found.sort(key=lambda line: -line.get("seconds", 0))
    for line in found[:5]:
        if line.get("seconds", 0) > SLOW:
            yield f"- slow: {line['test']}, {line['seconds']:.0f} s"


def seen(folder: Path) -> dict[str, int]:
    """Return how many tests there are of each backend, by the first process."""
    found = [line for line in lines(folder / "tests-none.jsonl") if "there" in line]
    return found[0]["there"] if found else {}


def outcomes(written: Iterable[Line]) -> list[Line]:
    """Return the last that is known of each test."""
    ends: dict[str, Line] = {}
    for line in written:
        before = ends.get(line.get("test", ""))
        # What has failed stays failed, however it is taken down.
        if "test" in line and (before is None or before["outcome"] != "failed"):
            ends[line["test"]] = line
    return list(ends.values())


def failed(found: Iterable[Line]) -> dict[str, list[str]]:
    """Return the failed tests by what they said."""
    names: dict[str, list[str]] = defaultdict(list)
    for line in found:
        if line["outcome"] == "failed":
            names[line["message"]].append(line["test"])
    return names


def indented(text: str) -> Iterator[str]:
    """Yield a text as a block of code in a list."""
    yield "  ```text"
    yield from (f"  {line}" for line in text.splitlines())
    yield "  ```"


def parity(folder: Path, job: Job) -> Iterator[str]:
    """Yield the counts, every case that differs, and a table for each dtype."""
    found = lines(folder / "parity.jsonl")
    verdicts = [line for line in found if "case" in line]
    told = {line["backend"] for line in lines(folder / "info.jsonl") if "missing" in line}
    absent = {name: why for line in found for name, why in line.get("absent", {}).items()}
    plan = found[0] if found else {"backends": [], "dtypes": [], "cases": []}
    place = {case: i for i, (case, _, _) in enumerate(plan["cases"])}
    verdicts.sort(key=lambda v: place[v["case"]])
    heard = {v["backend"] for v in verdicts}
    names = [
        name for name in plan["backends"] if name in heard or name not in {*told, *absent}
    ]
    wanted = sum(len(dtypes) for _, _, dtypes in plan["cases"]) * len(names)
    count = Counter(v["status"] for v in verdicts)
    count["not finished"] = max(wanted - len(verdicts), 0)
    said = ", ".join(f"{n} {status}" for status, n in count.items() if n)
    yield f"## Parity: {said or 'none yet'}\n"
    yield f"The process: {job}.\n"
    if job.crashed or (job.code and not count.keys() & {"differs", "error"}):
        yield from indented(job.last(12))
    yield from (f"- not run: {n}: {why}" for n, why in absent.items() if n not in told)
    yield from differing(verdicts)
    yield from known(verdicts)
    yield ""
    for dtype in dict.fromkeys(plan["dtypes"]):
        of_dtype = [v for v in verdicts if v["dtype"] == dtype]
        yield from table(plan, of_dtype, names, dtype)
    yield from pairs([pair for line in found for pair in line.get("pairs", ())])


def pairs(found: Sequence[Line]) -> Iterator[str]:
    """Yield how far two backends, or one on two devices, are apart at most; worst first."""
    if not found:
        return
    dtypes = list(dict.fromkeys(pair["dtype"] for pair in found))
    rows: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for pair in sorted(found, key=lambda pair: -pair["fraction"]):
        sign = "✗ " if pair["fraction"] > 1 else ""
        shown = f"{sign}{pair['fraction']:.2g} ({pair['ulps']:.3g} ULP)"
        where = f" {pair['component']}" if pair["fraction"] else ""
        rows[pair["left"], pair["right"]][pair["dtype"]] = shown + where
        if sign:
            left, right = pair["values"]
            yield f"- ✗ {pair['left']} {left!r}, {pair['right']} {right!r}:"
            yield f"  {pair['case']} {pair['tensor']} {pair['dtype']} at {pair['index']}"
    yield "### Pairs\n"
    yield "Of those from scratch; the libraries', with what is known, are in parity.json.\n"
    yield f"| share of the sum of both bounds | {' | '.join(dtypes)} |"
    yield "|---|" + "---|" * len(dtypes)
    for (left, right), cells in rows.items():
        shown = " | ".join(cells.get(dtype, "") for dtype in dtypes)
        yield f"| {left}, {right} | {shown} |"
    yield ""


def differing(verdicts: Iterable[Line]) -> Iterator[str]:
    """Yield each case that differs, and what was raised, with its cases."""
    raised: dict[tuple[str, str], list[str]] = defaultdict(list)
    for v in verdicts:
        where = f"{v['case']} {v['dtype']}"
        if v["status"] == "differs":
            wrong, of = v["tensors"]
            yield f"- ✗ {v['backend']} {where}: {v['first']}"
            yield f"  - {v['cause'] or 'no cause found'}; {v['formula']}"
            yield f"  - outside: {v['elements']} of its elements; {wrong} of {of} tensors"
        elif v["status"] == "error":
            raised[v["backend"], v["message"]].append(where)
    for (backend, message), wheres in raised.items():
        some = ", ".join(wheres[:5]) + (" ..." if len(wheres) > 5 else "")
        yield f"- ✗ {backend}, {len(wheres)} run{'s' * (len(wheres) > 1)} ({some}):"
        yield from indented(message[:LONGEST])


def known(verdicts: Iterable[Line]) -> Iterator[str]:
    """Yield the known deviations that were met."""
    met: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for v in verdicts:
        for habit in v["known"]:
            met[v["backend"], habit][v["dtype"]] += 1
    for (backend, habit), count in met.items():
        dtypes = ", ".join(f"{n} in {dtype}" for dtype, n in count.items())
        yield f"- ≈ {backend}: {habit} ({dtypes})"


def table(
    plan: Line, verdicts: Sequence[Line], names: Sequence[str], dtype: str
) -> Iterator[str]:
    """Yield a row per component and a column per backend: its worst share of a bound."""
    wanted = Counter(row for _, row, dtypes in plan["cases"] if dtype in dtypes)
    cells: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for v in verdicts:
        cells[v["component"], v["backend"]].append(v)
    yield f"### {dtype}"
    yield ""
    yield f"| share of the bound | {' | '.join(names)} |"
    yield "|---|" + "---|" * len(names)
    for row, n in wanted.items():
        shown = [cell(cells[row, name], n) for name in names]
        yield f"| {row} | {' | '.join(shown)} |"
    yield ""


def cell(verdicts: Sequence[Line], n: int) -> str:
    """Return the worst of some verdicts, and how many of n they are if not all."""
    part = "" if len(verdicts) == n else f" ({len(verdicts)}/{n})"
    if not verdicts:
        return "..."
    status = min((v["status"] for v in verdicts), key=GRAVEST_FIRST.index)
    if status in ("no", "not run"):
        return status + part
    worst = max(v["worst"] for v in verdicts)
    number = "<1" if 0.995 <= worst < 1 else f"{worst:.2g}"
    return SIGNS.get(status, "") + ("error" if status == "error" else number) + part


def speed(jobs: Sequence[Job]) -> Iterator[str]:
    """Yield what `tetrapla bench` printed."""
    yield "## Speed\n"
    if not jobs:
        yield "Not measured: no backend has a GPU, or --no-bench was said."
    for job in jobs:
        printed = job.log.read_text(encoding="utf-8") if job.log.is_file() else ""
        if printed.strip():
            yield f"```text\n{printed.rstrip()}\n```\n"
        if job.code:
            yield f"Not measured: {job.last()}"
        elif not job.finished:
            yield f"Not finished; the process: {job}."
