"""The specification in jax."""

if __name__ != "tetrapla.impls.jax":
    raise ImportError(
        "this is tetrapla.impls.jax, imported as 'jax': the folder impls/ "
        "must not be on sys.path"
    )
