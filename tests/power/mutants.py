"""Mutation testing: every small change of an implementation must be noticed.

    make mutants
    PYTHONPATH=tests python -m power.mutants --implementation numpy

cosmic-ray's operators change one thing at a time (an operator, a comparison,
a number, a condition); the parity suite runs until a case fails. A mutant
that survives is either equivalent, with a reason in equivalent.toml, or a
gap. Results are kept in a file and taken up again: delete it when the suite
has changed. Prints the survivors and the score; exits with 1 if there is a
survivor without a reason.
"""

import argparse
import ast
import json
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from power.plant import IMPLEMENTATIONS, IMPLS, load
from power.score import REACH, forget

from tetrapla.parity import verification
from tetrapla.parity.engine import verdict
from tetrapla.parity.suite import cases
from tetrapla.spec import threefry

HERE = Path(__file__).parent
FILES = tuple(name for name in REACH if name != "backend.py")
THRESHOLDS = [n + more for n in threefry.ROUNDS[1:] for more in (0, 1)]
SECONDS = 120  # a mutant that takes longer loops for ever: it is noticed

_BINARY = {
    "Add": ("Sub", "Mul"),
    "Sub": ("Add", "Div"),
    "Mul": ("Div", "Add"),
    "Div": ("Mul", "Sub"),
    "Pow": ("Mul", "Div"),
    "FloorDiv": ("Mul",),
    "Mod": ("Add",),
    "RShift": ("LShift",),
    "LShift": ("RShift",),
    "BitAnd": ("BitOr",),
    "BitOr": ("BitAnd",),
    "BitXor": ("BitAnd", "BitOr"),
}
# The negation, the boundary, and the other side.
_COMPARISONS = {
    "Eq": ("NotEq",),
    "NotEq": ("Eq",),
    "Lt": ("LtE", "Gt"),
    "LtE": ("Lt", "Gt"),
    "Gt": ("GtE", "Lt"),
    "GtE": ("Gt", "Lt"),
    "Is": ("IsNot",),
    "IsNot": ("Is",),
}
OPERATORS = (
    *(f"ReplaceBinaryOperator_{a}_{b}" for a, others in _BINARY.items() for b in others),
    *(
        f"ReplaceComparisonOperator_{a}_{b}"
        for a, others in _COMPARISONS.items()
        for b in others
    ),
    *(f"ReplaceUnaryOperator_Delete_{a}" for a in ("Not", "USub", "Invert")),
    "ReplaceUnaryOperator_USub_UAdd",
    "AddNot",
    "NumberReplacer",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ZeroIterationForLoop",
    "RemoveDecorator",
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    implementation: str
    file: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str
    nth: int  # of the file's mutants with the same lines before and after

    @property
    def text(self) -> tuple[str, str, str, str]:
        """What stays the same when lines move; `nth` tells its twins apart."""
        return self.implementation, self.file, self.before, self.after


def mutants(implementation: str, file: str) -> Iterator[tuple[Mutant, str]]:
    """Yield every mutant of a file, with its text; each text once."""
    code = (IMPLS / implementation / file).read_text("utf-8")
    seen = {ast.dump(ast.parse(code))}
    twins: Counter[tuple[int | str, ...]] = Counter()
    for name in OPERATORS:
        with suppress(KeyError):
            operator: Any = get_operator(f"core/{name}")
            positions = _positions(operator, code)
            for occurrence in range(positions):
                text = mutate_code(code, operator(), occurrence)
                if text is None:
                    continue
                with suppress(SyntaxError):
                    meaning = ast.dump(ast.parse(text))
                    if meaning not in seen:
                        seen.add(meaning)
                        where = _changed(code, text)
                        nth = twins[where[1:]]
                        twins[where[1:]] += 1
                        place = implementation, file, name, occurrence
                        yield Mutant(*place, *where, nth), text


def _positions(operator: Any, code: str) -> int:
    tree = parso.parse(code)
    pending, count = [tree], 0
    while pending:
        node = pending.pop()
        count += sum(1 for _ in operator().mutation_positions(node))
        pending += getattr(node, "children", [])
    return count


def _changed(code: str, text: str) -> tuple[int, str, str]:
    old, new = code.splitlines(), text.splitlines()
    for i, (a, b) in enumerate(zip(old, new, strict=False)):
        if a != b and len(old) == len(new):
            return i + 1, a.strip(), b.strip()
        if a != b:  # a decorator is gone: the next one that was there
            gone = next(line for line in old[i:] if line.strip().startswith("@"))
            return old.index(gone, i) + 1, gone.strip(), "(removed)"
    return len(old), "", ""


def outcome(mutant: Mutant, text: str) -> str:
    """Return where the mutant was noticed, or "survived"."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    verification.forget()
    try:
        module = load(mutant.implementation, {mutant.file: text})
        backends = [module.backend(dtype) for dtype in ("float64", "float32")]
        for case in cases():
            if case.id.startswith(REACH[mutant.file]):
                for backend in backends:
                    if backend.dtype in case.dtypes:
                        v = verdict(case, backend)
                        if v.failed:
                            return f"{v.case} {v.dtype}"
        if mutant.file == "random.py":
            return _misdrawn(text) or "survived"
    except TimeoutError:
        return "too long"
    except Exception as error:  # it does not even load
        return f"{type(error).__name__} when loaded"
    finally:
        signal.alarm(0)
        forget(mutant.implementation)
    return "survived"


def _misdrawn(text: str) -> str:
    """Say what differs of that which no backend draws from a random.py."""
    module: dict[str, Any] = {}
    exec(text, module)
    for seed in range(3):
        key, theirs = threefry.key(seed), module["key"](seed)
        if not np.array_equal(module["split"](theirs), threefry.split(key)):
            return "split"
        for n in (0, 1, 2, *THRESHOLDS[: None if seed == 0 else 2]):
            order = np.asarray(module["permutation"](theirs, n))
            if not np.array_equal(order, threefry.permutation(key, n)):
                return f"permutation of {n}"
    draw = module["bits"]
    module["bits"] = lambda key, shape: draw(key, shape) & 3  # ties
    order = list(range(1000))
    words = np.bitwise_xor(*threefry.words(threefry.split(threefry.key(0))[1], 1000)) & 3
    order.sort(key=words.__getitem__)
    if not np.array_equal(np.asarray(module["permutation"](module["key"](0), 1000)), order):
        return "the order of equal words"
    return ""


def _too_long(*_: Any) -> None:
    raise TimeoutError


@cache
def equivalent() -> Counter[tuple[str, ...]]:
    """Return the mutants that are equivalent for a reason, twins counted."""
    entries = tomllib.loads((HERE / "equivalent.toml").read_text("utf-8"))["equivalent"]
    return Counter(tuple(mutant) for entry in entries for mutant in entry["mutants"])


def main() -> int:
    """Run the mutants that have no result yet, and print the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--implementation", default="numpy", choices=IMPLEMENTATIONS)
    parser.add_argument("--file", default=",".join(FILES))
    parser.add_argument("--results", type=Path, default=Path("build/mutants.jsonl"))
    args = parser.parse_args()
    args.results.parent.mkdir(exist_ok=True)
    done = _read(args.results)
    found: list[tuple[Mutant, str]] = []
    with args.results.open("a") as log:
        for file in args.file.split(","):
            for mutant, text in mutants(args.implementation, file):
                key = (*mutant.text, mutant.nth)
                what = done.get(key) or outcome(mutant, text)
                if key not in done:
                    log.write(json.dumps(asdict(mutant) | {"outcome": what}) + "\n")
                    log.flush()
                found.append((mutant, what))
    return _print(found)


def _read(path: Path) -> dict[tuple[str | int, ...], str]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        (r["implementation"], r["file"], r["before"], r["after"], r["nth"]): r["outcome"]
        for r in rows
    }


def _print(found: list[tuple[Mutant, str]]) -> int:
    survivors = [m for m, what in found if what == "survived"]
    gaps = [m for m in survivors if m.nth >= equivalent()[m.text]]
    for m in gaps:
        print(f"SURVIVED {m.implementation}/{m.file}:{m.line} {m.operator}")
        print(f"  - {m.before}\n  + {m.after}")
    killed = len(found) - len(survivors)
    equal = len(survivors) - len(gaps)
    print(
        f"{len(found)} mutants: {killed} noticed, {equal} equivalent with a reason, "
        f"{len(gaps)} survived"
    )
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
