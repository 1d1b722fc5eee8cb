"""Kill runs at random moments, go on, and compare with a run never killed.

    python benchmarks/kills.py --backend numpy --kills 100

Each round begins a run with checkpoints in a process of its own, or goes on
with it, and kills it with SIGKILL after a random time, until it ends by
itself; then another run begins, until there were enough kills. It checks
that

* after each kill no step is lost but those since the last checkpoint: every
  `--every`-th step that the run had reported is in the folder;
* every run that was killed ends, to the bit, where one ends that was never
  killed: weights, optimizer state, best weights, history, counts.

Exit code 1 and the moment, if one of these is ever false.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

import tetrapla as tp
from tetrapla.spec import TrainingState

EPOCHS = 6
NET = tp.Sequential(tp.Dense(16, 32, "relu"), tp.Dropout(0.3), tp.Dense(32, 4))


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return 400 examples of four classes."""
    key = tp.threefry.key(5)
    x = tp.threefry.uniform(key, (400, 16)) - np.float32(0.5)
    return x, np.argmax(x[:, :4] + x[:, 4:8], axis=1)


def run(
    backend: str, folder: str | None, every: int | None, out: int | None
) -> TrainingState:
    """Train, or go on from the folder's newest checkpoint; report every step."""
    b = tp.load(backend)
    keras = backend == "tf.keras"
    training = tp.Training(
        EPOCHS,
        16,
        tp.Adam.keras(1e-2) if keras else tp.Adam(1e-2),
        "softmax_cross_entropy",
        schedule=tp.Warmup(20, tp.CosineDecay(120)),
        l2=1e-4,
        metrics=["accuracy"],
        early_stopping=tp.EarlyStopping(EPOCHS),
    )
    x, y = data()
    kept = None if folder is None else tp.Checkpoints(folder, every=every)
    found = b.fit(
        NET,
        NET.init(0),
        (x[:340], y[:340]),
        training,
        validation=(x[340:], y[340:]),
        checkpoints=kept,
        resume=None if kept is None else kept.latest(),
        on_step=None if out is None else lambda r: tell(out, r.step + 1),
    )
    return found.state


def tell(out: int, steps: int) -> None:
    """Report how many steps are done, in one write: whole or not at all."""
    os.write(out, f"{steps}\n".encode())


def differences(a: TrainingState, b: TrainingState) -> list[str]:
    """Return the names of what is not the same, to the bit."""
    found = []
    for field in fields(TrainingState):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if field.name == "data":  # taken only where there are checkpoints
            continue
        if isinstance(one, dict) and field.name != "history":
            same = list(one) == list(other) and all(
                one[n].tobytes() == other[n].tobytes() for n in one
            )
        else:
            same = one == other
        if not same:
            found.append(field.name)
    return found


@dataclass
class Count:
    """What has been seen so far."""

    kills: int = 0
    runs: int = 0
    first: int = 0  # kills before the first checkpoint
    inside: int = 0  # kills that left a half-written temporary file


def child(backend: str, folder: Path, every: int) -> subprocess.Popen[bytes]:
    """Start a process that begins the run, or goes on with it."""
    command = [sys.executable, __file__, "--backend", backend, "--every", str(every)]
    return subprocess.Popen(
        [*command, "--child", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def killed_run(
    backend: str, every: int, expected: TrainingState, count: Count, kills: int
) -> str:
    """Begin a run and kill it until it ends; return what is wrong, or ""."""
    draw = random.Random(count.runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while True:
            with child(backend, folder, every) as process:
                assert process.stdout is not None
                started = draw.random() < 0.9  # or killed while it starts
                began = process.stdout.readline() if started else b""
                if count.kills < kills:
                    time.sleep(draw.random() * 0.4)
                    process.send_signal(signal.SIGKILL)
                reported = (began + process.stdout.read()).split(b"\n")[:-1]
            ended = process.returncode == 0
            if not ended and process.returncode != -signal.SIGKILL:
                return f"a run failed by itself, exit code {process.returncode}"
            steps = int(reported[-1]) if reported else 0
            if not ended:
                count.kills += 1
                count.inside += any(folder.glob(".step-*.tmp"))
            last = tp.Checkpoints(folder).latest()
            count.first += last is None
            there = 0 if last is None else last.state.step
            if there < steps // every * every:
                return f"killed after {steps} steps: the last checkpoint is of {there}"
            if ended:
                count.runs += 1
                assert last is not None
                wrong = differences(last.state, expected)
                return f"another end: {', '.join(wrong)}" if wrong else ""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--every", type=int, default=3, help="steps between checkpoints")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        run(asked.backend, asked.child, asked.every, sys.stdout.fileno())
        return 0
    expected, count = run(asked.backend, None, None, None), Count()
    while count.kills < asked.kills:
        wrong = killed_run(asked.backend, asked.every, expected, count, asked.kills)
        if wrong:
            print(f"{asked.backend}, after {count.kills} kills: {wrong}")
            return 1
    print(
        f"{asked.backend}: {count.kills} kills in {count.runs} runs, {count.inside} of "
        f"them while a checkpoint was being written, {count.first} before the first; "
        f"every run ended at step {expected.step} as if never killed, to the bit"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
