"""How much of their bounds correct implementations use, by kind of stage.

    tetrapla parity --json report.json
    python benchmarks/tightness.py report.json

Per kind and dtype, over all tensors of all backends: the worst element, the
worst element of the median tensor, and the median element of the median
tensor. docs/theory.md has the table.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

KINDS = {
    r"fit at once\..*|build\..*|fit\.(steps|t)|t|\d+\.mask": "",  # exact
    r"fit\.loss|history\..*": "carried through an epoch of fit: losses",
    r"fit\.\d+\.(weight|bias)": "carried through an epoch of fit: weights",
    r"fit\..*": "carried through an epoch of fit: optimizer state",
    r"forward": "carried through a pass: outputs",
    r"loss_and_gradients\..*": "carried through a pass: gradients",
    r".*/.*": "optimizer: state",
    r"\d+\.(weight|bias)": "optimizer: update",
    r"\d+\.z": "z = x W + b",
    r"a|\d+\.a": "a = g(z)",
    r"loss": "loss",
    r"gradient": "gradient of the loss",
    r"dz|\d+\.dz": "dz = g'(z) da",
    r"\d+\.weight\.grad": "dW = x^T dz",
    r"\d+\.bias\.grad": "db = sum dz",
    r"\d+\.da|input\.grad": "da = dz W^T",
}
DIFFERENCES = "centred differences"
DTYPES = ("float32", "float64")


def kind(component: str, tensor: str) -> str:
    """Return the kind of stage of a tensor, or "" for what is exact."""
    if component.endswith("differences"):
        return DIFFERENCES
    return next(name for form, name in KINDS.items() if re.fullmatch(form, tensor))


def main() -> None:
    """Print the table of a report."""
    report = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for verdict in report["verdicts"]:
        for c in verdict["comparisons"]:
            place = kind(verdict["component"], c["tensor"]), verdict["dtype"]
            found[place].append((float(c["fraction"]), float(c["median"])))
    print(f"| {'stage':48} | float32            | float64            |")
    for name in filter(None, [*KINDS.values(), DIFFERENCES]):
        cells = [_cell(found.get((name, dtype), [])) for dtype in DTYPES]
        print(f"| {name:48} | {cells[0]:18} | {cells[1]:18} |")


def _cell(used: list[tuple[float, float]]) -> str:
    if not used:
        return ""
    worst, medians = zip(*used, strict=True)
    return f"{max(worst):.2g}, {median(worst):.2g}, {median(medians):.2g}"


if __name__ == "__main__":
    main()
