"""The specification in TensorFlow."""

import os

if __name__ != "tetrapla.impls.tf":
    raise ImportError(
        "this is tetrapla.impls.tf, imported as 'tf': "
        "impls/ must not be on sys.path"
    )

# Else TensorFlow takes all of a GPU's memory when it is first used, and
# no other framework finds room there.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
