"""How much memory a call needs: the growth of the process's peak.

Linux alone tells a peak that can be set back; elsewhere there is no answer.
"""

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROCESS = Path("/proc/self")


def resident() -> int | None:
    """Return the bytes of the process that are in memory, free ones given back."""
    gc.collect()
    # glibc keeps what is freed, and a call would find room there
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def peak(run: Callable[[], object]) -> int | None:
    """Return the most bytes that were in memory while it ran."""
    resident()
    try:
        (PROCESS / "clear_refs").write_text("5")  # the peak is what is there now
    except OSError:
        run()
        return None
    run()
    return _status("VmHWM")


def _status(name: str) -> int | None:
    try:
        lines = (PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None
