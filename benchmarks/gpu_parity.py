"""Run the parity suite as `tetrapla parity` does; a line of JSON for each verdict.

    python benchmarks/gpu_parity.py FOLDER cpu,gpu float32,bfloat16 TEXT

The lines, FOLDER/parity.jsonl, are written as verdicts come: a run that is
stopped leaves what it had. A run that ends writes parity.json too, and prints
the tables. Exits with 1 if a backend differs, or two of them.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from tetrapla.backends import BUILT_IN, available, label_of, of_label
from tetrapla.parity import document, processes, suite
from tetrapla.parity.comparison import str_of
from tetrapla.parity.engine import Verdict
from tetrapla.parity.pairwise import Pair
from tetrapla.parity.report import Report, show


def line(v: Verdict) -> dict[str, Any]:
    """Return what a summary says of a verdict."""
    about: dict[str, Any] = {
        name: getattr(v, name)
        for name in ("case", "component", "backend", "dtype", "status")
    }
    about |= {"message": v.message, "known": v.known, "worst": v.fraction}
    if v.first is not None:
        wrong = [c for c in v.comparisons if not c.agrees]
        about |= {"first": str_of(v.first), "formula": v.first.formula, "cause": v.cause}
        about |= {"tensors": [len(wrong), len(v.comparisons)]}
        about |= {"elements": len(v.first.outside)}
    return about


def worst_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """Return where each two backends are farthest apart, in each dtype.

    Of those from scratch: a library may have another formula, and a bound of its own.
    """
    worst: dict[tuple[str, str, str], Pair] = {}
    for pair in pairs:
        key = pair.dtype, pair.left, pair.right
        if any("." in of_label(name)[0] for name in (pair.left, pair.right)):
            continue
        if key not in worst or pair.fraction > worst[key].fraction:
            worst[key] = pair
    return list(worst.values())


def main() -> None:
    folder, text = Path(sys.argv[1]), sys.argv[4]
    devices, dtypes = (words.split(",") for words in sys.argv[2:4])
    beside = list(dict.fromkeys(["float64", *dtypes]))  # it judges the others
    cases = [c for c in suite.cases() if text in c.id and set(c.dtypes) & set(dtypes)]
    there = available()
    labels = [label_of(name, device) for device in devices for name in there]
    about = {
        "backends": labels,
        "dtypes": dtypes,
        "cases": [[c.id, c.component, [d for d in beside if d in c.dtypes]] for c in cases],
    }
    if not cases:
        sys.exit(f"no case has {text!r} in its name")
    with (folder / "parity.jsonl").open("w", encoding="utf-8") as file:

        def write(about: dict[str, Any]) -> None:
            file.write(json.dumps(about) + "\n")
            file.flush()

        write(about)
        found = processes.run(labels, beside, cases, lambda v: write(line(v)))
        pairs = tuple(found.pairwise.pairs())
        worst = worst_pairs(pairs)
        write({"absent": found.absent, "pairs": [asdict(pair) for pair in worst]})
    versions = {label: there[of_label(label)[0]] for label in labels}
    report = Report(
        found.verdicts,
        {label: v for label, v in versions.items() if label not in found.absent},
        {name: "not installed" for name in BUILT_IN if name not in there} | found.absent,
        pairs,
        tuple(dtypes),
    )
    document.write(report, folder / "parity.json")
    show(report, Console(width=160))
    apart = any(pair.fraction > 1 for pair in worst)
    sys.exit(1 if report.failures or apart else 0)


if __name__ == "__main__":
    main()
