"""The specification in tf."""

if __name__ != "tetrapla.impls.tf":
    raise ImportError(
        "this is tetrapla.impls.tf, imported as 'tf': the folder impls/ "
        "must not be on sys.path"
    )
