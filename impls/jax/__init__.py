"""The specification in JAX and Flax."""

if __name__ != "tetrapla.impls.jax":
    raise ImportError(
        "this is tetrapla.impls.jax, imported as 'jax': "
        "impls/ must not be on sys.path"
    )
