"""What TensorFlow settles once: when it starts, or is told to."""

import os
from functools import cache

import tensorflow as tf

GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
DETERMINISTIC = "TF_DETERMINISTIC_OPS"


@cache
def memory() -> str:
    """Let TensorFlow take a GPU's memory as it needs it.

    Else it takes all of it at once, and no other framework finds room.
    Return what holds: what the user has said stays, and it may be late.
    """
    said = os.environ.get(GROWTH)  # TensorFlow obeys it first
    if said is not None:
        return f"{GROWTH}={said}, as set"
    how = tf.config.experimental
    gpus = tf.config.list_physical_devices("GPU")
    asked = [how.get_memory_growth(gpu) for gpu in gpus]
    if any(each is not None for each in asked):
        growing = "as needed" if all(asked) else "all of it in advance"
        return f"{growing}, as set"
    try:
        for gpu in gpus:
            how.set_memory_growth(gpu, True)
    except ValueError:  # TensorFlow's word for: it is divided already
        return "in logical devices, as set"
    except RuntimeError:  # and for: it has started
        return (
            "too late to take it as needed: TensorFlow had started, "
            "which takes all of it"
        )
    return "as needed"


def deterministic(device: str) -> str:
    """Return whether a device's answers are the same every time.

    TensorFlow knows whether it is so: by the environment, which it
    reads once, or by `tf.config.experimental.enable_op_determinism`.
    """
    if device == "cpu":
        return "yes"
    try:  # no part of TensorFlow's interface
        from tensorflow.python.framework import config

        on = config.is_op_determinism_enabled()
    except (ImportError, AttributeError):
        return "unknown: this TensorFlow does not say"
    if on:
        return "yes"
    return (
        f"not promised: {DETERMINISTIC} was not 1 at the start, and "
        "enable_op_determinism was not called"
    )
