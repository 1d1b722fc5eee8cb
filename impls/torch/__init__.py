"""The specification in torch."""

if __name__ != "tetrapla.impls.torch":
    raise ImportError(
        "this is tetrapla.impls.torch, imported as 'torch': the folder impls/ "
        "must not be on sys.path"
    )
