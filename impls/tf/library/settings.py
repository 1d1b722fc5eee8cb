"""What Keras depends on beside a function's arguments.

floatx is the dtype of what is given none: an optimizer's learning rate,
and Python numbers on their way into an operation. epsilon is where a
loss cuts off probabilities. Both are the process's. The policy is that
of layers without a dtype; Keras settles it by floatx when it is first
asked for, which is the user's to do.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import keras

from .. import backend

try:
    from keras.src.backend.common import global_state

    state: Any = global_state
except ImportError:  # no part of Keras's interface
    state = None

OURS = "float32", 1e-7, None  # as Keras comes


def now() -> tuple[str, float, Any]:
    """Return floatx, epsilon, and the policy or None."""
    policy = state and state.get_global_attribute("dtype_policy")
    return keras.config.floatx(), keras.config.epsilon(), policy


def put(floatx: str, epsilon: float, policy: Any) -> None:
    if keras.config.floatx() != floatx:
        keras.config.set_floatx(floatx)
    if keras.config.epsilon() != epsilon:
        keras.config.set_epsilon(epsilon)
    if state is not None:
        state.set_global_attribute("dtype_policy", policy)


@contextmanager
def settings(
    floatx: str, epsilon: float, policy: Any
) -> Iterator[None]:
    """Set what Keras depends on, and then as before."""
    before = now()
    try:
        put(floatx, epsilon, policy)
        yield
    finally:
        put(*before)


@contextmanager
def both(
    of_tf: Callable[[], AbstractContextManager[None]],
    of_keras: tuple[str, float, Any],
) -> Iterator[None]:
    with of_tf(), settings(*of_keras):
        yield


def users_settings() -> Callable[[], AbstractContextManager[None]]:
    """Return a scope of the settings as they are now."""
    return partial(both, backend.users_settings(), now())
