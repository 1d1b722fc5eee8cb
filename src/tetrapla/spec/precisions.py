"""Precision: what a backend's dtype says of each kind of array.

    dtype     data, activations   matrix products          weights, state, loss
    float64   float64             float64                  float64
    float32   float32             float32                  float32
    tf32      float32             TF32, added in float32   float32
    bfloat16  bfloat16            added in float32         float32
    float16   float16             added in float32         float32

Data are x, z, a, the outputs, and the gradients of all these. Weights keep
their gradients, the optimizer's state and the loss company in float32: an
update of a thousandth of a weight is lost in bfloat16, and 1e-8, Adam's
epsilon, is 0 in float16 (Micikevicius et al., Mixed precision training, ICLR
2018, section 3.1).

Where halves are rounded: a weight to the data's dtype where it is used, and
a bias too, or not; a product after its sum, and once more with its bias; an activation
and its derivative once, or after each of their operations; the gradient of
the loss, which is computed in float32 from the outputs. The gradient of a
weight is a sum in float32, and may be rounded to the data's dtype once.

TF32 keeps 10 of float32's 23 fraction bits of the two numbers of a product.
It is leave, and no order: GPUs before Ampere, and CPUs, multiply in float32.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from tetrapla.spec.errors import BackendUnavailableError, InvalidInputError


@dataclass(frozen=True)
class Precision:
    """The dtypes of a mode; `data` and `weights` are names of NumPy's or ml_dtypes'."""

    name: str
    data: str
    weights: str

    @property
    def mixed(self) -> bool:
        """Whether data have another dtype than weights."""
        return self.data != self.weights


PRECISIONS: Final = {
    "float64": Precision("float64", "float64", "float64"),
    "float32": Precision("float32", "float32", "float32"),
    "tf32": Precision("tf32", "float32", "float32"),
    "bfloat16": Precision("bfloat16", "bfloat16", "float32"),
    "float16": Precision("float16", "float16", "float32"),
}


def precision(dtype: object) -> Precision:
    """Return the mode of that name.

    Raises InvalidInputError for an unknown one, and BackendUnavailableError
    for bfloat16 without ml_dtypes, which has NumPy's.

    >>> precision("float16").weights
    'float32'
    """
    if not isinstance(dtype, str) or dtype not in PRECISIONS:
        expected = ", ".join(repr(name) for name in PRECISIONS)
        raise InvalidInputError(f"dtype must be one of {expected}, got {dtype!r}")
    if dtype == "bfloat16" and find_spec("ml_dtypes") is None:
        raise BackendUnavailableError(
            "dtype 'bfloat16' needs ml_dtypes: pip install 'tetrapla[bfloat16]'"
        )
    return PRECISIONS[dtype]


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return NumPy's dtype; bfloat16 is ml_dtypes'.

    >>> numpy_dtype("float16").itemsize
    2
    """
    if name == "bfloat16":
        import ml_dtypes

        half: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return half
    return np.dtype(name)


def weights_dtype(data: str) -> str:
    """Return the dtype of weights and losses beside data of this one.

    >>> weights_dtype("float64"), weights_dtype("float16")
    ('float64', 'float32')
    """
    return next(p.weights for p in PRECISIONS.values() if p.data == data)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype is one of floating-point numbers.

    >>> is_floating(np.dtype("float32")), is_floating(np.dtype("int64"))
    (True, False)
    """
    return dtype.kind == "f" or dtype.name == "bfloat16"


@dataclass(frozen=True)
class Limits:
    """A floating-point format.

    `unit` is the unit roundoff, `tiny` the smallest normal number, `least` the
    smallest of all, `largest` the largest finite one.
    """

    unit: float
    tiny: float
    least: float
    largest: float


def limits(name: str) -> Limits:
    """Return the limits of a dtype.

    >>> limits("bfloat16").unit, limits("float16").tiny
    (0.00390625, 6.103515625e-05)
    """
    if name == "bfloat16":  # np.finfo has it not; 8 bits of exponent, 7 of fraction
        return Limits(2.0**-8, 2.0**-126, 2.0**-133, (2 - 2.0**-7) * 2.0**127)
    info = np.finfo(name)
    return Limits(
        float(info.epsneg),
        float(info.smallest_normal),
        float(info.smallest_subnormal),
        float(info.max),
    )
