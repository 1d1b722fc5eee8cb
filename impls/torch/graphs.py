"""The steps of fast.py on a GPU: each one launch, of a CUDA graph.

To launch a kernel takes longer than a small one runs. So a step is
recorded once for a batch size, with the places in memory that it reads
and writes, and then replayed. What differs from step to step lies in
tensors that are filled for many steps together; `i` counts them where
the data are, and Python never waits for a step.
"""

import gc
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tetrapla.spec import Loop, Loss, Stretch

from . import fast, layers
from .optimizers import Optimizer

NUMBERS = 2**24  # of a stretch: large batches come together too
WARM_UP = 3  # steps before one is recorded, as torch's notes advise


@cache  # cuBLAS keeps memory for each stream it has seen
def stream_of(device: torch.device) -> Any:
    """Return the stream on which steps are done and recorded."""
    return torch.cuda.Stream(device)


def recorded(
    step: Callable[[], None], stream: Any
) -> Callable[[], None]:
    """Return what does the step again, recorded as a CUDA graph.

    Other threads may be another framework's, and are left alone; but no
    older graph may be collected here, which would spoil this one.
    """
    graph = torch.cuda.CUDAGraph()
    collecting = gc.isenabled()
    gc.disable()
    try:
        with torch.cuda.graph(
            graph, stream=stream, capture_error_mode="thread_local"
        ):
            step()
    finally:
        if collecting:
            gc.enable()
    return graph.replay


class Tape:
    """Steps of one batch size: what each is given, and its outputs."""

    def __init__(self, steps: "Steps", batch: int) -> None:
        room = max(1, steps.most // batch)
        like, y = steps.samples(np.zeros(batch, np.int64))
        outputs = steps.no_outputs.shape[1]
        self.x = like.new_empty(room, *like.shape)
        self.y = y.new_empty(room, *y.shape)
        self.etas = steps.theta.new_empty(room)
        self.outputs = like.new_empty(room, batch, outputs)
        self.i = torch.zeros(1, dtype=torch.int64, device=like.device)
        self.dropouts = steps.dropouts(batch)
        self.masks = [
            torch.empty(
                (room, *layer.a.shape),
                dtype=layer.word,
                device=like.device,
            )
            for layer in self.dropouts
        ]
        self.count = self.done = 0
        self.replay: Callable[[], None] | None = None

    def fill(self, x: Tensor, y: Tensor, etas: Any, keys: Any) -> None:
        """Take what the next steps are given."""
        self.count = len(etas)
        own, now = (self.x, self.y), slice(self.count)
        for mine, given in zip(own, (x, y), strict=True):
            mine[now].copy_(given.view(mine[now].shape))
        self.etas[now].copy_(torch.from_numpy(etas))
        for masks, layer in zip(self.masks, self.dropouts, strict=True):
            masks[now].copy_(layer.draw(keys))
        self.i.zero_()

    def now(self, tensor: Tensor) -> Tensor:
        """Return the row of the step that is at hand."""
        return tensor.index_select(0, self.i)[0]


class Steps(fast.Steps):
    """Training steps, recorded."""

    # CUDA's fused Adam takes beta2 through float32: 1 - 0.999 is
    # 1.3e-5 off (fused_adam_utils.cuh); the rule here does not
    has_fused = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.tapes: dict[int, Tape] = {}
        self.stream = stream_of(self.theta.device)
        self.recording = True

    def numbers(self) -> int:
        return NUMBERS

    def body(self, tape: Tape) -> None:
        """Do one step: what is recorded."""
        for masks, layer in zip(tape.masks, tape.dropouts, strict=True):
            layer.masks = iter([tape.now(masks)])
        outputs = self.gradient(tape.now(tape.x), tape.now(tape.y))
        tape.outputs.index_copy_(0, tape.i, outputs[None])
        self.t.add_(1)
        self.rule(self.t, tape.now(tape.etas))
        tape.i.add_(1)

    def record(self, tape: Tape) -> None:
        """Record a step, for the next ones to replay."""
        try:
            step = partial(self.body, tape)
            tape.replay = recorded(step, self.stream)
        except RuntimeError as error:  # slower without, and right
            self.recording = False
            warnings.warn(
                f"a step is no CUDA graph: {error}",
                RuntimeWarning,
                stacklevel=2,
            )

    def step(self, tape: Tape) -> None:
        if tape.done == WARM_UP and self.recording:
            self.record(tape)
        tape.done += 1
        if tape.replay is not None:
            tape.replay()
        else:
            self.body(tape)

    @torch.no_grad()
    def run(self, stretch: Stretch, start: int, stop: int) -> Any:
        before = torch.cuda.current_stream(self.theta.device)
        self.stream.wait_stream(before)
        with torch.cuda.stream(self.stream):
            part = stretch.part(start, stop)
            losses = self.replay(part)
        before.wait_stream(self.stream)
        return part.reduced(losses, self.loss)

    def replay(self, part: Stretch) -> Any:
        """Do the steps, and return the loss of each sample."""
        sizes = np.array(part.sizes)
        of_sample = np.repeat(sizes, sizes)
        order = np.argsort(of_sample, kind="stable")  # by batch size
        x, y = self.samples(part.rows[order])
        group = self.optimizer.param_groups[0]
        self.t.fill_(group["t"])
        used, at = [], 0
        for batch in np.unique(sizes).tolist():
            if batch not in self.tapes:
                self.tapes[batch] = Tape(self, batch)
            tape, own = self.tapes[batch], sizes == batch
            rows = slice(at, at := at + batch * int(own.sum()))
            keys = part.keys_of(batch) if tape.dropouts else None
            tape.fill(x[rows], y[rows], part.rates[own], keys)
            used.append(tape)
        for batch in part.sizes:
            self.step(self.tapes[batch])
        group["t"] += len(part)
        outputs = [t.outputs[: t.count].flatten(0, 1) for t in used]
        losses = self.losses(torch.cat(outputs), y).cpu().numpy()
        found = np.empty_like(losses)
        found[order] = losses
        return found


def fit(
    model: layers.Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Any,
    y: Any,
    loop: Loop,
) -> None:
    steps = Steps(model, loss, optimizer, x, y, loop.training.l2)
    try:
        loop.train(steps, len(x), steps.most)
    finally:
        steps.tapes.clear()  # a graph holds memory until it is gone
