"""The specification in NumPy."""

if __name__ != "tetrapla.impls.numpy":
    raise ImportError(
        "this is tetrapla.impls.numpy, imported as 'numpy': "
        "impls/ must not be on sys.path"
    )
