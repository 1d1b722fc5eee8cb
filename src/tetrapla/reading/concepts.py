"""What can be read: each concept's name, formula, and where it is in a column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import getdoc
from typing import Any

from tetrapla.reading import source
from tetrapla.reading.formulas import FORMULAS, PLAIN
from tetrapla.spec import (
    ACTIVATIONS,
    OPTIMIZERS,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    InvalidInputError,
    MeanSquaredError,
    Sequential,
    SoftmaxCrossEntropy,
    threefry,
)


@dataclass(frozen=True)
class Concept:
    """A building block, which every column has.

    `symbols` are where the columns from scratch have it, `library` where
    those that call a library do; a column shows those of them that it has.
    `defined` is the specification's, whose docstring is its definition;
    `component` is its row in the parity table, or what those begin with, and
    `words` are what the atlas knows it by. `no_library` says why there is none.
    """

    name: str
    title: str
    group: str
    symbols: tuple[str, ...]
    library: tuple[str, ...] = ()
    defined: Any = field(default=None, repr=False)
    component: str = ""
    words: tuple[str, ...] = ()
    no_library: str = ""

    @property
    def formula(self) -> str:
        """The formula, in LaTeX."""
        return FORMULAS[self.name]

    @property
    def definition(self) -> str:
        """The specification's own words: formula, conventions, source."""
        text = getdoc(self.defined) or ""
        return text.partition("\n>>> ")[0].rstrip()  # without its examples

    @property
    def opening(self) -> str:
        """What is read before the columns, where there is no LaTeX."""
        return "\n\n".join(filter(None, (PLAIN.get(self.name), self.definition)))

    @property
    def columns(self) -> list[source.Column]:
        """The columns from scratch."""
        return self.of(source.COLUMNS)

    def of(self, backends: Sequence[str]) -> list[source.Column]:
        """Return the columns of these backends, of those that have it."""
        every = (source.column(name, self._symbols(name)) for name in backends)
        return source.level([each for each in every if each is not None])

    def _symbols(self, backend: str) -> tuple[str, ...]:
        return self.library if backend in source.LIBRARY.values() else self.symbols


def _activations() -> list[Concept]:
    found = []
    for name, spec in ACTIVATIONS.items():
        own = [name, f"{name}_gradient"]  # NumPy's is derived by hand
        if name == "gelu_erf":
            own.insert(0, "erfc")
        symbols = tuple(f"activations.{each}" for each in own)
        found.append(
            Concept(
                name,
                TITLES.get(name, name),
                "activations",
                symbols,
                (f"activations.{name}",),
                spec,
                f"activation/{name}",
                (name, "gelu") if name.startswith("gelu") else (name,),
            )
        )
    return found


TITLES = {
    "identity": "Identity",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "softmax": "Softmax",
    "leaky_relu": "Leaky ReLU",
    "elu": "ELU",
    "softplus": "Softplus",
    "silu": "SiLU",
    "gelu_erf": "GELU, with erf",
    "gelu_tanh": "GELU, with tanh",
    "sgd": "Gradient descent, momentum, Nesterov",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
}

RULES = {  # what else a rule needs, before it
    "sgd": ("optimizers.Optimizer.momentum",),
    "adagrad": ("optimizers.root",),
    "rmsprop": ("optimizers.root",),
    "adam": ("optimizers.bias_correction", "optimizers.root"),
    "adamw": ("optimizers.Optimizer.decay",),
}


def _optimizers() -> list[Concept]:
    base = Concept(
        "optimizer",
        "What all optimizers share",
        "optimizers",
        ("optimizers.Optimizer",),
        ("optimizers.optimizer", "optimizers.transformation"),
        None,  # the class that they share says nothing of what it computes
        "optimizer/",
        ("sgd",),
    )
    rules = []
    for name, rule in OPTIMIZERS.items():
        symbols = (*RULES.get(name, ()), f"optimizers.{rule.__name__}")
        own = ("optimizers.adam",) if name == "adamw" else (f"optimizers.{name}",)
        about = name, TITLES[name], "optimizers", symbols, own, rule
        rules.append(Concept(*about, f"optimizer/{name}", (name,)))
    return [base, *rules]


