"""Training: the settings of a run, and what follows from them alone.

The loop is written out in each implementation (impls/*/training.py):
shuffle, batches, forward, loss, gradient, update. What must be the same in
all of them and is not arithmetic on tensors is defined here and in loop.py,
once:

* the order of epoch e (counted from 0) is permutation(fold_in(fold_in(
  key(seed), SHUFFLE), e), n), or 0 ... n - 1 without shuffling;
* batches are consecutive slices of the order; the last may be smaller;
* the dropout key of step s (counted from 0 over the whole run) is
  fold_in(fold_in(key(seed), DROPOUT), s);
* the learning rate of step s is the optimizer's, times schedule.factor(s);
* what goes down is J = loss + l2 / 2 sum_i ||W_i||^2, over the weight
  matrices and not the biases: l2 W_i is added to the gradient of W_i before
  the optimizer's rule (Deep Learning (2016), eq. 7.2 and 7.3). It is a
  setting of the run, whatever the optimizer; its factor is 1/2 where
  Keras's regularizers.L2 has 1, and it leaves the biases alone, which an
  optimizer's coupled weight_decay does not;
* the loss of an epoch in the history is the mean over its samples of the
  loss as each was seen, before the update that followed: batch losses
  weighted by their size, so that a partial last batch counts for what it
  holds, added in float64 in the order of the steps. The penalty of l2 is not
  in it (in Keras's it is): it can be compared with the validation loss, and
  between two values of l2;
* at the end of an epoch, dropout off: "val_loss" is the mean loss on the
  validation data, and each of `metrics` is measured on the training data
  ("accuracy") and on the validation data ("val_accuracy"). (Keras's
  "accuracy" is a mean over the epoch, with dropout on.)
* the run has converged when the loss moved by less than
  `convergence_threshold` from one epoch to the next;
* early stopping watches the validation loss, or the training loss where
  there is no validation data.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetrapla.spec import bulk, checks, losses, optimizers, schedules, threefry
from tetrapla.spec.errors import InvalidInputError
from tetrapla.spec.losses import Loss
from tetrapla.spec.metrics import metrics as names_of
from tetrapla.spec.optimizers import Optimizer
from tetrapla.spec.schedules import ConstantSchedule, Schedule


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs without a gain of more than `min_delta`.

    An epoch gains if its watched loss is below best - min_delta; the
    weights of the best epoch are what the run returns.

    Source: Prechelt, Early stopping - but when? (1998); Deep Learning
    (2016), algorithm 7.1.
    """

    patience: int = 1
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", checks.integer("patience", self.patience, 1))
        delta = checks.non_negative("min_delta", self.min_delta)
        object.__setattr__(self, "min_delta", delta)


@dataclass(frozen=True, init=False)
class Training:
    """The settings of a run: hashable, no arrays inside.

    `batch_size` is a number of samples from 1 (stochastic) up, or "all"
    (full batch). `metrics` are names: "accuracy" where labels are classes or
    binary, "r2" and "mean_absolute_error" of the mean squared error.

    >>> Training(epochs=10, loss="mse").optimizer
    SGD(lr=0.01, ...)
    """

    epochs: int
    batch_size: int | str
    optimizer: Optimizer
    loss: Loss
    seed: int
    shuffle: bool
    convergence_threshold: float | None
    early_stopping: EarlyStopping | None
    schedule: Schedule
    l2: float
    metrics: tuple[str, ...]

    def __init__(
        self,
        epochs: int,
        batch_size: int | str = 32,
        optimizer: Optimizer | str = "sgd",
        loss: Loss | str = "mean_squared_error",
        *,
        seed: int = 0,
        shuffle: bool = True,
        convergence_threshold: float | None = None,
        early_stopping: EarlyStopping | None = None,
        schedule: Schedule | str = ConstantSchedule.name,
        l2: float = 0.0,
        metrics: tuple[str, ...] | list[str] = (),
    ) -> None:
        settle = object.__setattr__
        settle(self, "epochs", checks.integer("epochs", epochs, 1))
        if not (isinstance(batch_size, str) and batch_size == "all"):
            if isinstance(batch_size, str):
                raise InvalidInputError(
                    f"batch_size must be an integer >= 1 or 'all', got {batch_size!r}"
                )
            batch_size = checks.integer("batch_size", batch_size, 1)
        settle(self, "batch_size", batch_size)
        settle(self, "optimizer", optimizers.optimizer(optimizer))
        settle(self, "loss", losses.loss(loss))
        if self.loss.reduction == "none":
            raise InvalidInputError(
                "training needs one number to go down: the loss's reduction must be "
                "'mean' or 'sum', got 'none'"
            )
        settle(self, "seed", checks.integer("seed", seed, 0, 2**32))
        settle(self, "shuffle", checks.flag("shuffle", shuffle))
        if convergence_threshold is not None:
            convergence_threshold = checks.positive(
                "convergence_threshold", convergence_threshold
            )
        settle(self, "convergence_threshold", convergence_threshold)
        if not isinstance(early_stopping, EarlyStopping | None):
            raise InvalidInputError(
                f"early_stopping must be an EarlyStopping or None, got {early_stopping!r}"
            )
        settle(self, "early_stopping", early_stopping)
        settle(self, "schedule", schedules.schedule(schedule))
        settle(self, "l2", checks.non_negative("l2", l2))
        settle(self, "metrics", names_of(metrics, self.loss))

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order in which epoch `epoch` sees n samples."""
        order: NDArray[np.int64] = self.orders(epoch, 1, n)[0]
        return order

    def orders(self, epoch: int, count: int, n: int) -> NDArray[np.int64]:
        """Return the orders of `count` epochs, the first one's first: (count, n)."""
        if not self.shuffle:
            return np.tile(np.arange(n, dtype=np.int64), (count, 1))
        stream = threefry.fold_in(threefry.key(self.seed), threefry.SHUFFLE)
        return bulk.permutation(bulk.fold_in(stream, np.arange(epoch, epoch + count)), n)

    def batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the rows of each batch, slices of the order."""
        n = len(order)
        size = self.size(n)
        return [order[i : i + size] for i in range(0, n, size)]

    def size(self, n: int) -> int:
        """Return the batch size as a number, where an epoch has n samples."""
        return max(n, 1) if self.batch_size == "all" else int(self.batch_size)

    def dropout_key(self, step: int) -> threefry.Key:
        """Return the key of the dropout masks of a step."""
        key: threefry.Key = self.dropout_keys(step, 1)[0]
        return key

    def dropout_keys(self, step: int, count: int) -> NDArray[np.uint32]:
        """Return the keys of `count` steps, from `step` on: (count, 2)."""
        stream = threefry.fold_in(threefry.key(self.seed), threefry.DROPOUT)
        return bulk.fold_in(stream, np.arange(step, step + count))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        >>> Training(3, schedule=schedules.StepDecay(every=10)).rate(10)
        0.001
        """
        return self.optimizer.lr * self.schedule.factor(step)

    def rates(self, step: int, count: int) -> NDArray[np.float64]:
        """Return the learning rates of `count` steps, from `step` on: (count,)."""
        if isinstance(self.schedule, ConstantSchedule):
            return np.full(count, self.rate(step))
        return np.array([self.rate(s) for s in range(step, step + count)])
