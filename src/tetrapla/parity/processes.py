"""Run cases on backends by name: each framework in a process of its own.

So the frameworks' Python runs side by side, none meets another's global
state, and one that crashes is the failure of its backends and no others'.
Backends of one framework share a process, and what the oracle expects. Where
there are more cores than frameworks, the cases of the slowest are dealt out
to several processes.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from math import ceil
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from tetrapla.backends import BUILT_IN, Backend, label_of, labelled, of_label
from tetrapla.parity import engine
from tetrapla.parity.cases import Case
from tetrapla.parity.engine import ERROR, Verdict
from tetrapla.parity.pairwise import Pairwise
from tetrapla.parity.suite import cases as suite
from tetrapla.spec import BackendUnavailableError, InvalidInputError

OnVerdict = Callable[[Verdict], None]

# Seconds that the suite takes on a framework, roughly, with nothing compiled
# before. XLA takes most of them, and for a GPU it compiles for longer.
SECONDS = {
    "jax@gpu": 2500,
    "tf@gpu": 1000,
    "jax": 500,
    "tf": 200,
    "torch@gpu": 80,
    "torch": 60,
    "numpy": 20,
}
OTHERS = 60  # of somebody else's backend

# How long the cases of training take, in other cases.
TRAINING = 15
LONGEST = {"training/breast-cancer-whole": 40, "training/digits-adam": 40}

FEWEST = 16  # cases for which importing a framework once more is worth while
MOST = 16  # cores that are used: each process takes memory, on a GPU too

_SPAWN = get_context("spawn")  # a forked framework may hang
_said: Any = None  # in a worker: where it says which verdict it has


class Outcome(NamedTuple):
    """What cases came to on several backends."""

    verdicts: list[Verdict]  # what engine.run yields
    pairwise: Pairwise
    absent: dict[str, str]  # the backends that could not be loaded, and why

    def add(self, other: "Outcome") -> None:
        """Take over what the same cases came to on other backends."""
        self.verdicts.extend(other.verdicts)
        self.pairwise.add(other.pairwise)
        self.absent.update(other.absent)

    def sort(self, cases: Iterable[Case], names: Iterable[str]) -> None:
        """Put all in the order of the cases, then of the backends."""
        ids = [case.id for case in cases]
        place = {name: i for i, name in enumerate([*ids, *names])}
        self.verdicts.sort(key=lambda v: (place[v.case], v.dtype, place[v.backend]))
        self.pairwise.sort(ids)


class Shard(NamedTuple):
    """What one process runs: the backends of one framework, some of the cases."""

    names: Sequence[str]
    ids: Sequence[str]


def run(
    names: Sequence[str],
    dtypes: Sequence[str],
    cases: Sequence[Case],
    on_verdict: OnVerdict = lambda verdict: None,
) -> Outcome:
    """Run cases of the suite on the backends; one alone runs in this process."""
    ids = [case.id for case in cases]
    if len(names) == 1:
        outcome = _judge(names, dtypes, ids, on_verdict)
    else:
        groups = _by_framework(names)
        # What is more than the cores when cases are dealt out is soon done.
        shards = _shards(groups, ids)
        at_once = len(shards) if len(groups) < _cores() else _cores()
        outcome = _side_by_side(shards, at_once, dtypes, on_verdict)
    outcome.sort(cases, names)
    return outcome


def _by_framework(names: Sequence[str]) -> list[list[str]]:
    """Return the backends of a framework on a device together: torch and torch.nn."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_framework(name), []).append(name)
    return list(groups.values())


def _framework(name: str) -> str:
    plain, device = of_label(name)
    return label_of(plain.split(".")[0] if plain in BUILT_IN else plain, device)


def _seconds(names: Sequence[str]) -> int:
    return SECONDS.get(_framework(names[0]).partition(":")[0], OTHERS)


