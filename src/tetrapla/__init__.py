"""One specification of deep learning's building blocks, four implementations.

>>> import tetrapla as tp
>>> b = tp.load("numpy", dtype="float64")
>>> net = tp.Sequential(tp.Dense(2, 3, "relu"), tp.Dense(3, 1))
>>> weights = net.init(seed=0)

Importing this package imports no framework, and NumPy only when a name is
first used (PEP 562); `load` imports the one framework it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tetrapla.data as data
    import tetrapla.weights as weights
    from tetrapla.backends import available, load
    from tetrapla.checkpoints import Checkpoints
    from tetrapla.spec import (
        ELU,
        SGD,
        Adadelta,
        Adagrad,
        Adam,
        AdamW,
        BackendUnavailableError,
        BinaryCrossEntropy,
        Constant,
        ConstantSchedule,
        CosineDecay,
        Dense,
        Dropout,
        EarlyStopping,
        GELUErf,
        GELUTanh,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        Identity,
        InvalidInputError,
        LeakyReLU,
        LeCunNormal,
        LeCunUniform,
        MeanSquaredError,
        ReLU,
        RMSProp,
        Sequential,
        Sigmoid,
        SiLU,
        Softmax,
        SoftmaxCrossEntropy,
        Softplus,
        StepDecay,
        Tanh,
        Training,
        UnsupportedError,
        Warmup,
        Zeros,
        threefry,
    )

__version__ = "0.1.0"

__all__ = [
    "ELU",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BackendUnavailableError",
    "BinaryCrossEntropy",
    "Checkpoints",
    "Constant",
    "ConstantSchedule",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "GELUErf",
    "GELUTanh",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "InvalidInputError",
    "LeCunNormal",
    "LeCunUniform",
    "LeakyReLU",
    "MeanSquaredError",
    "RMSProp",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "StepDecay",
    "Tanh",
    "Training",
    "UnsupportedError",
    "Warmup",
    "Zeros",
    "available",
    "data",
    "load",
    "threefry",
    "weights",
]

_MODULES = ("data", "weights")
_HOMES = {
    "available": "tetrapla.backends",
    "load": "tetrapla.backends",
    "Checkpoints": "tetrapla.checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tetrapla' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"tetrapla.{name}")
    home = _HOMES.get(name, "tetrapla.spec")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
