"""The loop of training.py, faster: backpropagation without a graph.

A recorded graph costs more than the arithmetic of a small network.
Here the products and their gradients are written out, into tensors
that are there already; relu, dropout and the gradient of the softmax
cross-entropy work in place, and autograd derives any other. The weights
are one vector, of which the layers' are views, so that a rule is called
once for all, Adam as torch's fused kernel; rows, masks and losses are
those of many steps at once. Halves are multiplied as in mixed.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tetrapla.spec import (
    Adam,
    Identity,
    Loop,
    Loss,
    ReLU,
    SoftmaxCrossEntropy,
    Stretch,
    Together,
    bulk,
)

from . import layers, losses
from .activations import activation, activation_gradient, wide
from .optimizers import Optimizer, Rate, Step

NUMBERS = 2**20  # of a stretch, in its widest layer
WORDS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes
threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Dense:
    """a = g(z), z = x W + b, and backward, for one batch size."""

    def __init__(
        self,
        layer: layers.Dense,
        gradients: list[Tensor],
        batch: int,
        first: bool,
        dtype: torch.dtype,
    ) -> None:
        self.first = first
        self.weight = layer.weight.detach()
        self.bias = layer.bias.detach()
        self.weight_grad, self.bias_grad = gradients
        self.activation = layer.activation
        self.relu = isinstance(layer.activation, ReLU)
        self.identity = isinstance(layer.activation, Identity)
        inputs, outputs = self.weight.shape
        like = self.weight.to(dtype)
        self.z = like.new_empty(batch, outputs)
        self.a = torch.empty_like(self.z)
        self.dx = like.new_empty(batch, inputs)

    def linear(self, x: Tensor) -> None:
        torch.addmm(self.bias, x, self.weight, out=self.z)

    def gradients(self, x: Tensor, dz: Tensor) -> None:
        torch.mm(x.t(), dz, out=self.weight_grad)
        torch.sum(dz, 0, out=self.bias_grad)

    def input_gradient(self, dz: Tensor) -> Tensor:
        return torch.mm(dz, self.weight.t(), out=self.dx)

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        self.linear(x)
        if self.identity:
            return self.z
        if self.relu:
            return torch.clamp_min(self.z, 0, out=self.a)
        return activation(self.activation, self.z)

    def backward(self, da: Tensor) -> Tensor:
        dz = da
        if self.relu:
            threshold_backward(da, self.z, 0, grad_input=dz)
        elif not self.identity:
            with torch.enable_grad():
                dz = activation_gradient(self.activation, self.z, da)
        self.gradients(self.x, dz)
        if self.first:  # nobody asks for the gradient of the data
            return dz
        return self.input_gradient(dz)


class Mixed(Dense):
    """Dense for halves: mixed.py, for one batch size."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.half = self.weight.to(self.z.dtype)  # as it is now
        self.half_grad = torch.empty_like(self.half)

    def linear(self, x: Tensor) -> None:
        self.half.copy_(self.weight)
        xw = torch.mm(x, self.half, out=self.a)
        torch.add(xw, self.bias, out=self.z)

    def gradients(self, x: Tensor, dz: Tensor) -> None:
        torch.mm(x.t(), dz, out=self.half_grad)
        self.weight_grad.copy_(self.half_grad)
        torch.sum(wide(dz), 0, out=self.bias_grad)

    def input_gradient(self, dz: Tensor) -> Tensor:
        return torch.mm(dz, self.half.t(), out=self.dx)


class Dropout:
    """a = x / keep where kept, 0 where dropped, for one batch size.

    A mask is ones or zeros in all bits of a number: "and" with it is 0
    where dropped, of infinity too, and faster than masked_fill.
    """

    def __init__(self, layer: layers.Dropout, like: Tensor) -> None:
        self.keep, self.place = layer.keep, layer.place
        self.masks: Iterator[Tensor] = iter(())
        self.a = torch.empty_like(like)  # (batch, inputs)
        self.word = WORDS[like.dtype.itemsize]

    def draw(self, keys: Any) -> Tensor:
        """Return the masks of the steps of these keys."""
        shape = tuple(self.a.shape)
        kept = bulk.masks(keys, self.place, self.keep, shape)
        masks = torch.from_numpy(kept).to(self.a.device, self.word)
        return masks.neg_()

    def forward(self, x: Tensor) -> Tensor:
        self.mask = next(self.masks)
        return self.masked(torch.div(x, self.keep, out=self.a))

    def backward(self, da: Tensor) -> Tensor:
        return self.masked(da.div_(self.keep))

    def masked(self, a: Tensor) -> Tensor:
        a.view(self.word).bitwise_and_(self.mask)
        return a


def flattened(tensors: list[Tensor]) -> Tensor:
    """Return one vector of all; each becomes a view of its part."""
    flat = torch.cat([t.detach().flatten() for t in tensors])
    parts = flat.split([t.numel() for t in tensors])
    for t, part in zip(tensors, parts, strict=True):
        t.data = part.view(t.shape)
    return flat


