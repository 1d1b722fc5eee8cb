"""Activations a = g(z), their derivatives, and g' at every kink.

Each class is the definition: the formula, the derivative, the source.
The implementations (impls/*/activations.py) have one function per class,
of the same name as `name` here.

Conventions, defined once for every backend:

* at a kink the derivative is the one from the left, so ReLU'(0) = 0,
  LeakyReLU'(0) = negative_slope, ELU'(0) = alpha. (Frameworks differ: the
  derivative of maximum(z, 0) at 0 is 0.5 in PyTorch and JAX, and 1 in
  TensorFlow.)
* NaN in gives NaN out.
* a derivative that vanishes for large |z| is 0 there, never NaN.
* for an infinite z nothing is promised: the frameworks differ there.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

from tetrapla.spec import checks
from tetrapla.spec.errors import InvalidInputError


@dataclass(frozen=True)
class Activation:
    """Base of the activations; not an activation itself."""

    name: ClassVar[str]

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name, as the implementations take them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Identity(Activation):
    """g(z) = z, g'(z) = 1."""

    name: ClassVar[str] = "identity"


@dataclass(frozen=True)
class Sigmoid(Activation):
    """g(z) = 1 / (1 + exp(-z)), g' = g (1 - g).

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), eq. 3.30.
    """

    name: ClassVar[str] = "sigmoid"


@dataclass(frozen=True)
class Tanh(Activation):
    """g(z) = (exp(z) - exp(-z)) / (exp(z) + exp(-z)), g' = 1 - g^2.

    Source: Deep Learning (2016), section 6.3.2.
    """

    name: ClassVar[str] = "tanh"


@dataclass(frozen=True)
class ReLU(Activation):
    """g(z) = z if z > 0 else 0; g'(z) = 1 if z > 0 else 0.

    Source: Nair and Hinton, Rectified linear units improve restricted
    Boltzmann machines (ICML 2010).
    """

    name: ClassVar[str] = "relu"


@dataclass(frozen=True)
class Softmax(Activation):
    """g(z)_i = exp(z_i) / sum_j exp(z_j), over the last axis.

    The derivative is a matrix: dg_i/dz_j = g_i (delta_ij - g_j), so the
    vector-Jacobian product of u is g * (u - sum_j u_j g_j).

    Source: Deep Learning (2016), section 6.2.2.3.
    """

    name: ClassVar[str] = "softmax"


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """g(z) = z if z > 0 else s z; g'(z) = 1 if z > 0 else s.

    s is `negative_slope`. The default, 0.01, is that of the paper (and of
    PyTorch and JAX; Keras's layer has 0.3 and its function 0.2).

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural
    network acoustic models (ICML 2013).
    """

    negative_slope: float = 0.01
    name: ClassVar[str] = "leaky_relu"

    def __post_init__(self) -> None:
        slope = checks.real("negative_slope", self.negative_slope)
        object.__setattr__(self, "negative_slope", slope)


@dataclass(frozen=True)
class ELU(Activation):
    """g(z) = z if z > 0 else alpha (exp(z) - 1).

    g'(z) = 1 if z > 0 else alpha exp(z).

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep
    network learning by exponential linear units (ICLR 2016), eq. 15.
    """

    alpha: float = 1.0
    name: ClassVar[str] = "elu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checks.non_negative("alpha", self.alpha))


@dataclass(frozen=True)
class Softplus(Activation):
    """g(z) = log(1 + exp(z)), g' = sigmoid(z).

    Source: Dugas et al., Incorporating second-order functional knowledge
    for better option pricing (NIPS 2000).
    """

    name: ClassVar[str] = "softplus"


@dataclass(frozen=True)
class SiLU(Activation):
    """g(z) = z sigmoid(z); with s = sigmoid(z), g' = s (1 + z (1 - s)).

    Source: Hendrycks and Gimpel, Gaussian error linear units (2016),
    section 2; Elfwing, Uchibe and Doya (2018); also called swish.
    """

    name: ClassVar[str] = "silu"


@dataclass(frozen=True)
class GELUErf(Activation):
    """g(z) = z Phi(z) = z/2 (1 + erf(z / sqrt 2)); g' = Phi(z) + z phi(z).

    Phi and phi are the distribution and the density of the standard
    normal. This is "gelu" in PyTorch and Keras.

    Source: Hendrycks and Gimpel, Gaussian error linear units (2016), eq. 1.
    """

    name: ClassVar[str] = "gelu_erf"


@dataclass(frozen=True)
class GELUTanh(Activation):
    """g(z) = z/2 (1 + tanh(u)), u = sqrt(2/pi) (z + 0.044715 z^3).

    g' = (1 + tanh u)/2 + z/2 (1 - tanh^2 u) sqrt(2/pi) (1 + 0.134145 z^2).
    This is "gelu" in JAX; it differs from GELUErf by up to 4.7e-4.

    Source: Hendrycks and Gimpel, Gaussian error linear units (2016), eq. 2.
    """

    name: ClassVar[str] = "gelu_tanh"


ACTIVATIONS: dict[str, type[Activation]] = {
    cls.name: cls
    for cls in (
        Identity,
        Sigmoid,
        Tanh,
        ReLU,
        Softmax,
        LeakyReLU,
        ELU,
        Softplus,
        SiLU,
        GELUErf,
        GELUTanh,
    )
}


def activation(given: Activation | str) -> Activation:
    """Return the activation that a name or an object stands for.

    >>> activation("relu")
    ReLU()
    >>> activation(LeakyReLU(0.3))
    LeakyReLU(negative_slope=0.3)
    """
    if isinstance(given, Activation) and type(given) in ACTIVATIONS.values():
        return given
    if isinstance(given, str) and given == "gelu":
        raise InvalidInputError(
            "activation 'gelu' is two functions: write 'gelu_erf' (PyTorch's and "
            "Keras's default) or 'gelu_tanh' (JAX's default)"
        )
    if isinstance(given, str) and given in ACTIVATIONS:
        return ACTIVATIONS[given]()
    expected = ", ".join(ACTIVATIONS)
    raise InvalidInputError(
        f"activation must be an activation or one of {expected}; got {given!r}"
    )
