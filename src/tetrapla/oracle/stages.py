"""The oracle: every stage of a pass, from the inputs the backend had there.

A stage's expectation is computed from the tensors that the backend itself
returned for the stages before it, so bounds never compound, and the first
stage outside its bound is where the fault is. Large stages come in blocks,
so that verifying a network takes little memory beside the network.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tetrapla.oracle import activations, layers, losses
from tetrapla.oracle.arithmetic import Arithmetic
from tetrapla.oracle.bounded import Bounded, cast, exact, given, product
from tetrapla.oracle.layers import BLOCK, chunks
from tetrapla.spec import threefry
from tetrapla.spec.contract import Array, Arrays
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import Loss

Index = tuple[slice, ...]
Blocks = Iterator[tuple[Index, Bounded]]


@dataclass(frozen=True)
class Stage:
    """One tensor that a backend must produce: its name and what it comes from.

    `inputs` are the backend's own, by name. `blocks` yields the expectation
    piece by piece, each with its place in the tensor.
    """

    tensor: str
    formula: str
    shape: tuple[int, ...]
    inputs: Mapping[str, Array]
    blocks: Callable[[], Blocks]


def of_pass(
    ar: Arithmetic,
    net: Sequential,
    weights: Arrays,
    x: Array,
    y: Array,
    loss: Loss,
    key: threefry.Key | None,
    own: Arrays,
) -> Iterator[Stage]:
    """Yield the stages of Backend.trace, in its order, from its own tensors.

    A stage of which an input is missing from `own` is not yielded.
    """
    ahead = _Pass(ar, net, weights, x, y, loss, key, own)
    yield from ahead.forward()
    yield from ahead.backward()


@dataclass(frozen=True)
class _Pass:
    ar: Arithmetic
    net: Sequential
    weights: Arrays
    x: Array
    y: Array
    loss: Loss
    key: threefry.Key | None
    own: Arrays

    def before(self, i: int) -> tuple[str, Array | None]:
        """Return what layer i is given."""
        return ("x", self.x) if i == 0 else (f"{i - 1}.a", self.own.get(f"{i - 1}.a"))

    def forward(self) -> Iterator[Stage]:
        for i, layer in enumerate(self.net.layers):
            name, a = self.before(i)
            if isinstance(layer, Dense):
                w, b = self.weights[f"{i}.weight"], self.weights[f"{i}.bias"]
                if a is not None:
                    inputs = {name: a, f"{i}.weight": w, f"{i}.bias": b}
                    formula = f"{name} @ {i}.weight + {i}.bias"
                    blocks = self.products(a, w, b)
                    shape = (len(a), w.shape[1])
                    yield Stage(f"{i}.z", formula, shape, inputs, blocks)
                z = self.own.get(f"{i}.z")
                if z is not None:
                    yield self.activation(i, layer, z)
            elif isinstance(layer, Dropout) and a is not None:
                yield from self.dropout(i, layer, name, a, "a")
        last, outputs = self.before(len(self.net.layers))
        if outputs is not None:
            yield self.value(last, outputs)

    def value(self, last: str, outputs: Array) -> Stage:
        def blocks() -> Blocks:
            yield (), losses.loss(self.loss, given(self.ar.wide, outputs), self.y)

        inputs = {last: outputs, "y": self.y}
        return Stage("loss", f"{self.loss.name}({last}, y)", (), inputs, blocks)

    def activation(self, i: int, layer: Dense, z: Array) -> Stage:
        g = layer.activation

        def rows(at: slice) -> Bounded:
            return activations.activation(g, given(self.ar, z[at]))

        return Stage(f"{i}.a", f"{g.name}({i}.z)", z.shape, {f"{i}.z": z}, _rows(z, rows))

    def dropout(
        self, i: int, layer: Dropout, name: str, a: Array, ahead: str
    ) -> Iterator[Stage]:
        """Yield the mask (forward), and what it makes of a or of the gradient."""
        if self.key is None:
            same = _rows(a, lambda at: given(self.ar, a[at]))
            yield Stage(f"{i}.{ahead}", name, a.shape, {name: a}, same)
            return
        if ahead == "a":
            kept = layers.mask(layer, i, self.key, a.shape)
            bits = _rows(kept, lambda at: exact(self.ar, kept[at].astype(float)))
            yield Stage(f"{i}.mask", f"bernoulli(1 - {layer.rate})", a.shape, {}, bits)
        own_mask = self.own.get(f"{i}.mask")
        if own_mask is None or own_mask.shape != a.shape:
            return
        chosen = own_mask.astype(bool)

        def rows(at: slice) -> Bounded:
            return layers.dropped(layer, chosen[at], given(self.ar, a[at]))

        inputs = {name: a, f"{i}.mask": own_mask}
        formula = f"{name} / {1 - layer.rate:g} where {i}.mask"
        yield Stage(f"{i}.{ahead}", formula, a.shape, inputs, _rows(a, rows))

    def backward(self) -> Iterator[Stage]:
        last = len(self.net.layers) - 1
        outputs = self.own.get(f"{last}.a")
        if outputs is not None:
            yield self.loss_gradient(last, outputs)
        for i, layer in reversed(list(enumerate(self.net.layers))):
            below = f"{i - 1}.da" if i else "input.grad"
            da = self.own.get(f"{i}.da")
            if isinstance(layer, Dropout) and da is not None:
                for stage in self.dropout(i, layer, f"{i}.da", da, "da"):
                    yield replace(stage, tensor=below)
            if not isinstance(layer, Dense):
                continue
            z, dz = self.own.get(f"{i}.z"), self.own.get(f"{i}.dz")
            if z is not None and da is not None:
                yield self.activation_gradient(i, layer, z, da)
            if dz is None:
                continue
            name, a = self.before(i)
            if a is not None:
                inputs = {name: a, f"{i}.dz": dz}
                shape = (a.shape[1], dz.shape[1])
                blocks = widened(self.ar, self.products(a.T, dz))
                formula = f"{name}.T @ {i}.dz"
                yield Stage(f"{i}.weight.grad", formula, shape, inputs, blocks)
            yield self.bias_gradient(i, dz)
            w = self.weights[f"{i}.weight"]
            inputs = {f"{i}.dz": dz, f"{i}.weight": w}
            shape = (len(dz), w.shape[0])
            blocks = self.products(dz, w.T)
            yield Stage(below, f"{i}.dz @ {i}.weight.T", shape, inputs, blocks)

    def loss_gradient(self, last: int, outputs: Array) -> Stage:
        def blocks() -> Blocks:
            # The batch's size enters the gradient, so rows are cut after it.
            whole = losses.gradient(self.loss, given(self.ar.wide, outputs), self.y)
            yield (slice(None),), cast(self.ar, whole)

        inputs = {f"{last}.a": outputs, "y": self.y}
        formula = f"gradient of {self.loss.name}"
        return Stage(f"{last}.da", formula, outputs.shape, inputs, blocks)

    def activation_gradient(self, i: int, layer: Dense, z: Array, da: Array) -> Stage:
        g = layer.activation

        def rows(at: slice) -> Bounded:
            return activations.gradient(g, given(self.ar, z[at]), given(self.ar, da[at]))

        inputs = {f"{i}.z": z, f"{i}.da": da}
        return Stage(
            f"{i}.dz", f"{g.name}'({i}.z) * {i}.da", z.shape, inputs, _rows(z, rows)
        )

    def bias_gradient(self, i: int, dz: Array) -> Stage:
        def blocks() -> Blocks:
            for at in chunks(dz.shape[1], max(1, BLOCK // len(dz))):
                yield (at,), cast(self.ar.wide, given(self.ar, dz[:, at]).sum(0))

        inputs = {f"{i}.dz": dz}
        return Stage(f"{i}.bias.grad", f"{i}.dz.sum(0)", dz.shape[1:], inputs, blocks)

    def products(
        self, a: Array, b: Array, plus: Array | None = None
    ) -> Callable[[], Blocks]:
        """Return the blocks of a @ b + plus."""
        return products(self.ar, a, b, plus)


def products(
    ar: Arithmetic, a: Array | Bounded, b: Array | Bounded, plus: Array | None = None
) -> Callable[[], Blocks]:
    """Return the blocks of a @ b + plus."""
    n = a.shape[1]
    rows = min(len(a), max(1, BLOCK // n), 512)
    columns = max(1, min(BLOCK // n, BLOCK // max(1, rows)))

    def lifted(x: Array | Bounded) -> Bounded:
        return x if isinstance(x, Bounded) else cast(ar, x)

    def blocks() -> Blocks:
        for i in chunks(len(a), rows):
            left = lifted(a[i])
            for j in chunks(b.shape[1], columns):
                added = None if plus is None else layers.added(ar, plus[j])
                yield (i, j), product(left, lifted(b[:, j]), added)

    return blocks


def widened(ar: Arithmetic, blocks: Callable[[], Blocks]) -> Callable[[], Blocks]:
    """Return the blocks as the dtype of weights has them."""
    return lambda: ((at, cast(ar.wide, block)) for at, block in blocks())


def _rows(like: Array, of: Callable[[slice], Bounded]) -> Callable[[], Blocks]:
    """Return the blocks of something with the rows of `like`."""
    width = max(1, like[:1].size)

    def blocks() -> Blocks:
        for at in chunks(len(like), max(1, BLOCK // width)):
            yield (at,), of(at)

    return blocks
