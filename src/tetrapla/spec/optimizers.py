"""Optimizers: the update rules, and a parameter for every convention.

Symbols: theta a weight, g its gradient, eta the learning rate `lr`, t the
step, counted from 1: t += 1 comes first. All operations are element by
element.

Weight decay, lambda = `weight_decay`, comes before the rule:
    decay="coupled":    g += lambda theta          (L2 regularisation)
    decay="decoupled":  theta -= eta lambda theta  (Loshchilov and Hutter)

Where epsilon stands, `eps_place`:
    "outside":      sqrt(v) + eps
    "inside":       sqrt(v + eps)
    "uncorrected":  Adam alone, see there

Which quantity momentum accumulates, `velocity` (mu = `momentum`):
    "gradients":  b = mu b + g;      theta -= eta b
    "updates":    b = mu b + eta g;  theta -= b
They are the same until eta changes.

Scalar coefficients such as 1 - beta^t are formed in float64 (or as
-expm1(t log beta) where t is traced) and rounded once to the dtype.

Each optimizer has a preset per library, the library's defaults and formula:
`Adam.torch()`, `Adam.keras()`, `Adam.optax()`; every field may be given,
as `Adam.keras(0.01, amsgrad=True)`. See dialects.py.

State is the step "t", int64, and one array per slot and weight, keyed
"slot/weight", of the shape of the weight: `slots` gives their names and
first values.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import checks
from tetrapla.spec.dialects import PRESETS
from tetrapla.spec.errors import InvalidInputError

Arrays = dict[str, NDArray[Any]]
DECAYS = ("coupled", "decoupled")
EPS_PLACES = ("outside", "inside")
ADAM_EPS_PLACES = ("outside", "inside", "uncorrected")
VELOCITIES = ("gradients", "updates")
AMSGRAD_MAXIMA = ("raw", "corrected")


class Optimizer:
    """Base of the optimizers, which are frozen dataclasses with these fields.

    Not a dataclass itself, so that each subclass orders its own fields.
    """

    name: ClassVar[str]
    lr: float
    weight_decay: float
    decay: str

    def __post_init__(self) -> None:
        self._check(checks.non_negative, "lr", "weight_decay")
        checks.choice("decay", self.decay, DECAYS)

    def with_lr(self, lr: float) -> "Optimizer":
        """Return the same rule with another learning rate; it fits the same state.

        >>> SGD(0.1, momentum=0.9).with_lr(0.05).lr
        0.05
        """
        return replace(self, lr=lr)  # type: ignore[type-var]

    @classmethod
    def torch(cls, lr: float | None = None, **changes: Any) -> Self:
        """Return PyTorch's optimizer of this name: its defaults and formula.

        >>> RMSProp.torch().rho
        0.99
        """
        return cls._preset("torch", lr, changes)

    @classmethod
    def keras(cls, lr: float | None = None, **changes: Any) -> Self:
        """Return Keras's optimizer of this name: its defaults and formula.

        >>> Adam.keras().eps_place
        'uncorrected'
        """
        return cls._preset("keras", lr, changes)

    @classmethod
    def optax(cls, lr: float | None = None, **changes: Any) -> Self:
        """Return Optax's optimizer of this name: its defaults and formula.

        Optax has no default learning rate: without one it is ours.

        >>> Adagrad.optax(0.5).initial_accumulator
        0.1
        """
        return cls._preset("optax", lr, changes)

    @classmethod
    def _preset(cls, library: str, lr: float | None, changes: dict[str, Any]) -> Self:
        given = changes if lr is None else changes | {"lr": lr}
        return cls(**PRESETS[library][cls.name] | given)

    def first_state(self, weights: Arrays) -> Arrays:
        """Return the state before the first step: "t" and all slots.

        >>> SGD(0.1, momentum=0.9).first_state({"0.bias": np.ones(2)})
        {'t': array(0), 'velocity/0.bias': array([0., 0.])}
        """
        state: Arrays = {"t": np.array(0, np.int64)}
        for slot, first in self.slots.items():
            for name, w in weights.items():
                # zeros that nobody has written to take no memory yet
                zeros = np.zeros(w.shape, w.dtype)
                state[f"{slot}/{name}"] = (
                    zeros if first == 0 else zeros + w.dtype.type(first)
                )
        return state

    def _check(self, check: Callable[[str, object], Any], *names: str) -> None:
        for name in names:
            object.__setattr__(self, name, check(name, getattr(self, name)))

    @property
    def slots(self) -> dict[str, float]:
        """The state per weight: the slots' names and first values."""
        return {}


