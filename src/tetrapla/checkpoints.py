"""Checkpoints: a run's state on the disk, so that a killed run goes on.

A folder holds the last few states of one run, a safetensors file each,
`step-000000001234.safetensors`, named by the steps done. A file holds all
that it takes to go on, in any backend: see docs/checkpoints.md. It is
written whole or not at all, and carries a digest of all it holds, so that a
file that was damaged later is refused and the one before it is used.

    kept = tp.Checkpoints("runs/digits", every=100)
    run = b.fit(net, weights, data, training, checkpoints=kept, resume=kept.latest())

starts the run, or goes on with it where it was killed: with the same
settings and backend, to the bit as if nothing had happened.
"""

import hashlib
import json
import math
import os
import re
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetrapla.archives import NewerFormatError, check_seal, opened, packed
from tetrapla.files import write_atomically
from tetrapla.spec import checks, threefry
from tetrapla.spec.config import from_config, to_config
from tetrapla.spec.contract import Arrays, Data
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.layers import Sequential
from tetrapla.spec.reports import Saving
from tetrapla.spec.state import TrainingState
from tetrapla.spec.training import Training

FORMAT = 1  # counts up when older versions could no longer read the file

NAME = re.compile(r"step-(\d{12})\.safetensors")
COUNTS = ("epoch", "step", "waited", "position")
SUMS = ("best_loss", "loss_sum")  # as arrays: JSON has no inf, and no NaN
CHUNK = 2**20  # elements that are fingerprinted at a time
PAUSE = 0.05  # seconds between `keep` files
LARGE = 2**20  # numbers in a state: one at a time is in memory


@dataclass(frozen=True)
class Checkpoint:
    """A state, and what the run is that it is of.

    `about` says what wrote it: "backend", "device", "dtype", "versions"; and
    what its owner added.
    """

    state: TrainingState
    net: Sequential
    training: Training
    about: Mapping[str, Any] = field(default_factory=dict)

    def of(self, net: Sequential) -> TrainingState:
        """Return the state, if it is one of this network."""
        if net != self.net:
            raise InvalidInputError(f"the run to resume trained {self.net}, not {net}")
        return self.state


class Checkpoints:
    """The last states of one run, in a folder.

    Parameters
    ----------
    folder
        Made when the first is written.
    every
        Steps between two; None: at the end of every epoch alone. (Epochs'
        ends count in any case.) Where they come faster than files can be
        written, those that `keep` newer ones overtake are left out.
    keep
        How many are kept: the newest ones.
    about
        JSON data of your own to keep with them.

    Raises
    ------
    InvalidInputError
        If a number is out of its range, or `about` is not JSON.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every: int | None = None,
        keep: int = 3,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            self.folder = Path(folder)
        except TypeError:
            raise InvalidInputError(f"folder must be a path, got {folder!r}") from None
        self.every = None if every is None else checks.integer("every", every, 1)
        self.keep = checks.integer("keep", keep, 1)
        try:
            self.about = json.loads(json.dumps(dict(about or {})))
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"about must be JSON data: {error}") from None

    def paths(self) -> list[Path]:
        """Return the files, oldest first."""
        there = self.folder.iterdir() if self.folder.is_dir() else []
        return sorted(p for p in there if NAME.fullmatch(p.name) and p.is_file())

    def latest(self) -> Checkpoint | None:
        """Return the newest one that is undamaged; None where there is none yet.

        Warns of every damaged one that it passes over.

        Raises
        ------
        InvalidInputError
            If there are files and all are damaged, or the newest of them was
            written by a newer version of tetrapla.
        """
        refused: dict[Path, str] = {}
        while left := [path for path in self.paths() if path not in refused]:
            try:
                return _read(left[-1])
            except FileNotFoundError:
                continue  # another process has just written a newer one
            except NewerFormatError:
                raise
            except (InvalidInputError, OSError) as error:
                refused[left[-1]] = str(error)
                warnings.warn(f"passed over: {error}", stacklevel=2)
        if refused:
            raise InvalidInputError(
                f"{self.folder} has no checkpoint that can be read: "
                f"{'; '.join(refused.values())}"
            )
        return None

    @contextmanager
    def writing(
        self,
        net: Sequential,
        training: Training,
        start: TrainingState,
        about: Mapping[str, Any],
    ) -> Iterator[Saving]:
        """Hold the folder for a run that goes on from `start`.

        While it is held, a first Ctrl-C waits for the end of the step and
        its checkpoint; a second one does not.

        Raises
        ------
        InvalidInputError
            If the folder holds another run, or another run is writing to it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder):
            self._tidy(start)

            def written(state: TrainingState) -> None:
                described = {**self.about, **about}
                write(self._path(state), Checkpoint(state, net, training, described))
                for path in self.paths()[: -self.keep]:
                    path.unlink()

            # A thread waits for the disk while the run goes on.
            with _interruptions() as interrupted, ThreadPoolExecutor(1) as thread:
                writer = _Writer(thread, written, self.keep)
                try:
                    every, keep = self.every, self.keep
                    yield Saving(writer.save, every, interrupted, writer.wait, keep)
                finally:
                    writer.wait()

    def _path(self, state: TrainingState) -> Path:
        return self.folder / f"step-{state.step:012d}.safetensors"

    def _tidy(self, start: TrainingState) -> None:
        """Refuse a folder of another run; put what was left broken aside."""
        for path in reversed(self.paths()):
            try:
                last = _read(path).state
            except NewerFormatError:
                raise
            except InvalidInputError:
                path.rename(path.with_name(f"{path.name}.damaged"))
                continue
            if last.step == start.step:
                if not _same_weights(last.weights, start.weights):
                    raise InvalidInputError(
                        f"{self.folder} holds the checkpoints of another run, at the same "
                        f"step {last.step}: choose another folder"
                    )
                break
            how = "resume it" if start.step == 0 else f"resume from its step {last.step}"
            raise InvalidInputError(
                f"{self.folder} holds the checkpoints of a run, up to step {last.step}, "
                f"and this run starts at step {start.step}: {how}, or choose another folder"
            )
        for path in self.folder.glob(".step-*.tmp"):  # of a run that was killed
            path.unlink()