class Steps(Together):
    """Training steps, with all that they write into."""

    has_fused = True

    def __init__(
        self,
        model: layers.Sequential,
        loss: Loss,
        optimizer: Optimizer,
        x: Any,
        y: Any,
        l2: float,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.x, self.y, self.l2 = x, y, l2
        self.dtype = x[:1].dtype
        weights = model.weights()
        self.gradients = {
            n: torch.zeros_like(w) for n, w in weights.items()
        }
        self.g = flattened(list(self.gradients.values()))
        self.theta = flattened(list(weights.values()))
        self.matrices = [
            (g, weights[name].detach())
            for name, g in self.gradients.items()
            if g.ndim == 2
        ]
        self.slots = {
            slot: flattened(
                [optimizer.state[w][slot] for w in weights.values()]
            )
            for slot in optimizer.hyper.slots
        }
        self.networks: dict[int, list[Dense | Dropout]] = {}
        hyper = optimizer.hyper
        # in float64 the kernel's 1 - beta^t has lost digits
        self.fused = (
            self.has_fused
            and isinstance(hyper, Adam)
            and self.theta.dtype == torch.float32
            and hyper.eps_place == "outside"
            and not hyper.amsgrad
        )
        self.t = self.theta.new_zeros(())  # of float32, as the kernel's
        widths = [w.shape[-1] for w in weights.values()]
        widest = max(x.shape[1], *widths)
        self.most = self.numbers() // widest  # samples
        outputs = widths[-1]
        self.no_outputs = self.theta.new_empty(0, outputs)

    def numbers(self) -> int:
        """Return what a stretch may have, in its widest layer."""
        return NUMBERS

    def network(self, batch: int) -> list[Dense | Dropout]:
        """Return the layers, with tensors for batches of that size."""
        if batch in self.networks:
            return self.networks[batch]
        made: list[Dense | Dropout] = []
        width = self.x.shape[1]
        dense = Mixed if self.dtype.itemsize == 2 else Dense
        for i, layer in enumerate(self.model.children()):
            if isinstance(layer, layers.Dropout):
                like = self.theta.new_empty(batch, width)
                made.append(Dropout(layer, like.to(self.dtype)))
            elif isinstance(layer, layers.Dense):
                names = f"{i}.weight", f"{i}.bias"
                g = [self.gradients[name] for name in names]
                given = layer, g, batch, i == 0, self.dtype
                made.append(dense(*given))
                width = layer.weight.shape[1]
        self.networks[batch] = made
        return made

    def samples(self, rows: Any) -> tuple[Tensor, Tensor]:
        """Return the inputs and labels of some samples."""
        x, y = self.x[rows], self.y[rows]
        if isinstance(self.loss, SoftmaxCrossEntropy):
            y = losses.one_hot(y, self.no_outputs)
        return x, y

    def dropouts(self, batch: int) -> list[Dropout]:
        network = self.network(batch)
        return [each for each in network if isinstance(each, Dropout)]

    @torch.no_grad()
    def run(self, stretch: Stretch, start: int, stop: int) -> Any:
        part = stretch.part(start, stop)
        x, y = self.samples(part.rows)
        for batch in set(part.sizes):
            for layer in self.dropouts(batch):
                layer.masks = iter(layer.draw(part.keys_of(batch)))
        outputs = []
        for rows, eta in part.batches():
            a = x[rows]  # forward
            outputs.append(self.gradient(a, y[rows]).clone())
            self.update(eta)
        each = self.losses(torch.cat(outputs), y)
        return part.reduced(each.cpu().numpy(), self.loss)

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each sample."""
        each = replace(self.loss, reduction="none")
        return losses.loss(each, outputs, y)

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Make the gradients of the weights, and return the outputs."""
        network = self.network(len(x))
        a = x
        for layer in network:
            a = layer.forward(a)
        da = self.loss_gradient(a, y)  # gradient
        for layer in reversed(network):
            da = layer.backward(da)
        return a

    def loss_gradient(self, outputs: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.loss, SoftmaxCrossEntropy):
            da = torch.softmax(wide(outputs), 1)
            # rows that add up to 1, but for rounding
            if self.y.ndim == 2:
                da.mul_(y.sum(1, keepdim=True))
            da.sub_(y)
            if self.loss.reduction == "mean":
                da.div_(len(y))
            return da.to(self.dtype)
        with torch.enable_grad():
            outputs = outputs.detach().requires_grad_()
            value = losses.loss(self.loss, outputs, y)
            return torch.autograd.grad(value, outputs)[0]

    def update(self, eta: float) -> None:
        group = self.optimizer.param_groups[0]
        group["t"] += 1
        self.t.fill_(group["t"])
        self.rule(group["t"], eta)

    def rule(self, t: Step, eta: Rate) -> None:
        optimizer, theta = self.optimizer, self.theta
        if self.l2 != 0:
            for g, w in self.matrices:
                g.add_(w, alpha=self.l2)
        g = optimizer.decay(theta, self.g, eta)
        if not self.fused:
            optimizer.update(theta, g, self.slots, t, eta)
            return
        hyper = optimizer.hyper
        # what torch.optim.Adam(fused=True) calls in the end
        torch._fused_adam_(
            [theta],
            [g],
            [self.slots["m"]],
            [self.slots["v"]],
            [],
            [self.t],
            amsgrad=False,
            beta1=hyper.beta1,
            beta2=hyper.beta2,
            lr=eta,
            weight_decay=0,
            eps=hyper.eps,
            maximize=False,
        )

    def keep(self) -> tuple[Tensor, dict[str, Tensor], int]:
        slots = {
            name: slot.clone() for name, slot in self.slots.items()
        }
        t = self.optimizer.param_groups[0]["t"]
        return self.theta.clone(), slots, t

    def restore(
        self, kept: tuple[Tensor, dict[str, Tensor], int]
    ) -> None:
        theta, slots, self.optimizer.param_groups[0]["t"] = kept
        self.theta.copy_(theta)
        for name, slot in slots.items():
            self.slots[name].copy_(slot)


def fit(
    model: layers.Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Any,
    y: Any,
    loop: Loop,
) -> None:
    steps = Steps(model, loss, optimizer, x, y, loop.training.l2)
    loop.train(steps, len(x), steps.most)
