"""What `import tetrapla` and `tetrapla --help` cost, in one run.

Fresh interpreters, in alternation; the time of an empty interpreter is
subtracted. Prints medians, and the ratio to `import numpy`, of which the
project promises at most 1.3 for `import tetrapla`; for `tetrapla --help` it
promises 150 ms.
"""

import statistics
import subprocess
import sys
import time

HELP = "import sys; sys.argv = ['tetrapla', '--help']; import tetrapla.cli as c; "
STATEMENTS = {
    "nothing": "pass",
    "import numpy": "import numpy",
    "import tetrapla": "import tetrapla",
    "import tetrapla, first use of the spec": "import tetrapla; tetrapla.Dense",
    "import tetrapla, load numpy": "import tetrapla; tetrapla.load('numpy')",
    "tetrapla --help": f"{HELP}c.main()",
}
ROUNDS = 15


def seconds(statement: str) -> float:
    """Return the wall time of a fresh interpreter that runs the statement."""
    start = time.perf_counter()
    command = [sys.executable, "-c", statement]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
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
