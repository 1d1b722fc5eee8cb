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

# Seconds that the suite takes on a framework, roughly. It is XLA that takes
# them, and for a GPU it compiles several times as long.
SECONDS = {
    "jax@gpu": 2000,
    "tf@gpu": 400,
    "jax": 300,
    "tf": 40,
    "torch@gpu": 40,
    "torch": 30,
    "numpy": 10,
}
OTHERS = 60  # somebody else's backend
FEWEST = 16  # cases for which importing a framework once more is worth while
MOST = 24  # processes: each has memory of its own, on a GPU too

_SPAWN = get_context("spawn")  # a forked framework may hang
_said: Any = None  # in a worker: where it says which verdict it has


class Outcome(NamedTuple):
    """What cases came to on several backends."""

    verdicts: list[Verdict]  # what engine.run yields
    pairwise: Pairwise
    absent: dict[str, str]  # the backends that could not be loaded, and why


class Shard(NamedTuple):
    """What one process runs: the backends of one framework, some of the cases."""

    names: Sequence[str]
    ids: Sequence[str]


def run(
    names: Sequence[str],
    dtypes: Sequence[str],
    cases: Iterable[Case],
    on_verdict: OnVerdict = lambda verdict: None,
) -> Outcome:
    """Run cases of the suite on the backends; one alone runs in this process."""
    ids = [case.id for case in cases]
    if len(names) == 1:
        outcome = _judge(names, dtypes, ids, on_verdict)
    else:
        shards = _shards(_by_framework(names), ids)
        outcome = _side_by_side(shards, dtypes, on_verdict)
    place = {name: i for i, name in enumerate([*ids, *names])}
    outcome.verdicts.sort(key=lambda v: (place[v.case], v.dtype, place[v.backend]))
    outcome.pairwise.sort(ids)
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


def _shards(groups: Iterable[Sequence[str]], ids: Sequence[str]) -> list[Shard]:
    """Deal out the cases, to as many processes as there are cores; slowest first."""
    slowest_first = sorted(groups, key=_seconds, reverse=True)
    counts = [1] * len(slowest_first)
    enough = max(1, len(ids) // FEWEST)

    def longest(i: int) -> float:
        return _seconds(slowest_first[i]) / counts[i] if counts[i] < enough else 0

    while sum(counts) < _processes():
        i = max(range(len(counts)), key=longest)
        if counts[i] == enough:
            break
        counts[i] += 1
    # Every n-th case: neighbours are alike, and take as long.
    return [
        Shard(names, ids[i::n])
        for names, n in zip(slowest_first, counts, strict=True)
        for i in range(n)
    ]


def _processes() -> int:
    return min(os.cpu_count() or 1, MOST)


def _side_by_side(
    shards: Sequence[Shard], dtypes: Sequence[str], on_verdict: OnVerdict
) -> Outcome:
    outcome = Outcome([], Pairwise(), {})

    def hear(verdict: Verdict) -> None:
        outcome.verdicts.append(verdict)
        on_verdict(verdict)

    said = _SPAWN.SimpleQueue()
    workers = min(len(shards), _processes())
    with ThreadPoolExecutor(workers + 1) as pool:
        listener = pool.submit(_listen, said, hear)
        jobs = [pool.submit(_in_a_process, shard, dtypes, said) for shard in shards]
        try:
            ends = [job.result() for job in jobs]
        finally:
            said.put(None)
            listener.result()
    for shard, end in zip(shards, ends, strict=True):
        if isinstance(end, Outcome):
            outcome.pairwise.add(end.pairwise)
            outcome.absent.update(end.absent)
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
