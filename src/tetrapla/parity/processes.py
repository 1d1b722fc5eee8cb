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
from typing import Any

from tetrapla.backends import load
from tetrapla.parity import engine
from tetrapla.parity.cases import Case
from tetrapla.parity.engine import ERROR, Verdict
from tetrapla.parity.pairwise import Pairwise
from tetrapla.parity.suite import cases as suite

OnVerdict = Callable[[str, str, str], None]  # case, backend, dtype

_SPAWN = get_context("spawn")  # a forked framework may hang
_said: Any = None  # in a worker: where it says which verdict it has


def run(
    names: Sequence[str],
    dtypes: Sequence[str],
    cases: Iterable[Case],
    on_verdict: OnVerdict = lambda case, backend, dtype: None,
) -> tuple[list[Verdict], Pairwise]:
    """Return what engine.run yields, of cases of the suite, and the pairs."""
    ids = [case.id for case in cases]
    said = _SPAWN.SimpleQueue()
    found: dict[str, list[Verdict]] = {}
    pairwise = Pairwise()
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
                found[jobs[job]], kept = job.result()
                pairwise.add(kept)
        finally:
            said.put(None)
            listener.result()
    verdicts = [v for name in names for v in found[name]]
    return sorted(verdicts, key=lambda v: (ids.index(v.case), v.dtype)), pairwise


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
            chosen = set(ids)
            crashed = [
                Verdict(case.id, case.component, name, dtype, ERROR, message=message)
                for case in suite()
                for dtype in dtypes
                if case.id in chosen and dtype in case.dtypes
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
    chosen, pairwise = set(ids), Pairwise()
    found = engine.run(
        [case for case in suite() if case.id in chosen],
        [load(name, dtype=dtype) for dtype in dtypes],
        lambda v: _said.put((v.case, v.backend, v.dtype)),
        pairwise,
    )
    return list(found), pairwise