class _Writer:
    """Writes states in a thread, in their order.

    Of those that wait for the disk only the newest `keep` are written: the
    others would not be kept. After each it pauses, unless somebody waits, so
    that a run of short epochs is not kept busy by files that are soon removed:
    `keep` of them take PAUSE and what writing takes, and what is on the disk
    is behind by no more. A large one waits for all before it.
    """

    def __init__(
        self, thread: ThreadPoolExecutor, write: Callable[[TrainingState], None], keep: int
    ) -> None:
        self.thread, self.write, self.pause = thread, write, PAUSE / keep
        self.lock = threading.Lock()
        self.waiting: deque[TrainingState] = deque(maxlen=keep)
        self.under_way: deque[Future[None]] = deque()
        self.hurry = threading.Event()
        self.written = -math.inf  # when the last one was

    def save(self, state: TrainingState) -> None:
        """Have a state written; raises what went wrong with those before."""
        numbers = sum(a.size for a in (*state.weights.values(), *state.optimizer.values()))
        if numbers > LARGE:
            self.wait()
        while self.under_way and self.under_way[0].done():
            self.under_way.popleft().result()
        with self.lock:
            if self.waiting and self.waiting[-1].step == state.step:
                self.waiting.pop()  # it has the same file
            self.waiting.append(state)
        self.under_way.append(self.thread.submit(self._write_next))

    def wait(self) -> None:
        """Wait until all are written."""
        self.hurry.set()
        while self.under_way:
            self.under_way.popleft().result()
        self.hurry.clear()

    def _write_next(self) -> None:
        self.hurry.wait(max(0.0, self.written + self.pause - time.monotonic()))
        with self.lock:
            state = self.waiting.popleft() if self.waiting else None
        if state is not None:  # else a newer one took its place
            self.write(state)
            self.written = time.monotonic()


def _read(path: Path) -> Checkpoint:
    """Return the checkpoint that is what the file's name says."""
    found = read(path)
    if path.name != f"step-{found.state.step:012d}.safetensors":
        raise InvalidInputError(f"{path}: it is of step {found.state.step}")
    return found


