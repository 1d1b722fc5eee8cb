"""A report as JSON: everything that was measured, for programs."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tetrapla.files import write_atomically
from tetrapla.parity.comparison import Comparison, median
from tetrapla.parity.engine import STATUSES, Verdict
from tetrapla.parity.report import Report, octaves


def document(report: Report) -> dict[str, Any]:
    """Return the report as plain values; inf and NaN are words."""
    from tetrapla import __version__

    count = {
        status: sum(v.status == status for v in report.verdicts) for status in STATUSES
    }
    return {
        "tetrapla": __version__,
        "backends": dict(report.versions),
        "missing": dict(report.missing),
        "dtypes": report.dtypes,
        "count": count,
        "components": [_component(report, *cell) for cell in _cells(report)],
        "verdicts": [_verdict(v) for v in report.verdicts],
        "pairs": [asdict(p) for p in report.pairs],
    }


def _cells(report: Report) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys((v.component, v.backend, v.dtype) for v in report.verdicts))


def _component(report: Report, component: str, backend: str, dtype: str) -> dict[str, Any]:
    verdicts = report.of(component, backend, dtype)
    return {
        "component": component,
        "backend": backend,
        "dtype": dtype,
        "worst": max((v.fraction for v in verdicts), default=0.0),
        "median": median(octaves(verdicts)),
    }


def _verdict(v: Verdict) -> dict[str, Any]:
    values = {name: getattr(v, name) for name in ("case", "component", "backend", "dtype")}
    values |= {"status": v.status, "message": v.message, "cause": v.cause}
    return values | {
        "first": None if v.first is None else v.first.place,
        "comparisons": [_comparison(c) for c in v.comparisons],
    }


def _comparison(c: Comparison) -> dict[str, Any]:
    values = asdict(c)
    del values["octaves"]
    values["around"] = {
        name: [float(x) for x in np.asarray(near).flat] for name, near in c.around.items()
    }
    return values | {"median": median(c.octaves)}


def _plain(value: Any) -> Any:
    """Return the value with words for infinities and NaN, and lists for tuples."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    return [_plain(x) for x in value] if isinstance(value, list | tuple) else value


def write(report: Report, path: Path) -> None:
    """Write the JSON, whole or not at all."""
    text = json.dumps(_plain(document(report)), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())
