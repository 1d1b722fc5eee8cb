"""The specification in JAX and Flax."""

import os

if __name__ != "tetrapla.impls.jax":
    raise ImportError(
        "this is tetrapla.impls.jax, imported as 'jax': "
        "impls/ must not be on sys.path"
    )

# Else JAX takes three quarters of a GPU's memory when it is first used,
# and no other framework finds room. Who says how much wants that.
if "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
