"""The list of cases: layers, networks on real data, and training runs."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from tetrapla.parity.cases import Case, DifferenceCase, NetworkCase, TrainingCase
from tetrapla.spec import optimizers as opt
from tetrapla.spec.activations import (
    ACTIVATIONS,
    ELU,
    Activation,
    LeakyReLU,
)
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from tetrapla.spec.schedules import CosineDecay, Warmup
from tetrapla.spec.training import EarlyStopping, Training

ACTIVATION_VARIANTS: dict[str, Activation] = {
    **{name: make() for name, make in ACTIVATIONS.items()},
    "leaky_relu-0.3": LeakyReLU(0.3),
    "leaky_relu-1.5": LeakyReLU(1.5),
    "leaky_relu-0": LeakyReLU(0.0),
    "leaky_relu-negative": LeakyReLU(-0.5),
    "elu-1.5": ELU(1.5),
    "elu-0.5": ELU(0.5),
}


def network(
    *widths: int, hidden: Activation | str = "relu", last: Activation | str = "identity"
) -> Sequential:
    """Return a network whose biases are not 0."""
    activations = [hidden] * (len(widths) - 2) + [last]
    places = zip(pairwise(widths), activations, strict=True)
    return Sequential(*(Dense(n, m, g, bias_init="lecun_uniform") for (n, m), g in places))


def layers() -> Iterator[Case]:
    """Yield dense layers of telling shapes, and dropout."""
    for last, batch, n, m in (
        ("tanh", 5, 4, 3),
        ("tanh", 4, 4, 4),  # any mistaken transpose or axis fits
        ("identity", 1, 1, 1),
        ("identity", 65, 3, 2),  # a batch longer than the others'
        ("tanh", 100, 70, 1),  # and one output: libraries have other kernels for it
        ("tanh", 100, 70, 20),
    ):
        name = f"layer/dense-{last}-{n}-{m}-batch-{batch}"
        loss = MeanSquaredError(reduction="sum", outputs="sum")
        net = network(n, m, last=last)
        yield NetworkCase(name, "layer/dense", net, loss, batch=batch)
    long = MeanSquaredError()
    for label, source, n in (
        ("4096", "normal", 4096),  # a long sum
        ("cancelling", "cancelling", 8),
        ("subnormal", "subnormal", 8),
    ):
        net = network(n, 8, last="relu")
        name = f"layer/dense-{label}"
        yield NetworkCase(name, "layer/dense", net, long, source)
    total, source = BinaryCrossEntropy(reduction="sum"), "breast-cancer"
    # Of these seeds one draw is the threshold itself, or the float32 below it.
    seeds = {"at-threshold": 7246, "below-threshold": 27687, "evaluation": None}
    for mode, seed in seeds.items():
        name, row = f"layer/dropout-{mode}", "layer/dropout"
        yield NetworkCase(name, row, _dropped(), total, source, dropout_seed=seed)


def _dropped() -> Sequential:
    return Sequential(
        Dropout(0.1),
        Dense(30, 8, "tanh"),
        Dropout(0.7),
        Dense(8, 8),
        Dropout(0.25),
        Dense(8, 1),
    )


def networks() -> Iterator[Case]:
    """Yield networks, a deep one and those of the lecture and on real data.

    Few, because frameworks that compile do so once per network: that every
    activation is right, and the layer that calls it, is known by now.
    """
    mse = MeanSquaredError()
    deep = network(8, *[8] * 8, 8, hidden="tanh")
    cross = SoftmaxCrossEntropy()
    yield NetworkCase("network/deep-8x10", "network/deep", deep, cross)
    bce = BinaryCrossEntropy()
    certain = BinaryCrossEntropy(from_logits=False)
    for source, widths, hidden, last, loss, batch in (
        ("lecture", (2, 3, 1), "sigmoid", "sigmoid", certain, 3),
        ("digits", (64, 8, 8, 10), "gelu_erf", "identity", cross, 16),
        ("breast-cancer", (30, 8, 8, 1), "silu", "identity", bce, 16),
        ("diabetes", (10, 8, 1), "elu", "identity", mse, 16),
    ):
        shape = "-".join(map(str, widths))
        name = f"network/{source}-{shape}-{hidden}"
        net = network(*widths, hidden=hidden, last=last)
        case = NetworkCase(name, f"network/{source}", net, loss, source, batch)
        yield case
        if source == "diabetes":
            yield replace(case, id=f"{name}-float64", dtypes=("float64",))


def differences() -> Iterator[Case]:
    """Yield the same networks, their gradients by centred differences."""
    for case in (*layers(), *networks()):
        if not isinstance(case, NetworkCase) or case.key is not None:
            continue
        # Many layers take long and add no formula.
        other = case.source in ("cancelling", "subnormal") or len(case.net.layers) > 5
        if other or case.dtypes == ("float64",):
            continue
        yield DifferenceCase(
            case.id.replace("/", "/differences-", 1),
            f"{case.component.split('/')[0]}/differences",
            case.net,
            case.loss,
            case.source,
            case.batch,
        )


def trainings() -> Iterator[Case]:
    """Yield short runs, every optimizer in one; two have a smaller last batch.

    The networks and batch sizes are those of `networks` where they can be.
    """
    certain, mse = BinaryCrossEntropy(from_logits=False), MeanSquaredError()
    cross, total = SoftmaxCrossEntropy(), BinaryCrossEntropy(reduction="sum")
    lecture = network(2, 3, 1, hidden="sigmoid", last="sigmoid")
    digits = Sequential(Dense(64, 8, "gelu_erf"), Dense(8, 8, "relu"), Dense(8, 10))
    diabetes = network(10, 8, 1, hidden="elu")
    nesterov = opt.SGD(0.1, momentum=0.9, nesterov=True)
    rmsprop = opt.RMSProp(1e-3, momentum=0.9)
    # A gradient that is all rounding is divided by epsilon at least: with 1e-8,
    # nothing could be said of float32 after the first step.
    adam = opt.Adam(1e-3, eps=1e-3)
    adagrad = opt.Adagrad(0.01, initial_accumulator=0.1)
    adamw, adadelta = opt.AdamW(1e-3), opt.Adadelta()
    for source, label, net, loss, optimizer, rows, batch, epochs in (
        ("lecture", "full-batch", lecture, certain, nesterov, 3, "all", 3),
        ("digits", "adam", digits, cross, adam, 28, 16, 2),  # 16, then 12
        ("breast-cancer", "dropout", _dropped(), total, adagrad, 32, 16, 3),
        ("diabetes", "rmsprop", diabetes, mse, rmsprop, 32, 16, 2),
        ("diabetes", "adamw", diabetes, mse, adamw, 24, 16, 3),  # 16, then 8
        ("diabetes", "adadelta", diabetes, mse, adadelta, 32, 16, 2),
    ):
        shuffle = loss is not total
        plan = Training(epochs, batch, optimizer, loss, seed=1, shuffle=shuffle)
        name, row = f"training/{source}-{label}", f"training/{source}"
        validation = 0 if source == "lecture" else 16
        case = TrainingCase(name, row, net, plan, source, rows, validation)
        if optimizer is adadelta:  # of float64's numbers, and large gradients
            case = replace(case, dtypes=("float64",), times=1e3)
        yield case
    # Everything at once, in what every library has: it stops after 3 of 4 epochs.
    plan = Training(
        4,
        12,
        opt.SGD(0.2),
        BinaryCrossEntropy(),
        seed=3,
        schedule=Warmup(2, CosineDecay(9, final=0.1), start=0.25),
        l2=0.01,
        metrics=("accuracy",),
        early_stopping=EarlyStopping(patience=2, min_delta=0.25),
    )
    name, row = "training/breast-cancer-whole", "training/breast-cancer"
    yield TrainingCase(name, row, _dropped(), plan, "breast-cancer", 32, 16)
