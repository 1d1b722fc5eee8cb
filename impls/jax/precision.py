"""float64 in jax: a scope around the call.

jax computes in float64 only inside jax.enable_x64, and rounds to
float32 outside, inside a trace without a word.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp


def in_own_precision(call: Callable[..., Any]) -> Callable[..., Any]:
    """Run a module's call in the precision of its weights.

    A trace (jit, grad, vmap ...) of a float64 module that began where
    jax computes in float32 is refused: its end would be out of reach.
    """

    @wraps(call)
    def scoped(module: Any, *args: Any) -> Any:
        leaves = jax.tree.leaves((module, args))
        dtypes = [w.dtype for w in jax.tree.leaves(module)]
        if jnp.float64 not in dtypes:
            return call(module, *args)
        single = jax.dtypes.canonicalize_dtype(float) == jnp.float32
        traced = any(isinstance(a, jax.core.Tracer) for a in leaves)
        if single and traced:
            raise TypeError(
                "a float64 model is traced (jit, grad, vmap ...) where "
                "jax computes in float32; write `with jax.enable_x64("
                "True):` around the outermost jit or grad"
            )
        with jax.enable_x64(True):
            return call(module, *args)

    return scoped