def _nesterov_needs_momentum(nesterov: bool, momentum: float) -> None:
    if nesterov and momentum == 0:
        raise InvalidInputError("nesterov=True needs momentum > 0, got 0.0")


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: theta -= eta g.

    With momentum mu > 0 and the slot b ("velocity"):
        b = mu b + g;  theta -= eta b
    with nesterov=True:
        b = mu b + g;  theta -= eta (g + mu b)
    with velocity="updates":
        b = mu b + eta g;  theta -= b   (nesterov: theta -= eta g + mu b)

    Source: Sutskever, Martens, Dahl and Hinton, On the importance of
    initialization and momentum in deep learning (ICML 2013), in the form
    of PyTorch and Optax ("gradients") or of Keras ("updates").
    """

    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay: str = "coupled"
    velocity: str = "gradients"
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(checks.fraction, "momentum")
        self._check(checks.flag, "nesterov")
        checks.choice("velocity", self.velocity, VELOCITIES)
        _nesterov_needs_momentum(self.nesterov, self.momentum)

    @property
    def slots(self) -> dict[str, float]:
        return {"velocity": 0.0} if self.momentum else {}


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """a = a + g^2;  theta -= eta g / (sqrt(a) + eps).

    The slot "a" starts at `initial_accumulator`.

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods (JMLR
    2011), fig. 1, diagonal form, epsilon outside the root.
    """

    lr: float = 0.01
    eps: float = 1e-10
    initial_accumulator: float = 0.0
    eps_place: str = "outside"
    weight_decay: float = 0.0
    decay: str = "coupled"
    name: ClassVar[str] = "adagrad"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(checks.non_negative, "eps", "initial_accumulator")
        checks.choice("eps_place", self.eps_place, EPS_PLACES)

    @property
    def slots(self) -> dict[str, float]:
        return {"a": self.initial_accumulator}


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps in the units of theta: eta sqrt(u + eps) / sqrt(v + eps) g.

    v = rho v + (1 - rho) g^2;  d = sqrt(u + eps) / sqrt(v + eps) g;
    u = rho u + (1 - rho) d^2;  theta -= eta d.

    Source: Zeiler, ADADELTA: an adaptive learning rate method (2012),
    algorithm 1, where eta = 1; epsilon inside both roots.
    """

    lr: float = 1.0
    rho: float = 0.95
    eps: float = 1e-6
    weight_decay: float = 0.0
    decay: str = "coupled"
    name: ClassVar[str] = "adadelta"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(checks.fraction, "rho")
        self._check(checks.non_negative, "eps")

    @property
    def slots(self) -> dict[str, float]:
        return {"v": 0.0, "u": 0.0}


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2;  d = g / (sqrt(v) + eps);  theta -= eta d.

    centered=True divides by the standard deviation instead:
        m = rho m + (1 - rho) g;  max(v - m^2, 0) in place of v
    (the maximum is ours: v - m^2 rounds below 0 on constant gradients, and
    PyTorch, Optax and Keras reach NaN there). With momentum mu > 0 and the
    slot b ("velocity"), b = mu b + d; theta -= eta b, or with
    velocity="updates" b = mu b + eta d; theta -= b; nesterov as in SGD.

    Source: Hinton, Srivastava and Swersky, Neural networks for machine
    learning, lecture 6e (2012); centred: Graves, Generating sequences with
    recurrent neural networks (2013), eq. 38 to 45.
    """

    lr: float = 0.01
    rho: float = 0.9
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    eps_place: str = "outside"
    velocity: str = "gradients"
    nesterov: bool = False
    weight_decay: float = 0.0
    decay: str = "coupled"
    name: ClassVar[str] = "rmsprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(checks.fraction, "rho", "momentum")
        self._check(checks.non_negative, "eps")
        self._check(checks.flag, "centered", "nesterov")
        _nesterov_needs_momentum(self.nesterov, self.momentum)
        checks.choice("eps_place", self.eps_place, EPS_PLACES)
        checks.choice("velocity", self.velocity, VELOCITIES)

    @property
    def slots(self) -> dict[str, float]:
        slots = {"v": 0.0}
        if self.centered:
            slots["m"] = 0.0
        if self.momentum:
            slots["velocity"] = 0.0
        return slots


@dataclass(frozen=True)
class Adam(Optimizer):
    """Moving averages of g and g^2, corrected for their start at 0.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
    m^ = m / (1 - beta1^t);  v^ = v / (1 - beta2^t);
    theta -= eta m^ / (sqrt(v^) + eps).

    eps_place="inside": sqrt(v^ + eps). eps_place="uncorrected" is the
    paper's epsilon-hat (end of section 2), and Keras's:
    eta sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps), which is the
    rule above with eps / sqrt(1 - beta2^t) for eps.

    amsgrad=True keeps the largest v in the slot "v_max" and divides by it:
    amsgrad_max="raw": v_max = max(v_max, v), v^ = v_max / (1 - beta2^t)
    (PyTorch, Keras); "corrected": v_max = max(v_max, v / (1 - beta2^t)),
    v^ = v_max (Optax).

    Source: Kingma and Ba, Adam: a method for stochastic optimization (ICLR
    2015), algorithm 1; Reddi, Kale and Kumar, On the convergence of Adam
    and beyond (ICLR 2018), algorithm 2, which corrects no bias.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    amsgrad: bool = False
    weight_decay: float = 0.0
    decay: str = "coupled"
    eps_place: str = "outside"
    amsgrad_max: str = "raw"
    name: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(checks.fraction, "beta1", "beta2")
        self._check(checks.non_negative, "eps")
        self._check(checks.flag, "amsgrad")
        checks.choice("eps_place", self.eps_place, ADAM_EPS_PLACES)
        checks.choice("amsgrad_max", self.amsgrad_max, AMSGRAD_MAXIMA)

    @property
    def slots(self) -> dict[str, float]:
        slots = {"m": 0.0, "v": 0.0}
        if self.amsgrad:
            slots["v_max"] = 0.0
        return slots


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled decay: theta -= eta lambda theta, then Adam's rule.

    Source: Loshchilov and Hutter, Decoupled weight decay regularization
    (ICLR 2019), algorithm 2, with lambda multiplied by eta as in every
    framework.
    """

    weight_decay: float = 0.01
    decay: str = "decoupled"
    name: ClassVar[str] = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay != "decoupled":
            raise InvalidInputError(
                f"AdamW's decay is 'decoupled', got {self.decay!r}; "
                "write Adam(weight_decay=...) for the coupled form"
            )


OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.name: cls for cls in (SGD, Adagrad, Adadelta, RMSProp, Adam, AdamW)
}


def optimizer(given: Optimizer | str) -> Optimizer:
    """Return the optimizer that a name or an object stands for.

    >>> optimizer("sgd").lr
    0.01
    """
    if isinstance(given, Optimizer) and type(given) in OPTIMIZERS.values():
        return given
    if isinstance(given, str) and given in OPTIMIZERS:
        return OPTIMIZERS[given]()
    expected = ", ".join(OPTIMIZERS)
    raise InvalidInputError(
        f"optimizer must be an optimizer or one of {expected}; got {given!r}"
    )