def _loss(
    name: str, title: str, function: str, defined: Any, component: str, words: Sequence[str]
) -> Concept:
    own = [function, f"{function}_gradient"]
    if function == "softmax_cross_entropy":
        own.insert(0, "one_hot")
    if function == "squared_error":
        own.append("reduce")
    library = ("softmax_cross_entropy",) if "one_hot" in own else ()
    return Concept(
        name,
        title,
        "losses",
        tuple(f"losses.{each}" for each in own),
        tuple(f"losses.{each}" for each in ("module", *library, "loss")),
        defined,
        f"loss/{component}",
        tuple(words),
    )


def _layer(
    name: str, title: str, symbols: Sequence[str], library: Sequence[str], defined: Any
) -> Concept:
    return Concept(
        name,
        title,
        "layers",
        tuple(f"layers.{each}" for each in symbols),
        tuple(f"layers.{each}" for each in library),
        defined,
        f"layer/{name}" if name != "sequential" else "network/",
        (name,) if name != "sequential" else (),
    )


def _together() -> list[Concept]:
    steps = ("training.fit", "training.objective", "training.train_step")
    back = ("layers.Dense.backward", "layers.Sequential.backward")
    both = ("training.loss_and_gradients",)
    l2 = ("training.penalty", "training.penalty_gradients")
    trace = ("training.trace",)
    group = "training"
    return [
        Concept(
            "backpropagation",
            "Backpropagation",
            group,
            (*both, *back),
            both,
            None,
            "network/",
        ),
        Concept(
            "training",
            "The training loop",
            group,
            steps,
            ("training.fit", "training.set_key", *steps[1:]),
            None,  # Training is about its fields
            "training/",
            ("training",),
        ),
        Concept(
            "l2",
            "L2 regularisation",
            group,
            l2,
            l2[:1],
            None,
            "training/",
            ("weightdecay",),
        ),
        Concept("trace", "Every stage of a pass", group, trace, trace, None, "network/"),
    ]


WORDS = ("threefry2x32", "words", "key", "fold_in", "split")
DRAWS = ("bits", "uniform", "bernoulli", "permutation")


def _random() -> list[Concept]:
    symbols = tuple(f"random.{name}" for name in (*WORDS, *DRAWS))
    return [
        Concept(
            "threefry",
            "Shared random numbers",
            "random",
            symbols,
            defined=threefry,
            no_library="the libraries draw numbers of their own, and their columns "
            "take the shared ones from these",
        )
    ]


def _all() -> dict[str, Concept]:
    bce, whole = BinaryCrossEntropy, ["Sequential", "sequential"]
    found = [
        *_activations(),
        _layer("dense", "Dense layer", ["Dense"], ["dense"], Dense),
        _layer("dropout", "Dropout", ["Dropout"], ["Dropout"], Dropout),
        Concept(
            "mixed",
            "A dense layer in mixed precision",
            "layers",
            (
                "mixed.product",
                "mixed.product_forward",
                "mixed.product_backward",
                "mixed.Dense",
            ),
            ("training.lowered", "training.outputs_of", "layers.dense"),
        ),
        _layer("sequential", "Layers in a row", whole, whole, Sequential),
        _loss(
            "mse", "Mean squared error", "squared_error", MeanSquaredError, "mse", ["mse"]
        ),
        _loss(
            "bce",
            "Binary cross-entropy of probabilities",
            "binary_cross_entropy",
            bce,
            "bce on probabilities",
            ["bce"],
        ),
        _loss(
            "bce_logits",
            "Binary cross-entropy of logits",
            "binary_cross_entropy_with_logits",
            bce,
            "bce on logits",
            ["bce"],
        ),
        _loss(
            "softmax_cross_entropy",
            "Softmax cross-entropy",
            "softmax_cross_entropy",
            SoftmaxCrossEntropy,
            "softmax cross-entropy",
            ["crossentropy"],
        ),
        *_optimizers(),
        *_together(),
        *_random(),
    ]
    return {concept.name: concept for concept in found}


CONCEPTS: Mapping[str, Concept] = _all()


def concept(name: str) -> Concept:
    """Return the concept of that name; raises InvalidInputError with near ones."""
    if name in CONCEPTS:
        return CONCEPTS[name]
    near = get_close_matches(name, CONCEPTS, n=3)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(CONCEPTS)}"
    )
    raise InvalidInputError(f"nothing is called {name!r}: {hint}")
