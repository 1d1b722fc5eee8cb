"""Memory: verifying a network of 20 million parameters, above the backend's own.

    python benchmarks/memory.py [--backend numpy] [--dtype float64]

Prints the peak of a process that only asks the backend (trace, forward,
gradients), and of one that verifies every stage of the same.
"""

import argparse
import resource
import subprocess
import sys

import tetrapla as tp
from tetrapla.parity.cases import NetworkCase
from tetrapla.parity.engine import examine

LIMIT = 2.0  # GiB


def case(layers: int = 5, width: int = 2000, batch: int = 32) -> NetworkCase:
    """Return the case: five layers of four million weights each."""
    net = tp.Sequential(*(tp.Dense(width, width, "tanh") for _ in range(layers)))
    loss = tp.MeanSquaredError()
    return NetworkCase("memory/20M", "memory", net, loss, batch=batch)


def ask(large: NetworkCase, backend: tp.backends.Backend) -> object:
    """Return all that the backend is asked for, so that it stays in memory."""
    x, y = large.data
    given = (large.net, large.weights, x, y, large.loss)
    forward = backend.forward(large.net, large.weights, x)
    return backend.trace(*given), forward, backend.loss_and_gradients(*given)


def peak() -> float:
    """Return the largest resident size so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def above(backend: str, dtype: str) -> tuple[float, float]:
    """Return the peaks of asking and of verifying, each in a process of its own."""
    peaks = []
    for what in ("ask", "examine"):
        command = [sys.executable, __file__, what, "--backend", backend, "--dtype", dtype]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout))
    return peaks[0], peaks[1]


def main() -> int:
    """Print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["ask", "examine"])
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--dtype", default="float64")
    args = parser.parse_args()
    if args.what is None:
        own, whole = above(args.backend, args.dtype)
        print(f"{args.backend} {args.dtype}: {own:.2f} GiB asked, {whole:.2f} GiB verified")
        print(f"above the backend's own: {whole - own:.2f} GiB (limit {LIMIT})")
        return 0 if whole - own < LIMIT else 1
    large, backend = case(), tp.load(args.backend, dtype=args.dtype)
    if args.what == "ask":
        ask(large, backend)
    elif not all(c.agrees for c in examine(large, backend)):
        return 1
    print(peak())
    return 0


if __name__ == "__main__":
    sys.exit(main())
