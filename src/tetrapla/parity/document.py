"""A report as JSON: everything that was measured, for programs."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tetrapla.files import write_atomically
from tetrapla.parity.comparison import Comparison, median
from tetrapla.parity.engine import (
    AGREES,
    DIFFERS,
    ERROR,
    KNOWN,
    NO,
    NOT_RUN,
    STATUSES,
    Verdict,
)
from tetrapla.parity.report import Report, octaves

GRAVEST_FIRST = (ERROR, DIFFERS, KNOWN, AGREES, NO, NOT_RUN)


def document(report: Report) -> dict[str, Any]:
    """Return the report as plain values; inf and NaN are words."""
    from tetrapla import __version__

    count = {
        status: sum(v.status == status for v in report.verdicts) for status in STATUSES
    }
    return {
        "tetrapla": __version__,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
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
    statuses = {v.status for v in verdicts}
    worst = max((v.worst for v in verdicts if v.worst), key=_fraction, default=None)
    return {
        "component": component,
        "backend": backend,
        "dtype": dtype,
        # what any case of it found, the gravest first
        "status": next(s for s in GRAVEST_FIRST if s in statuses),
        "worst": 0.0 if worst is None else worst.fraction,
        "ulps": 0.0 if worst is None else worst.ulps,
        "median": median(octaves(verdicts)),
    }


def _fraction(comparison: Comparison) -> float:
    return comparison.fraction


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
