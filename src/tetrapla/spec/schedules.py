"""Schedules: how the learning rate changes from step to step.

A schedule is a factor: the learning rate of step s, counted from 0 over
the whole run, is eta_s = lr * factor(s), with the optimizer's lr. It is
formed in float64 on the host and rounded once to the dtype, so that every
backend has the same rate in every step. It depends on s alone: a run that
goes on from step s has the rate that the uninterrupted one has there.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from tetrapla.spec import checks
from tetrapla.spec.errors import InvalidInputError


class Schedule(ABC):
    """Base of the schedules, which are frozen dataclasses."""

    name: ClassVar[str]

    @abstractmethod
    def factor(self, step: int) -> float:
        """Return what the optimizer's learning rate is multiplied by."""


@dataclass(frozen=True)
class ConstantSchedule(Schedule):
    """factor(s) = 1."""

    name: ClassVar[str] = "constant"

    def factor(self, step: int) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """factor(s) = gamma^floor(s / every): a fall every `every` steps.

    PyTorch's StepLR, Keras's ExponentialDecay(staircase=True), Optax's
    exponential_decay(staircase=True).

    >>> [StepDecay(every=2, gamma=0.5).factor(s) for s in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    every: int
    gamma: float = 0.1
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", checks.integer("every", self.every, 1))
        gamma = checks.positive("gamma", self.gamma)
        if gamma > 1:
            raise InvalidInputError(f"gamma must be in (0, 1], got {gamma!r}")
        object.__setattr__(self, "gamma", gamma)

    def factor(self, step: int) -> float:
        return self.gamma ** (step // self.every)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a period of a cosine, from 1 down to `final` after `steps`, then `final`.

    factor(s) = final + (1 - final) (1 + cos(pi min(s, steps) / steps)) / 2.

    Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with
    warm restarts (ICLR 2017), eq. 5, one period of it. PyTorch's
    CosineAnnealingLR for s <= steps (after it PyTorch's rate rises again),
    Keras's CosineDecay, Optax's cosine_decay_schedule.

    >>> round(CosineDecay(10).factor(5), 15)
    0.5
    """

    steps: int
    final: float = 0.0
    name: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", checks.integer("steps", self.steps, 1))
        object.__setattr__(self, "final", checks.non_negative("final", self.final))

    def factor(self, step: int) -> float:
        turned = math.pi * min(step, self.steps) / self.steps
        return self.final + (1 - self.final) * (1 + math.cos(turned)) / 2


@dataclass(frozen=True)
class Warmup(Schedule):
    """From `start` up to 1 along a line in `steps` steps, then the schedule `then`.

    factor(s) = start + (1 - start) s / steps for s < steps, and
    then.factor(s - steps) from there on. With the default start of 0 the
    first step moves nothing, as in Keras and Optax.

    Source: Goyal et al., Accurate, large minibatch SGD (2017), section 2.2.

    >>> [Warmup(4).factor(s) for s in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    steps: int
    then: Schedule = field(default_factory=ConstantSchedule)
    start: float = 0.0
    name: ClassVar[str] = "warmup"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", checks.integer("steps", self.steps, 1))
        object.__setattr__(self, "then", schedule(self.then, "then"))
        object.__setattr__(self, "start", checks.non_negative("start", self.start))

    def factor(self, step: int) -> float:
        if step < self.steps:
            return self.start + (1 - self.start) * step / self.steps
        return self.then.factor(step - self.steps)


SCHEDULES: dict[str, type[Schedule]] = {
    cls.name: cls for cls in (ConstantSchedule, StepDecay, CosineDecay, Warmup)
}


def schedule(given: Schedule | str, name: str = "schedule") -> Schedule:
    """Return the schedule that an object, or "constant", stands for.

    >>> schedule("constant")
    ConstantSchedule()
    """
    if isinstance(given, Schedule) and type(given) in SCHEDULES.values():
        return given
    if isinstance(given, str) and given == ConstantSchedule.name:
        return ConstantSchedule()
    expected = ", ".join(f"{cls.__name__}(...)" for cls in SCHEDULES.values())
    raise InvalidInputError(
        f"{name} must be a schedule, one of {expected}, or 'constant'; got {given!r}"
    )