def _shards(groups: Sequence[Sequence[str]], ids: Sequence[str]) -> list[Shard]:
    """Return what each process runs, the slowest first: a core's worth, if it can be."""
    fair = sum(map(_seconds, groups)) / _cores()
    shards = []
    for names in sorted(groups, key=_seconds, reverse=True):
        count = min(ceil(_seconds(names) / fair), len(names) * len(ids) // FEWEST)
        if len(groups) >= _cores():
            count = 1
        apart = [[name] for name in names] if count >= len(names) else [names]
        hands = _dealt(ids, max(1, count // len(apart)))
        shards += [Shard(each, hand) for each in apart for hand in hands]
    return shards


def _dealt(ids: Sequence[str], n: int) -> list[list[str]]:
    """Deal out the cases, so that each of n has as much to do."""
    hands: list[list[str]] = [[] for _ in range(n)]
    weights = [0] * n
    for case in sorted(ids, key=_weight, reverse=True):
        least = weights.index(min(weights))
        hands[least].append(case)
        weights[least] += _weight(case)
    return hands


def _weight(case: str) -> int:
    return LONGEST.get(case, TRAINING if case.startswith("training/") else 1)


def _cores() -> int:
    """Return how many cores this process may use, and no more than are worth it."""
    mine = getattr(os, "sched_getaffinity", None)  # of Linux
    there = len(mine(0)) if mine else os.cpu_count() or 1
    return min(there, _quota(), MOST)


def _quota() -> int:
    """Return the cores that a container grants, rounded up."""
    try:
        words = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return ceil(int(words[0]) / int(words[1]))
    except (OSError, ValueError, IndexError):  # no cgroup, or "max"
        return MOST


def _side_by_side(
    shards: Sequence[Shard], at_once: int, dtypes: Sequence[str], on_verdict: OnVerdict
) -> Outcome:
    outcome = Outcome([], Pairwise(), {})

    def hear(verdict: Verdict) -> None:
        outcome.verdicts.append(verdict)
        on_verdict(verdict)

    said = _SPAWN.SimpleQueue()
    with ThreadPoolExecutor(at_once + 1) as pool:
        listener = pool.submit(_listen, said, hear)
        jobs = [pool.submit(_in_a_process, shard, dtypes, said) for shard in shards]
        try:
            ends = [job.result() for job in jobs]
        finally:
            said.put(None)
            listener.result()
    for shard, end in zip(shards, ends, strict=True):
        if isinstance(end, Outcome):
            outcome.add(end)
        else:
            for verdict in _unheard(shard, dtypes, outcome.verdicts, end):
                hear(verdict)
    return outcome


def _listen(said: Any, hear: OnVerdict) -> None:
    while (verdict := said.get()) is not None:
        hear(verdict)


def _in_a_process(shard: Shard, dtypes: Sequence[str], said: Any) -> Outcome | str:
    """Return what a process came to, its verdicts said already; or how it ended."""
    with ProcessPoolExecutor(1, _SPAWN, _start, (said,)) as process:
        try:
            return process.submit(_run, shard.names, dtypes, shard.ids).result()
        except InvalidInputError:
            raise
        except BrokenProcessPool:
            return "ended abruptly"
        except Exception as error:  # loading a framework may raise anything
            return f"failed with {type(error).__name__}: {error}"


def _unheard(
    shard: Shard, dtypes: Sequence[str], heard: Iterable[Verdict], end: str
) -> list[Verdict]:
    """Return an error for each verdict that a process did not come to say."""
    there = {(v.case, v.backend, v.dtype) for v in heard}
    wanted = [
        (case, name, dtype)
        for case in _chosen(shard.ids)
        for name in shard.names
        for dtype in dtypes
        if dtype in case.dtypes and (case.id, name, dtype) not in there
    ]
    names = " and ".join(shard.names)
    return [
        Verdict(
            case.id,
            case.component,
            name,
            dtype,
            ERROR,
            message=f"the process of {names} {end}, not yet through with {wanted[0][0].id}",
        )
        for case, name, dtype in wanted
    ]


def _start(said: Any) -> None:
    global _said
    _said = said
    Thread(target=_end_with_parent, daemon=True).start()
    # Most of a first run is XLA compiling the same small programs.
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    for key, value in {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "tetrapla" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }.items():
        os.environ.setdefault(key, value)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(names: Sequence[str], dtypes: Sequence[str], ids: Sequence[str]) -> Outcome:
    if all(of_label(name)[1] == "cpu" for name in names):
        # JAX starts on each device that it sees, and takes memory there.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    return _judge(names, dtypes, ids, _said.put)._replace(verdicts=[])


def _judge(
    names: Sequence[str],
    dtypes: Sequence[str],
    ids: Sequence[str],
    on_verdict: OnVerdict,
) -> Outcome:
    outcome = Outcome([], Pairwise(), {})
    backends: list[Backend] = []
    for name in names:
        try:
            backends.extend([labelled(name, dtype) for dtype in dtypes])
        except BackendUnavailableError as error:
            outcome.absent[name] = str(error)
    found = engine.run(_chosen(ids), backends, on_verdict, outcome.pairwise)
    outcome.verdicts.extend(found)
    return outcome


def _chosen(ids: Sequence[str]) -> list[Case]:
    """Return the cases of these names: a case itself does not leave its process."""
    names = set(ids)
    return [case for case in suite() if case.id in names]
