"""The process of one framework: its contest, as JSON on the standard output."""

import json
import sys
from importlib import import_module

from tetrapla.benchmarks.contest import LeftOut, contest
from tetrapla.benchmarks.problems import asked


def main(framework: str, problem: str, repeats: str, quick: str, device: str) -> None:
    module = import_module(f"tetrapla.benchmarks.of_{framework}")
    failed: dict[str, str] = {}
    with module.scope(device):
        every = module.contestants(asked(problem, device, quick == "quick"))
        able = [each for each in every if not isinstance(each, LeftOut)]
        results = list(contest(able, int(repeats), failed))
    left_out = {each.name: each.why for each in every if isinstance(each, LeftOut)}
    rows = [result.data() for result in results]
    print(json.dumps({"results": rows, "left_out": left_out, "failed": failed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
