"""Run cases on backends by name: each framework in a process of its own.

So the frameworks' Python runs side by side, none meets another's global
state, and one that crashes is the failure of its backends and no others'.
Backends of one framework share a process, and what the oracle expects.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from tetrapla.backends import BUILT_IN, Backend, labelled, of_label
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
    if len(names) == 1:
        outcomes = [_judge(names, dtypes, ids, on_verdict)]
    else:
        outcomes = _side_by_side(_by_framework(names), dtypes, ids, on_verdict)
    verdicts = [v for outcome in outcomes for v in outcome.verdicts]
    order = {name: i for i, name in enumerate(names)}
    verdicts.sort(key=lambda v: (ids.index(v.case), v.dtype, order[v.backend]))
    pairwise = Pairwise()
    absent: dict[str, str] = {}
    for outcome in outcomes:
        pairwise.add(outcome.pairwise)
        absent |= outcome.absent
    return Outcome(verdicts, pairwise, absent)


def _by_framework(names: Sequence[str]) -> list[list[str]]:
    """Return the backends of a framework on a device together: torch and torch.nn."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        plain, device = of_label(name)
        framework = plain.split(".")[0] if plain in BUILT_IN else plain
        groups.setdefault((framework, device), []).append(name)
    return list(groups.values())


def _side_by_side(
    groups: Sequence[Sequence[str]],
    dtypes: Sequence[str],
    ids: Sequence[str],
    on_verdict: OnVerdict,
) -> list[Outcome]:
    said = _SPAWN.SimpleQueue()
    workers = min(len(groups), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers + 1) as pool:
        listener = pool.submit(_listen, said, on_verdict)
        # The last-named are the slowest to compile: they start first.
        jobs = [
            pool.submit(_in_a_process, names, dtypes, ids, said)
            for names in reversed(groups)
        ]
        try:
            return [job.result() for job in as_completed(jobs)]
        finally:
            said.put(None)
            listener.result()


def _listen(said: Any, on_verdict: OnVerdict) -> None:
    while (words := said.get()) is not None:
        on_verdict(*words)


def _in_a_process(
    names: Sequence[str], dtypes: Sequence[str], ids: Sequence[str], said: Any
) -> Outcome:
    with ProcessPoolExecutor(1, _SPAWN, _start, (said,)) as process:
        try:
            return process.submit(_run, names, dtypes, ids).result()
        except BrokenProcessPool:
            message = f"the process of {' and '.join(names)} ended abruptly"
            crashed = [
                Verdict(case.id, case.component, name, dtype, ERROR, message=message)
                for case in _chosen(ids)
                for name in names
                for dtype in dtypes
                if dtype in case.dtypes
            ]
            return Outcome(crashed, Pairwise(), {})


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
    return _judge(names, dtypes, ids, lambda *words: _said.put(words))


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
    found = engine.run(
        _chosen(ids),
        backends,
        lambda v: on_verdict(v.case, v.backend, v.dtype),
        outcome.pairwise,
    )
    outcome.verdicts.extend(found)
    return outcome


def _chosen(ids: Sequence[str]) -> list[Case]:
    """Return the cases of these names: a case itself does not leave its process."""
    names = set(ids)
    return [case for case in suite() if case.id in names]
