"""The steps of fast.py on a GPU: each one launch, of a CUDA graph.

To launch a kernel takes longer than a small one runs. So a step is
recorded once for a batch size, with the places in memory that it reads
and writes, and then replayed. What differs from step to step lies in
tensors that are filled for many steps together; `i` counts them where
the data are, and Python never waits for a step.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tetrapla.spec import Stretch

from . import fast

WARM_UP = 3  # steps before one is recorded, as torch's notes advise


def recorded(
    step: Callable[[], None], stream: Any
) -> Callable[[], None]:
    """Return what does the step again, recorded as a CUDA graph.

    Only this thread must do nothing that cannot be recorded: others may
    be another framework's.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(
        graph, stream=stream, capture_error_mode="thread_local"
    ):
        step()
    return graph.replay


class Tape:
    """Steps of one batch size, and what each of them is given."""

    def __init__(self, steps: "Steps", batch: int) -> None:
        self.steps, self.batch = steps, batch
        theta, room = steps.theta, max(1, steps.most // batch)
        inputs, outputs = steps.x.shape[1], steps.no_outputs.shape[1]
        self.x = theta.new_empty(room, batch, inputs).to(steps.dtype)
        self.outputs = self.x.new_empty(room, batch, outputs)
        self.y: Tensor | None = None
        self.etas = theta.new_empty(room)
        self.i = torch.zeros(1, dtype=torch.int64, device=theta.device)
        self.dropouts = steps.dropouts(batch)
        self.masks = [
            torch.empty(
                (room, *layer.a.shape),
                dtype=layer.word,
                device=theta.device,
            )
            for layer in self.dropouts
        ]
        self.done = 0
        self.step = self.directly

    def fill(
        self, x: Tensor, y: Tensor, etas: Tensor, part: Stretch
    ) -> None:
        """Take what the steps of this batch size are given."""
        count = len(etas)
        if self.y is None:
            shape = len(self.x), self.batch, *y.shape[1:]
            self.y = y.new_empty(shape)
        for own, given in ((self.x, x), (self.y, y)):
            own[:count].copy_(given.view(count, *own.shape[1:]))
        self.etas[:count].copy_(etas)
        self.i.zero_()
        for masks, layer in zip(self.masks, self.dropouts, strict=True):
            drawn = layer.draw(part.keys_of(self.batch))
            masks[:count].copy_(drawn)

    def now(self, tensor: Tensor) -> Tensor:
        """Return the row of the step that is at hand."""
        return tensor.index_select(0, self.i)[0]

    def body(self) -> None:
        """Do one step: what is recorded."""
        assert self.y is not None
        for masks, layer in zip(self.masks, self.dropouts, strict=True):
            layer.masks = iter([self.now(masks)])
        a, y = self.now(self.x), self.now(self.y)
        outputs = self.steps.gradient(a, y)
        self.outputs.index_copy_(0, self.i, outputs[None])
        self.steps.t.add_(1)
        self.steps.rule(self.steps.t, self.now(self.etas))
        self.i.add_(1)

    def directly(self) -> None:
        """Do one step, and after some of them record the next."""
        self.done += 1
        if self.done <= WARM_UP:
            self.body()
            return
        try:
            self.step = recorded(self.body, self.steps.stream)
        except RuntimeError as error:  # as slow as without, and right
            warnings.warn(
                f"a step is no CUDA graph: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            self.step = self.body
        self.step()


class Steps(fast.Steps):
    """Training steps, recorded."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.tapes: dict[int, Tape] = {}
        self.stream = torch.cuda.Stream(self.theta.device)

    @torch.no_grad()
    def run(self, stretch: Stretch, start: int, stop: int) -> Any:
        before = torch.cuda.current_stream(self.theta.device)
        self.stream.wait_stream(before)
        with torch.cuda.stream(self.stream):
            part = stretch.part(start, stop)
            losses = self.replay(part).cpu()
        before.wait_stream(self.stream)
        return part.reduced(losses.numpy(), self.loss)

    def replay(self, part: Stretch) -> Tensor:
        """Do the steps, and return the loss of each sample."""
        x, y = self.samples(part)
        sizes = torch.tensor(part.sizes)
        of_sample = sizes.repeat_interleave(sizes).to(x.device)
        rates = torch.tensor(part.rates, dtype=self.theta.dtype)
        group = self.optimizer.param_groups[0]
        self.t.fill_(group["t"])
        for batch in set(part.sizes):
            own = of_sample == batch
            etas = rates[sizes == batch].to(x.device)
            if batch not in self.tapes:
                self.tapes[batch] = Tape(self, batch)
            self.tapes[batch].fill(x[own], y[own], etas, part)
        for batch in part.sizes:
            self.tapes[batch].step()
        group["t"] += len(part)
        losses = self.theta.new_empty(len(of_sample))
        for batch in set(part.sizes):
            own = of_sample == batch
            outputs = self.tapes[batch].outputs.flatten(0, 1)
            each = self.losses(outputs[: int(own.sum())], y[own])
            losses[own] = each
        return losses


fit = partial(fast.fit, kind=Steps)
