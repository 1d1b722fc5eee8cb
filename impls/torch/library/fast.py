"""The loop of training.py, faster: many steps' rows and masks at once.

The steps are those of train_step: torch.nn and torch.optim do what they
do. To draw a mask in torch costs more than a step.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import nn, optim

from tetrapla.spec import Loop, Loss, Stretch, Together, bulk

from .layers import Dropout, parameters, places
from .training import train_step

NUMBERS = 2**20  # of a stretch, in its widest layer


class Steps(Together):
    """Training steps on a model and its optimizer."""

    def __init__(
        self,
        model: nn.Sequential,
        loss: Loss,
        optimizer: optim.Optimizer,
        x: Any,
        y: Any,
        l2: float,
    ) -> None:
        self.given = model, loss, optimizer
        self.model, self.optimizer = model, optimizer
        self.x, self.y, self.l2 = x, y, l2
        self.dropouts: list[tuple[Dropout, int]] = []
        width = x.shape[1]
        for _, module in places(model):
            if isinstance(module, nn.Linear):
                width = module.out_features
            elif isinstance(module, Dropout):
                self.dropouts.append((module, width))

    def run(self, stretch: Stretch, start: int, stop: int) -> Any:
        part = stretch.part(start, stop)
        x, y = self.x[part.rows], self.y[part.rows]
        masks = {
            n: self.masks(part, n, x.device) for n in set(part.sizes)
        }
        values = []
        for batch, eta in part.batches():
            key = None  # dropout is off
            for module, mask in masks[batch.stop - batch.start]:
                key = module.drawn = next(mask)
            for group in self.optimizer.param_groups:
                group["lr"] = eta  # schedule
            value = train_step(
                *self.given, x[batch], y[batch], key, self.l2
            )
            values.append(value)
        return torch.stack(values).cpu()

    def masks(
        self, part: Stretch, batch: int, device: torch.device
    ) -> list[tuple[Dropout, Any]]:
        """Return each module's masks of the batches of that size."""
        drawn = []
        for module, width in self.dropouts:
            keys, shape = part.keys_of(batch), (batch, width)
            kept = bulk.masks(keys, module.place, 1 - module.p, shape)
            each = torch.from_numpy(kept).to(device)
            drawn.append((module, iter(each)))
        return drawn

    def keep(self) -> Any:
        theta = [w.detach().clone() for w in self.model.parameters()]
        return theta, deepcopy(self.optimizer.state_dict())

    def restore(self, kept: Any) -> None:
        theta, state = kept
        with torch.no_grad():
            for w, value in zip(
                self.model.parameters(), theta, strict=True
            ):
                w.copy_(value)
        self.optimizer.load_state_dict(deepcopy(state))


def fit(
    model: nn.Sequential,
    loss: Loss,
    optimizer: optim.Optimizer,
    x: Any,
    y: Any,
    loop: Loop,
) -> None:
    steps = Steps(model, loss, optimizer, x, y, loop.training.l2)
    widths = [w.shape[0] for w in parameters(model).values()]
    most = NUMBERS // max(x.shape[1], *widths)
    loop.train(steps, len(x), most)
