"""The list of cases: layers, networks on real data, and training runs."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from tetrapla.parity.cases import Case, DifferenceCase, NetworkCase, TrainingCase
from tetrapla.spec import optimizers as opt
from tetrapla.spec.activations import ACTIVATIONS, ELU, Activation, LeakyReLU
from tetrapla.spec.layers import Dense, Dropout, Sequential
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from tetrapla.spec.training import Training

ACTIVATION_VARIANTS: dict[str, Activation] = {
    **{name: make() for name, make in ACTIVATIONS.items()},
    "leaky_relu-0.3": LeakyReLU(0.3),
    "elu-1.5": ELU(1.5),
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
        ("identity", 5, 4, 3),
        ("tanh", 5, 4, 3),
        ("identity", 4, 4, 4),  # any mistaken transpose or axis fits
        ("tanh", 4, 4, 4),
        ("tanh", 3, 4, 4),
        ("tanh", 1, 4, 3),
        ("tanh", 3, 1, 1),
        ("identity", 1, 1, 1),
    ):
        name = f"layer/dense-{last}-{n}-{m}-batch-{batch}"
        loss = MeanSquaredError(reduction="sum", outputs="sum")
        net = network(n, m, last=last)
        yield NetworkCase(name, "layer/dense", net, loss, batch=batch)
    first, second = Dense(6, 8, "tanh"), Dense(8, 2)
    row, mse = "layer/dropout", MeanSquaredError()
    for rate, seed in ((0.0, 5), (0.5, 5), (0.9, 6), (0.5, None)):
        mode = "evaluation" if seed is None else "training"
        net = Sequential(Dropout(rate), first, Dropout(rate), second)
        yield NetworkCase(f"{row}-{rate}-{mode}", row, net, mse, dropout_seed=seed)


def networks() -> Iterator[Case]:
    """Yield networks with each activation, then on the lecture's and real data."""
    mse = MeanSquaredError()
    for label, g in ACTIVATION_VARIANTS.items():
        net = network(6, 5, 5, 4, hidden=g)
        yield NetworkCase(f"network/{label}-6-5-5-4", "network/activations", net, mse)
    yield NetworkCase(
        "network/bce-probabilities",
        "network/normal",
        network(5, 4, 2, hidden="tanh", last="sigmoid"),
        BinaryCrossEntropy(from_logits=False),
    )
    deep = network(8, *[8] * 8, 3, hidden="tanh")
    cross = SoftmaxCrossEntropy()
    yield NetworkCase("network/deep-8x9-3", "network/normal", deep, cross, batch=8)
    bce = BinaryCrossEntropy()
    for source, widths, hidden, loss, batch in (
        ("lecture", (2, 3, 1), "sigmoid", bce, 3),
        ("lecture", (2, 3, 1), "identity", bce, 3),
        ("digits", (64, 16, 10), "relu", cross, 16),
        ("digits", (64, 10), "relu", cross, 16),
        ("digits", (64, 12, 8, 10), "gelu_tanh", cross, 16),
        ("breast-cancer", (30, 8, 1), "relu", bce, 16),
        ("breast-cancer", (30, 8, 8, 1), "silu", bce, 16),
        ("diabetes", (10, 8, 1), "relu", mse, 16),
        ("diabetes", (10, 8, 8, 8, 1), "elu", mse, 16),
    ):
        shape = "-".join(map(str, widths))
        name = f"network/{source}-{shape}-{hidden}"
        net = network(*widths, hidden=hidden)
        yield NetworkCase(name, f"network/{source}", net, loss, source, batch)


def differences() -> Iterator[Case]:
    """Yield the same networks, their gradients by centred differences."""
    for case in (*layers(), *networks()):
        if not isinstance(case, NetworkCase) or case.key is not None:
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
    """Yield short runs with every optimizer."""
    bce, mse = BinaryCrossEntropy(), MeanSquaredError()
    cross = SoftmaxCrossEntropy()
    lecture = network(2, 3, 1, hidden="sigmoid")
    for name, optimizer in {
        "sgd": opt.SGD(0.1),
        "momentum": opt.SGD(0.1, momentum=0.9, nesterov=True),
        "adagrad": opt.Adagrad(0.1),
        "adadelta": opt.Adadelta(),
        "rmsprop": opt.RMSProp(),
        "adam": opt.Adam(0.01),
        "adamw": opt.AdamW(0.01),
    }.items():
        plan = Training(4, 1, optimizer, bce, seed=3)
        yield TrainingCase(
            f"training/lecture-{name}", "training/lecture", lecture, plan, "lecture", 3
        )
    for source, net, loss, optimizer in (
        ("digits", network(64, 8, 10), cross, opt.SGD(0.05, momentum=0.9)),
        ("digits", network(64, 8, 10, hidden="tanh"), cross, opt.Adam(1e-3)),
        ("breast-cancer", network(30, 6, 1), bce, opt.Adam(1e-3)),
        ("breast-cancer", network(30, 6, 1, hidden="tanh"), bce, opt.Adagrad(0.01)),
        ("diabetes", network(10, 6, 1), mse, opt.RMSProp(1e-3, momentum=0.9)),
        ("diabetes", network(10, 6, 1, hidden="tanh"), mse, opt.AdamW(1e-3)),
    ):
        # 80 rows in batches of 32: the last one is smaller.
        plan = Training(2, 32, optimizer, loss, seed=1)
        name = f"training/{source}-{optimizer.name}"
        yield TrainingCase(name, f"training/{source}", net, plan, source, 80, 16)
    dropped = Sequential(Dropout(0.1), Dense(30, 6, "tanh"), Dropout(0.5), Dense(6, 1))
    total = replace(bce, reduction="sum")
    plan = Training(2, 20, opt.SGD(0.01), total, seed=2, shuffle=False)
    name, row = "training/breast-cancer-dropout-sum", "training/breast-cancer"
    yield TrainingCase(name, row, dropped, plan, "breast-cancer", 50)
