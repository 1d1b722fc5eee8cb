"""Random cases by the thousand: false alarms, and how much of each bound is used.

    python benchmarks/soak.py --backends numpy,torch --dtype float32 --count 10000

A correct backend has no failure. Case i of a seed is the same everywhere, so a
failure is repeated by `tetrapla.parity.soak.case(seed, i, dtype)`.
"""

import argparse
import time

from tetrapla.backends import available, load
from tetrapla.parity.comparison import str_of
from tetrapla.parity.engine import Verdict
from tetrapla.parity.soak import Tally, soak
from tetrapla.spec.precisions import PRECISIONS

EVERY = 30.0  # seconds between two lines of progress


class Progress(Tally):
    """A tally that says from time to time how far it is, and when to stop."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.start = self.last = time.perf_counter()
        self.seconds = seconds

    def __call__(self, v: Verdict) -> None:
        super().__call__(v)
        now = time.perf_counter()
        if now - self.last > EVERY:
            print(f"  {self.cases} cases in {now - self.start:.0f} s", flush=True)
            self.last = now
        if now - self.start > self.seconds:
            raise TimeoutError


def one_backend(name: str, dtype: str, count: int, seed: int, seconds: float) -> int:
    """Soak one backend; print its failures and a table; return how many failed."""
    backend = load(name, dtype=dtype)
    print(f"{name} {dtype}, seed {seed}", flush=True)
    tally, failures = Progress(seconds), 0
    try:
        for v in soak(backend, count, seed, tally):
            failures += 1
            what = str_of(v.first) if v.first else v.message
            print(f"  {v.case}: {what}", flush=True)
    except TimeoutError:
        print(f"  {seconds:.0f} s are over", flush=True)
    table(tally)
    print(f"{name} {dtype}: {tally.cases} cases, {failures} failures\n", flush=True)
    return failures


def table(tally: Tally) -> None:
    """Print the cases, and the shares of the bounds that were used."""
    head = f"{'component':26} {'cases':>6} {'failed':>6} {'numbers':>8} {'unclaimed':>9}"
    print(f"{head} {'worst':>7} {'median':>8}  worst at")
    for name, row in sorted(tally.rows.items()):
        unclaimed = row.unclaimed / max(1, row.elements)
        print(
            f"{name:26} {row.cases:6} {row.failures:6} {row.elements:8} "
            f"{unclaimed:9.2%} {row.worst:7.3g} {row.median:8.2g}  {row.worst_at}"
        )


def main() -> None:
    """Read the command line and soak each backend in each dtype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default=",".join(available()))
    parser.add_argument("--dtype", default=",".join(PRECISIONS))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="per backend")
    given = parser.parse_args()
    failures = 0
    for name in given.backends.split(","):
        for dtype in given.dtype.split(","):
            failures += one_backend(name, dtype, given.count, given.seed, given.seconds)
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
