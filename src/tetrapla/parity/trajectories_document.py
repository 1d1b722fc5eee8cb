"""Trajectories as JSON: everything that was measured, for programs."""

import math
from collections.abc import Mapping
from typing import Any

from tetrapla.parity.drift import Curve
from tetrapla.parity.trajectories import Paths, Trajectories, growth, together


def document(found: Trajectories, date: str, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return what was measured as plain values; what is no number is None."""
    return {
        "date": date,
        "versions": dict(versions),
        "steps": list(found.at),
        "settings": [_setting(p, found) for p in found.paths],
    }


def _setting(paths: Paths, found: Trajectories) -> dict[str, Any]:
    until = together(paths, found.at)
    return {
        "name": paths.setting.name,
        "lr": paths.setting.lr,
        "sharpness": [_number(s) for s in paths.sharpness],
        "lr_times_sharpness": _number(paths.reach),
        "small_until": until,
        "curves": [_curve(c, found, until) for c in paths.curves],
        "accuracies": [
            {"backend": name, "dtype": dtype, "accuracy": accuracy}
            for (name, dtype), accuracy in paths.accuracies.items()
        ],
    }


def _curve(c: Curve, found: Trajectories, until: int) -> dict[str, Any]:
    return {
        "dtype": c.dtype,
        "left": c.left,
        "right": c.right,
        "growth": _number(growth(c, found.at)),
        "growth_together": _number(growth(c, found.at, until)),
        "distances": [_number(d) for d in c.distances],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
