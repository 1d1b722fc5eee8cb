"""The engine's power: plant every fault, and see whether it is caught and named.

    make power
    PYTHONPATH=tests python -m power.score --implementations numpy --faults 'adam-*'

For each fault and implementation the suite runs, from primitives to whole
runs, until a case fails. A fault is *caught* if one does, and *named* if the
first failure is in the component and tensor that the fault's table gives.
Prints what was missed or misnamed and the score; exits with 1 if anything was.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from power.plant import IMPLEMENTATIONS, Fault, faults, plant

from tetrapla.parity import verification
from tetrapla.parity.cases import Case
from tetrapla.parity.engine import Verdict, judged, verdict
from tetrapla.parity.suite import cases

# Which cases a file can change: the others need not run.
REACH = {
    "activations.py": ("activation/", "loss/", "layer/", "network/", "training/"),
    "losses.py": ("loss/", "layer/", "network/", "training/"),
    "layers.py": ("loss/", "layer/", "network/", "training/"),
    "random.py": ("layer/", "network/", "training/"),
    "optimizers.py": ("optimizer/", "training/"),
    "training.py": ("loss/", "layer/", "network/", "training/"),
    "fast.py": ("training/",),
    "backend.py": ("",),
}


@dataclass(frozen=True)
class Score:
    """What became of a fault in an implementation."""

    fault: Fault
    implementation: str
    first: Verdict | None  # the first that failed

    @property
    def caught(self) -> bool:
        """Whether anything failed."""
        return self.first is not None

    @property
    def named(self) -> bool:
        """Whether the first failure is where the fault is."""
        if self.first is None:
            return False
        if self.first.first is None:  # it raised: the component must do
            return _matches(self.first.component, self.fault.component)
        return _matches(self.first.component, self.fault.component) and _matches(
            self.first.first.tensor, self.fault.stage
        )

    @property
    def caused(self) -> bool:
        """Whether the cause is right: another formula, or an unstable form."""
        wanted = "formula" if self.fault.kind == "semantics" else "unstable"
        return self.first is not None and wanted in self.first.cause


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def score(fault: Fault, implementation: str) -> Score:
    """Return what becomes of the fault."""
    reach = {g for change in fault.patches[implementation] for g in REACH[change.file]}
    verification.forget()  # a fault may write to what is kept
    backends = [plant(fault, implementation, dtype) for dtype in ("float64", "float32")]
    for case in cases():
        if case.id.startswith(tuple(reach)):
            for v in _both(case, backends):
                if v.failed:
                    return Score(fault, implementation, v)
    return Score(fault, implementation, None)


def _both(case: Case, backends: list) -> list[Verdict]:
    found = {b.dtype: verdict(case, b) for b in backends if b.dtype in case.dtypes}
    return judged(found.get("float64"), found.get("float32"))


def scores(implementations: list[str], pattern: str) -> Iterator[Score]:
    """Yield the score of every fault that matches, where it can be planted."""
    for implementation in implementations:
        for fault in faults():
            planted = implementation in fault.patches
            if planted and fnmatchcase(fault.name, pattern):
                yield score(fault, implementation)
                forget(implementation)


def forget(implementation: str) -> None:
    """Drop what the framework compiled for a planted copy."""
    if implementation == "jax":
        import jax

        jax.clear_caches()


def line(s: Score) -> str:
    """Return one line for people."""
    where = f"{s.implementation} {s.fault.name}"
    if s.first is None:
        return f"MISSED   {where}: {s.fault.what}"
    tensor = s.first.message if s.first.first is None else s.first.first.place
    found = f"{s.first.case} ({s.first.dtype}) {tensor}: {s.first.cause}"
    mark = "ok      " if s.named and s.caused else "CAUSE   " if s.named else "MISNAMED"
    return f"{mark} {where}: {found}"


def main() -> int:
    """Print the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--implementations", default=",".join(IMPLEMENTATIONS))
    parser.add_argument("--faults", default="*", help="a pattern of their names")
    parser.add_argument("--all", action="store_true", help="print the good ones too")
    args = parser.parse_args()
    found = []
    for s in scores(args.implementations.split(","), args.faults):
        found.append(s)
        if args.all or not (s.named and s.caused):
            print(line(s), flush=True)
    caught, named = sum(s.caught for s in found), sum(s.named for s in found)
    caused = sum(s.caused for s in found)
    kinds = len({s.fault.name for s in found})
    print(
        f"{len(found)} planted faults of {kinds} kinds: {caught} caught, "
        f"{named} with the right stage named first, {caused} with the right cause"
    )
    return 0 if caught == named == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
