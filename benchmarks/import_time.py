"""What `import tetrapla` costs, beside `import numpy`, as ratios in one run.

Fresh interpreters, in alternation; the time of an empty interpreter is
subtracted. Prints medians, and the ratio that the project promises to keep
at or below 1.3.
"""

import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "nothing": "pass",
    "import numpy": "import numpy",
    "import tetrapla": "import tetrapla",
    "import tetrapla, first use of the spec": "import tetrapla; tetrapla.Dense",
    "import tetrapla, load numpy": "import tetrapla; tetrapla.load('numpy')",
}
ROUNDS = 15


def seconds(statement: str) -> float:
    """Return the wall time of a fresh interpreter that runs the statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    median = {name: statistics.median(values) for name, values in times.items()}
    empty = median["nothing"]
    numpy = median["import numpy"] - empty
    version = sys.version.split()[0]
    print(f"Python {version}, {ROUNDS} rounds, empty interpreter {empty:.3f} s")
    for name in list(STATEMENTS)[1:]:
        cost = median[name] - empty
        print(f"{name:42} {cost * 1e3:7.1f} ms  {cost / numpy:5.2f} x import numpy")


if __name__ == "__main__":
    main()
