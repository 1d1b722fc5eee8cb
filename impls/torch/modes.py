"""What torch functions depend on beside their arguments: modes.

Most are a thread's. How float32 is multiplied and halves are added up,
and whether a GPU takes algorithms with the same bits each time, is the
process's. Each is set for a call and then as before, also where the
call calls back.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
)
from functools import partial
from typing import Any

import torch
import torch.utils.deterministic

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
SAME = (":4096:8", ":16:8")
AT_START = os.environ.get(WORKSPACE)  # cuBLAS reads it once,
LATE = torch.cuda.is_initialized()  # and may have done so before

flags = torch.backends.cuda.matmul  # which are the process's
of_onednn: Any = getattr(torch.backends.mkldnn, "matmul", None)
filling: Any = torch.utils.deterministic
SUMS = (  # of products of halves: in float32, unless one is allowed
    "allow_bf16_reduced_precision_reduction",
    "allow_fp16_reduced_precision_reduction",
    "allow_fp16_accumulation",
)


def sums() -> dict[str, Any]:
    """Return the settings of sums, as they are set."""
    found = {}
    for name in SUMS:
        value = getattr(flags, name, None)  # not in every torch
        split_k = getattr(flags, f"{name}_split_k", None)
        if value is not None:
            found[name] = value if split_k is None else (value, split_k)
    return found


def set_sums(adding: dict[str, Any]) -> None:
    for name, value in adding.items():
        setattr(flags, name, value)


def single() -> str:
    """Return "highest", "high" (TF32) or "medium", for float32."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # an older and a newer setting contradict it
        pass
    try:
        allowed = flags.allow_tf32
    except RuntimeError:
        allowed = flags.fp32_precision != "tf32"
    return "high" if allowed else "highest"


def newer() -> str | None:
    """Return the setting that torch has from 2.9 on."""
    return getattr(flags, "fp32_precision", None)


def set_single(of_float32: str, of_newer: str | None) -> None:
    """Set the older setting and the newer, which may contradict it."""
    flags.allow_tf32 = of_float32 != "highest"  # and the newer one
    if of_float32 == "medium":  # sets the CPU's too
        torch.set_float32_matmul_precision("medium")
    if of_newer is not None:
        flags.fp32_precision = of_newer


def on_a_cpu() -> str | None:
    """Return how oneDNN multiplies float32: "ieee", "tf32" or "bf16".

    With "none" it is as PyTorch's other settings say.
    """
    return getattr(of_onednn, "fp32_precision", None)


def set_on_a_cpu(of_float32: str | None) -> None:
    if of_float32 is not None:
        of_onednn.fp32_precision = of_float32


def repeats() -> tuple[int, bool]:
    """Return whether algorithms have the same bits each time.

    It is torch's mode, and whether it fills memory in that mode.
    """
    mode = torch.get_deterministic_debug_mode()
    return mode, filling.fill_uninitialized_memory


def set_repeats(mode: int, fill: bool) -> None:
    torch.set_deterministic_debug_mode(mode)
    filling.fill_uninitialized_memory = fill


def now(gpu: bool) -> Callable[[], None]:
    """Return what sets how is computed to what it is now."""
    of_cpu = on_a_cpu()
    if not gpu:
        return partial(set_on_a_cpu, of_cpu)
    adding, of_float32, of_newer = sums(), single(), newer()
    same = repeats()

    def again() -> None:
        set_sums(adding)
        set_single(of_float32, of_newer)
        set_on_a_cpu(of_cpu)
        set_repeats(*same)

    return again


def exact(gpu: bool, tf32: bool) -> None:
    """Set how a backend computes."""
    set_on_a_cpu("ieee")
    if gpu:
        set_sums(dict.fromkeys(sums(), False))
        flags.allow_tf32 = tf32  # both of torch's settings
        if AT_START in SAME and repeats()[0] == 0:
            set_repeats(1, fill=False)  # a warning where torch has none


@contextmanager
def as_set(setting: Callable[[], None], gpu: bool) -> Iterator[None]:
    """Compute as a setting says, and then as before."""
    before = now(gpu)
    try:
        setting()
        yield
    finally:
        before()


@contextmanager
def within(
    inference: bool,
    grad: bool,
    autocast: dict[str, bool],
    setting: Callable[[], None],
    gpu: bool,
) -> Iterator[None]:
    """Set what a torch function depends on beside its arguments."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(inference))
        stack.enter_context(torch.set_grad_enabled(grad))
        for kind, on in autocast.items():
            stack.enter_context(torch.autocast(kind, enabled=on))
        stack.enter_context(as_set(setting, gpu))
        yield


def users_modes() -> Callable[[], AbstractContextManager[None]]:
    """Return a scope of the modes as they are now."""
    kinds, gpu = ("cpu", "cuda"), torch.cuda.is_available()
    return partial(
        within,
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        {kind: torch.is_autocast_enabled(kind) for kind in kinds},
        now(gpu),
        gpu,
    )


def deterministic(place: torch.device) -> str:
    """Return whether a device's answers are the same every time."""
    if place.type == "cpu":
        return "yes"  # for a number of threads
    if AT_START in SAME and LATE:
        return f"unknown: CUDA started before {WORKSPACE} was read"
    if AT_START in SAME:
        return "yes"
    return (
        "unless other streams multiply too: at the start "
        f"{WORKSPACE} was not {' or '.join(SAME)}"
    )
