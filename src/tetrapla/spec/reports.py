"""What a run says as it goes on: its reports, and the states it saves."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tetrapla.spec.state import Arrays, TrainingState


@dataclass(frozen=True)
class StepReport:
    """What `on_step` is given: the step just done, and its batch's loss.

    `state()` is a copy of all that resuming needs, as it is when it is asked
    for; `stop()` ends the run after this step, to be resumed in the middle of
    its epoch.
    """

    epoch: int
    step: int
    loss: float
    state: Callable[[], TrainingState] = field(repr=False, compare=False)
    stop: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class EpochReport:
    """What `on_epoch` is given: the epoch just done, and its history row.

    `weights()` is a copy of the weights as they are now, `state()` of all
    that resuming needs; `stop()` ends the run here.
    """

    epoch: int
    history: dict[str, float]
    weights: Callable[[], Arrays]
    state: Callable[[], TrainingState] = field(repr=False, compare=False)
    stop: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Saving:
    """Where and when a run saves its state.

    `save` is called at the end of every epoch, after every `every` steps where
    that is a number, when a callback stops the run, and when `interrupted()`
    says that the user wants to stop; then KeyboardInterrupt ends the run, after
    a whole step. Of epochs that were done together, between which nothing can
    end the run, it may be called for the last `keep` alone. It may return
    before all is written; `wait()` does not, and is called before a callback,
    which may look.
    """

    save: Callable[[TrainingState], None]
    every: int | None = None
    interrupted: Callable[[], bool] = lambda: False
    wait: Callable[[], None] = lambda: None
    keep: int | None = None
