"""The specification in PyTorch."""

if __name__ != "tetrapla.impls.torch":
    raise ImportError(
        "this is tetrapla.impls.torch, imported as 'torch': "
        "impls/ must not be on sys.path"
    )
