"""The specification in TensorFlow."""

if __name__ != "tetrapla.impls.tf":
    raise ImportError(
        "this is tetrapla.impls.tf, imported as 'tf': "
        "impls/ must not be on sys.path"
    )