def _same_weights(one: Arrays, other: Arrays) -> bool:
    """Return whether these are the same, but for the dtype that a run goes on in."""
    return list(one) == list(other) and all(
        np.array_equal(one[n].astype(w.dtype), w, equal_nan=True) for n, w in other.items()
    )


def write(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint to a file, whole or not at all."""
    state = checkpoint.state
    training = checkpoint.training
    arrays = {f"weights/{name}": w for name, w in state.weights.items()}
    arrays |= {f"optimizer/{name}": a for name, a in state.optimizer.items()}
    arrays |= {f"best/{name}": w for name, w in (state.best or {}).items()}
    arrays |= {f"history/{name}": np.array(row) for name, row in state.history.items()}
    arrays |= {name: np.array(getattr(state, name)) for name in SUMS}
    arrays["key"] = threefry.key(training.seed)
    if state.order is not None:
        arrays["order"] = state.order
    about: dict[str, Any] = {
        "network": to_config(checkpoint.net),
        "training": to_config(training),
        "loss": None if state.loss is None else to_config(state.loss),
        "data": state.data,
        "history": list(state.history),
        "about": dict(checkpoint.about),
        **{name: getattr(state, name) for name in COUNTS},
    }
    write_atomically(path, packed(arrays, about, FORMAT, sealed=True))


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint that `write` wrote.

    Raises
    ------
    InvalidInputError
        If the file is damaged, of another kind, or written in a newer
        format; names the file.
    OSError
        If the file is missing or cannot be read.
    """
    with opened(path, FORMAT) as (about, file):
        if "training" not in about:
            raise InvalidInputError("no checkpoint: tetrapla.weights.load reads it")
        arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_seal(arrays, about)
        try:
            return _checkpoint(arrays, about)
        except KeyError as error:
            raise InvalidInputError(f"incomplete: it has no {error}") from None


def _checkpoint(arrays: Arrays, about: dict[str, Any]) -> Checkpoint:
    def group(name: str) -> Arrays:
        start = f"{name}/"
        return {n[len(start) :]: a for n, a in arrays.items() if n.startswith(start)}

    loss = about["loss"]
    net, training = from_config(about["network"]), from_config(about["training"])
    weights, optimizer, best = group("weights"), group("optimizer"), group("best")
    slots = [f"{s}/{name}" for s in training.optimizer.slots for name in net.shapes]
    counts = {name: about[name] for name in COUNTS}
    counts |= {name: float(arrays[name]) for name in SUMS}
    state = TrainingState(
        **counts,
        weights={name: weights[name] for name in net.shapes},
        optimizer={name: optimizer[name] for name in ("t", *slots)},
        history={name: arrays[f"history/{name}"].tolist() for name in about["history"]},
        best={name: best[name] for name in net.shapes} if best else None,
        loss=None if loss is None else from_config(loss),
        order=arrays.get("order"),
        data=about["data"],
    )
    if not np.array_equal(arrays["key"], threefry.key(training.seed)):
        raise InvalidInputError("its key is not that of its seed")
    return Checkpoint(state, net, training, about["about"])


def fingerprints(data: Data, validation: Data | None) -> dict[str, str]:
    """Return a fingerprint of the training and of the validation data."""
    found = {"training": fingerprint(*data)}
    return found if validation is None else found | {"validation": fingerprint(*validation)}


def fingerprint(*given: NDArray[Any]) -> str:
    """Return the SHA-256 of arrays: their shapes, and their values.

    Values are widened to float64, so that data has one fingerprint whatever
    the dtype that holds it.
    """
    digest = hashlib.sha256()
    for array in map(np.asarray, given):
        digest.update(f"{array.shape}".encode())
        rows = max(1, CHUNK // max(1, array[:1].size))
        for i in range(0, len(array), rows):  # a memory map need not fit
            digest.update(np.ascontiguousarray(array[i : i + rows], np.float64).data)
    return digest.hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder: who writes to it is one process, until it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs in one folder go unnoticed
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInputError(
                f"another run is writing its checkpoints to {folder}"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Let a first Ctrl-C only be noted; what was noted is raised at the end.

    Where the user handles the signal, or in another thread than the main
    one, nothing is changed.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    noted = threading.Event()

    def note(number: int, frame: Any) -> None:
        noted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if noted.is_set():
        raise KeyboardInterrupt
