"""The specification in numpy."""

if __name__ != "tetrapla.impls.numpy":
    raise ImportError(
        "this is tetrapla.impls.numpy, imported as 'numpy': the folder impls/ "
        "must not be on sys.path"
    )
