"""What JAX reads from the environment once: when it starts.

It starts when it is first asked for its devices. Here that is when a
backend is made, or before, by the user.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from threading import Lock

import jax

FLAG = "--xla_gpu_deterministic_ops"
IN_ADVANCE = "XLA_PYTHON_CLIENT_PREALLOCATE"
MEMORY = (  # what the user may say of a GPU's memory
    IN_ADVANCE,
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_CLIENT_MEM_FRACTION",
)
LOCK = Lock()


@dataclass(frozen=True)
class Start:
    """What JAX read, or `late`: what is set after it had started."""

    late: bool
    flags: str
    memory: str  # as the user set it


def read(late: bool) -> Start:
    said = {n: os.environ[n] for n in MEMORY if n in os.environ}
    words = " ".join(f"{name}={value}" for name, value in said.items())
    return Start(late, os.environ.get("XLA_FLAGS", ""), words)


def had_started() -> bool:
    """Return whether JAX has its devices; if it does not say, True."""
    try:
        from jax._src.xla_bridge import backends_are_initialized
    except ImportError:  # no part of JAX's interface
        return True
    return backends_are_initialized()


@contextmanager
def as_needed() -> Iterator[None]:
    """Let JAX take a GPU's memory as it needs it, if it starts here.

    Else it takes three quarters at once, and no other framework finds
    room. The environment is as before, for processes begun later too.
    """
    if any(name in os.environ for name in MEMORY):  # the user's wish
        yield
        return
    os.environ[IN_ADVANCE] = "false"
    try:
        yield
    finally:
        os.environ.pop(IN_ADVANCE, None)


@cache
def first() -> Start:
    found = read(had_started())
    with as_needed(), suppress(RuntimeError):  # whoever asks hears it
        jax.devices()
    return found


def start() -> Start:
    """Start JAX, if it has not started; return what it read then."""
    with LOCK:
        return first()


def memory() -> str:
    """Return how a GPU's memory is taken."""
    found = start()
    if found.late:
        return (
            "too late to take it as needed: JAX had started, which "
            f"takes three quarters unless {IN_ADVANCE} was false"
        )
    return f"{found.memory}, as set" if found.memory else "as needed"


def deterministic(device: str) -> str:
    """Return whether a device's answers are the same every time."""
    if device == "cpu":
        return "yes"
    found = start()
    said = [
        word.partition("=")[2].lower()
        for word in found.flags.split()
        if word.partition("=")[0] == FLAG
    ]
    on = bool(said) and said[-1] in ("", "true", "1")  # the last counts
    has = "has" if on else "has no"
    if found.late:
        return (
            "unknown: JAX had read XLA_FLAGS before tetrapla did; now "
            f"it {has} {FLAG}=true"
        )
    if on:
        return "yes"
    return f"not promised: XLA_FLAGS had no {FLAG}=true at the start"
