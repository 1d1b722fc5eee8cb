"""Dropout masks in bulk: those of many steps at once.

Within a step XLA would draw a mask again for the gradient, and ask
other threads to help with so little.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from .random import bernoulli, fold_in

DRAWS = 32  # steps whose masks are drawn at once
NUMBERS = 2**25  # numbers in the masks of a stretch
Dropouts = tuple[tuple[int, float, int], ...]  # place, keep, width


@jax.tree_util.register_pytree_node_class
class Masks(dict[int, Array]):
    """Masks that are there already, by place, in place of a key."""

    def tree_flatten(self) -> tuple[Any, Any]:
        return tuple(self.values()), tuple(self)

    @classmethod
    def tree_unflatten(cls, places: Any, masks: Any) -> "Masks":
        return cls(zip(places, masks, strict=True))


def draw(
    dropouts: Dropouts, steps: dict[str, Array], batch: int
) -> Masks | None:
    """Return the masks of the steps in runs."""
    if not dropouts:
        return None
    count = len(steps["keys"])
    at_once = min(DRAWS, count)

    def of_step(key: Array) -> Masks:
        masks = Masks()
        for place, keep, width in dropouts:
            own = fold_in(key, place)
            masks[place] = bernoulli(own, keep, (batch, width))
        return masks

    def of_some(j: Array, every: Masks) -> Masks:
        start = jnp.minimum(j * at_once, count - at_once)
        keys = lax.dynamic_slice_in_dim(steps["keys"], start, at_once)

        def put(masks: Array, some: Array) -> Array:
            update = lax.dynamic_update_slice_in_dim
            return update(masks, some, start, 0)

        return jax.tree.map(put, every, jax.vmap(of_step)(keys))

    every = empty(jax.eval_shape(of_step, steps["keys"][0]), count)
    first = steps["runs"][0, 0]
    last = steps["runs"][steps["count"] - 1, -1]
    pieces = first // at_once, -(-last // at_once)
    return lax.fori_loop(*pieces, of_some, every)


def empty(like: Any, room: int) -> Any:
    """Return room for so many of these."""
    return jax.tree.map(
        lambda a: jnp.zeros((room, *a.shape), a.dtype), like
    )
