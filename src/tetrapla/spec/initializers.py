"""Initial weights: which distribution, which scale, and the same bits everywhere.

Draws are the shared float32 uniforms (threefry.py). They are scaled in
float64 and rounded once to float32, with operations that IEEE 754 rounds
correctly (+ - * / sqrt) and nothing else, so that a seed gives the same
bits on every machine. A float64 backend widens the float32 values.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import checks, normal, threefry
from tetrapla.spec.errors import InvalidInputError


@dataclass(frozen=True)
class Initializer(ABC):
    """Base of the initialisers; not an initialiser itself."""

    name: ClassVar[str]

    @abstractmethod
    def draw(self, key: threefry.Key, inputs: int, outputs: int) -> NDArray[np.float64]:
        """Return float64 values of shape (inputs, outputs)."""


@dataclass(frozen=True)
class Zeros(Initializer):
    """0 everywhere."""

    name: ClassVar[str] = "zeros"

    def draw(self, key: threefry.Key, inputs: int, outputs: int) -> NDArray[np.float64]:
        return np.zeros((inputs, outputs))


@dataclass(frozen=True)
class Constant(Initializer):
    """`value` everywhere."""

    value: float
    name: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        value = checks.real("value", self.value)
        if abs(value) > float(np.finfo(np.float32).max):
            raise InvalidInputError(f"value must be one of float32's, got {value!r}")
        object.__setattr__(self, "value", value)

    def draw(self, key: threefry.Key, inputs: int, outputs: int) -> NDArray[np.float64]:
        return np.full((inputs, outputs), self.value)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Base of the random ones: mean 0, a variance that depends on the fans."""

    @abstractmethod
    def variance(self, inputs: int, outputs: int) -> float:
        """Return the variance of one weight."""


class _Uniform(VarianceScaling):
    """U(-limit, limit) with limit = sqrt(3 variance)."""

    def draw(self, key: threefry.Key, inputs: int, outputs: int) -> NDArray[np.float64]:
        limit = math.sqrt(3.0 * self.variance(inputs, outputs))
        u = threefry.uniform(key, (inputs, outputs)).astype(np.float64)
        return limit * (2.0 * u - 1.0)


class _Normal(VarianceScaling):
    """N(0, variance), not truncated.

    (Keras and JAX truncate theirs at two standard deviations; PyTorch's
    kaiming_normal_ and xavier_normal_ do not.)
    """

    def draw(self, key: threefry.Key, inputs: int, outputs: int) -> NDArray[np.float64]:
        sigma = math.sqrt(self.variance(inputs, outputs))
        u = threefry.uniform(key, (inputs, outputs)).astype(np.float64)
        # The draw stands for [u, u + 2^-23): its middle is never 0 or 1.
        return sigma * normal.quantile(u + 2.0**-24)


class _Glorot(VarianceScaling):
    """Variance 2 / (inputs + outputs)."""

    def variance(self, inputs: int, outputs: int) -> float:
        return 2.0 / (inputs + outputs)


class _He(VarianceScaling):
    """Variance 2 / inputs."""

    def variance(self, inputs: int, outputs: int) -> float:
        return 2.0 / inputs


class _LeCun(VarianceScaling):
    """Variance 1 / inputs."""

    def variance(self, inputs: int, outputs: int) -> float:
        return 1.0 / inputs


@dataclass(frozen=True)
class GlorotUniform(_Glorot, _Uniform):
    """U(-l, l), l = sqrt(6 / (inputs + outputs)).

    Source: Glorot and Bengio, Understanding the difficulty of training
    deep feedforward neural networks (AISTATS 2010), eq. 16.
    """

    name: ClassVar[str] = "glorot_uniform"


@dataclass(frozen=True)
class GlorotNormal(_Glorot, _Normal):
    """N(0, 2 / (inputs + outputs)).

    Source: Glorot and Bengio (2010), eq. 12.
    """

    name: ClassVar[str] = "glorot_normal"


@dataclass(frozen=True)
class HeUniform(_He, _Uniform):
    """U(-l, l), l = sqrt(6 / inputs).

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers (ICCV
    2015), eq. 10, as a uniform distribution of the same variance.
    """

    name: ClassVar[str] = "he_uniform"


@dataclass(frozen=True)
class HeNormal(_He, _Normal):
    """N(0, 2 / inputs).

    Source: He, Zhang, Ren and Sun (2015), eq. 10.
    """

    name: ClassVar[str] = "he_normal"


@dataclass(frozen=True)
class LeCunUniform(_LeCun, _Uniform):
    """U(-l, l), l = sqrt(3 / inputs).

    Source: LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), eq. 16.
    """

    name: ClassVar[str] = "lecun_uniform"


@dataclass(frozen=True)
class LeCunNormal(_LeCun, _Normal):
    """N(0, 1 / inputs).

    Source: LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), eq. 16.
    """

    name: ClassVar[str] = "lecun_normal"


INITIALIZERS: dict[str, type[Initializer]] = {
    cls.name: cls
    for cls in (
        Zeros,
        Constant,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LeCunUniform,
        LeCunNormal,
    )
}


def initializer(given: Initializer | str) -> Initializer:
    """Return the initialiser that a name or an object stands for."""
    if isinstance(given, Initializer) and type(given) in INITIALIZERS.values():
        return given
    if isinstance(given, str) and given in INITIALIZERS and given != "constant":
        return INITIALIZERS[given]()
    expected = ", ".join(INITIALIZERS)
    raise InvalidInputError(
        f"initializer must be an initializer or one of {expected}; got {given!r}"
    )
