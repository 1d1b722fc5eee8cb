"""The process of one framework: its contest, as JSON on the standard output."""

import json
import sys
from dataclasses import replace
from importlib import import_module

from tetrapla.benchmarks import problems
from tetrapla.benchmarks.contest import contest


def main(framework: str, problem: str, repeats: str, quick: str) -> None:
    asked: problems.Problem = getattr(problems, problem.upper())
    if quick == "quick":
        asked = replace(asked, epochs=min(asked.epochs, 5), passes=50, compiled=False)
    module = import_module(f"tetrapla.benchmarks.of_{framework}")
    results = contest(module.contestants(asked), int(repeats))
    print(json.dumps([result.data() for result in results]))


if __name__ == "__main__":
    main(*sys.argv[1:])
