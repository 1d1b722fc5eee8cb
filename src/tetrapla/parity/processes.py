"""Run cases on backends by name: each framework in a process of its own.

So the frameworks' Python runs side by side, none meets another's global
state, and one that crashes is that backend's failure and no other's.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from tetrapla.backends import load
from tetrapla.parity import engine
from tetrapla.parity.cases import Case
from tetrapla.parity.engine import ERROR, Verdict
from tetrapla.parity.pairwise import Pairwise
from tetrapla.parity.suite import cases as suite
from tetrapla.spec import BackendUnavailableError

OnVerdict = Callable[[str, str, str], None]  # case, backend, dtype

_SPAWN = get_context("spawn")  # a forked framework may hang
_said: Any = None  # in a worker: where it says which verdict it has


class Outcome(NamedTuple):
    """What cases came to on several backends."""

    verdicts: list[Verdict]  # what engine.run yields
    pairwise: Pairwise
    absent: dict[str, str]  # the backends that could not be loaded, and why


def run(
    names: Sequence[str],
    dtypes: Sequence[str],
    cases: Iterable[Case],
    on_verdict: OnVerdict = lambda case, backend, dtype: None,
) -> Outcome:
    """Run cases of the suite on the backends; one alone runs in this process."""
    ids = [case.id for case in cases]
    found: dict[str, list[Verdict]] = {}
    outcome = Outcome([], Pairwise(), {})

    def keep(name: str, job: Callable[[], tuple[list[Verdict], Pairwise]]) -> None:
        try:
            found[name], kept = job()
        except BackendUnavailableError as error:
            outcome.absent[name] = str(error)
        else:
            outcome.pairwise.add(kept)

    if len(names) == 1:
        keep(names[0], lambda: _judge(names[0], dtypes, ids, on_verdict))
    else:
        _side_by_side(names, dtypes, ids, on_verdict, keep)
    verdicts = [v for name in names for v in found.get(name, ())]
    outcome.verdicts.extend(sorted(verdicts, key=lambda v: (ids.index(v.case), v.dtype)))
    return outcome


def _side_by_side(
    names: Sequence[str],
    dtypes: Sequence[str],
    ids: Sequence[str],
    on_verdict: OnVerdict,
    keep: Callable[[str, Callable[[], tuple[list[Verdict], Pairwise]]], None],
) -> None:
    said = _SPAWN.SimpleQueue()
    workers = min(len(names), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers + 1) as pool:
        listener = pool.submit(_listen, said, on_verdict)
        # The last-named are the slowest to compile: they start first.
        jobs: dict[Future[Any], str] = {
            pool.submit(_in_a_process, name, dtypes, ids, said): name
            for name in reversed(names)
        }
        try:
            for job in as_completed(jobs):
                keep(jobs[job], job.result)
        finally:
            said.put(None)
            listener.result()


def _listen(said: Any, on_verdict: OnVerdict) -> None:
    while (words := said.get()) is not None:
        on_verdict(*words)


def _in_a_process(
    name: str, dtypes: Sequence[str], ids: Sequence[str], said: Any
) -> tuple[list[Verdict], Pairwise]:
    with ProcessPoolExecutor(1, _SPAWN, _start, (said,)) as process:
        try:
            return process.submit(_run, name, dtypes, ids).result()
        except BrokenProcessPool:
            message = f"the process of backend {name!r} ended abruptly"
            crashed = [
                Verdict(case.id, case.component, name, dtype, ERROR, message=message)
                for case in _chosen(ids)
                for dtype in dtypes
                if dtype in case.dtypes
            ]
            return crashed, Pairwise()


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


def _run(
    name: str, dtypes: Sequence[str], ids: Sequence[str]
) -> tuple[list[Verdict], Pairwise]:
    return _judge(name, dtypes, ids, lambda *words: _said.put(words))


def _judge(
    name: str, dtypes: Sequence[str], ids: Sequence[str], on_verdict: OnVerdict
) -> tuple[list[Verdict], Pairwise]:
    pairwise = Pairwise()
    found = engine.run(
        _chosen(ids),
        [load(name, dtype=dtype) for dtype in dtypes],
        lambda v: on_verdict(v.case, v.backend, v.dtype),
        pairwise,
    )
    return list(found), pairwise


def _chosen(ids: Sequence[str]) -> list[Case]:
    """Return the cases of these names: a case itself does not leave its process."""
    names = set(ids)
    return [case for case in suite() if case.id in names]
