"""The loop of training.py, faster: many steps in one XLA program.

That of tf's fast.py, on a Keras model and a Keras optimizer.
"""

from typing import Any

import tensorflow as tf

from .. import fast
from ..fast import fit, kept
from . import losses, training

__all__ = ["Program", "fit", "kept"]


class Program(fast.Program):
    """Many training steps on a model and an optimizer, compiled."""

    train_step: Any = staticmethod(training.train_step)
    losses: Any = losses

    def set_rate(self, eta: tf.Tensor) -> None:
        self.optimizer.learning_rate = eta

    def evaluated(self, x: tf.Tensor) -> tf.Tensor:
        training.set_key(self.model, None)
        return self.model(x)
