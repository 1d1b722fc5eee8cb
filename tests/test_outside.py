"""The specification beside something that is not ours: PyTorch's library.

float64, every backend. The bounds are in units of u = 2^-53 of the terms a
value is made of: an activation or a loss is a handful of operations, and
100 optimizer steps of a handful of operations each add up to some thousand.
"""

import numpy as np
import pytest
import support

import tetrapla as tp

U = 2.0**-53

Z = np.array([-30.0, -3.7, -1.0, -0.3, -1e-3, 1e-3, 0.5, 1.0, 2.2, 30.0]).reshape(2, 5)

ACTIVATIONS = {
    "sigmoid": ("sigmoid", {}),
    "tanh": ("tanh", {}),
    "relu": ("relu", {}),
    "softmax": ("softmax", {"dim": -1}),
    "leaky_relu": ("leaky_relu", {}),
    "elu": ("elu", {}),
    "softplus": ("softplus", {"threshold": 40}),  # else linear from 20 up
    "silu": ("silu", {}),
    "gelu_erf": ("gelu", {}),
    "gelu_tanh": ("gelu", {"approximate": "tanh"}),
}


@pytest.fixture
def torch():
    support.backend("torch")  # skips where it is missing
    return pytest.importorskip("torch")


def close(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray, count: int) -> None:
    np.testing.assert_array_less(np.abs(ours - theirs), count * U * scale + 1e-300)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation(f64, torch, activation: str) -> None:
    name, arguments = ACTIVATIONS[activation]
    z = torch.tensor(Z, requires_grad=True)
    a = getattr(torch.nn.functional, name)(z, **arguments)
    upstream = np.linspace(-1, 2, 10).reshape(2, 5)
    (dz,) = torch.autograd.grad(a, z, torch.tensor(upstream))
    close(f64.activation(activation, Z), a.detach().numpy(), 1 + np.abs(Z), 8)
    ours = f64.activation_gradient(activation, Z, upstream)
    close(ours, dz.numpy(), 4 * (1 + np.abs(Z)), 16)


LOGITS = np.random.default_rng(0).normal(scale=4, size=(6, 3))
CLASSES = np.array([0, 2, 1, 1, 0, 2])
ROWS = np.eye(3)[CLASSES]
REDUCTIONS = ("mean", "sum", "none")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("labels", ["classes", "rows"])
def test_softmax_cross_entropy(f64, torch, reduction: str, labels: str) -> None:
    y = CLASSES if labels == "classes" else ROWS
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), torch.tensor(y), reduction=reduction
    ).numpy()
    ours = f64.loss(tp.SoftmaxCrossEntropy(reduction=reduction), LOGITS, y)
    close(ours, theirs, np.abs(LOGITS).max() * 6, 16)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["mse", "bce", "probabilities"])
def test_elementwise_losses(f64, torch, loss: str, reduction: str) -> None:
    spec, theirs, outputs = {
        "mse": (tp.MeanSquaredError, "mse_loss", LOGITS),
        "bce": (tp.BinaryCrossEntropy, "binary_cross_entropy_with_logits", LOGITS),
        "probabilities": (
            lambda **k: tp.BinaryCrossEntropy(from_logits=False, **k),
            "binary_cross_entropy",
            1 / (1 + np.exp(-LOGITS)),
        ),
    }[loss]
    function = getattr(torch.nn.functional, theirs)
    expected = function(torch.tensor(outputs), torch.tensor(ROWS), reduction=reduction)
    # PyTorch's sum is over all elements
    ours = f64.loss(spec(reduction=reduction, outputs=reduction), outputs, ROWS)
    close(ours, expected.numpy(), np.abs(LOGITS).max() ** 2 * 18, 16)


OPTIMIZERS = {
    "sgd": (tp.SGD(0.1), "SGD", {"lr": 0.1}),
    "sgd-decay": (tp.SGD(0.1, weight_decay=0.1), "SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "momentum": (tp.SGD(0.1, 0.9), "SGD", {"lr": 0.1, "momentum": 0.9}),
    "nesterov": (
        tp.SGD(0.1, 0.9, True),
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "adagrad": (tp.Adagrad(0.1, eps=1e-3), "Adagrad", {"lr": 0.1, "eps": 1e-3}),
    "adagrad-start": (
        tp.Adagrad(0.1, initial_accumulator=0.1),
        "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.1},
    ),
    "adadelta": (
        tp.Adadelta(0.5, rho=0.9, eps=1e-3),
        "Adadelta",
        {"lr": 0.5, "rho": 0.9, "eps": 1e-3},
    ),
    "rmsprop": (
        tp.RMSProp(0.01, rho=0.99, eps=1e-3),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.99, "eps": 1e-3},
    ),
    "rmsprop-momentum-centered": (
        tp.RMSProp(0.01, rho=0.9, eps=1e-3, momentum=0.9, centered=True),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "momentum": 0.9, "centered": True},
    ),
    "adam": (tp.Adam(0.01, eps=1e-3), "Adam", {"lr": 0.01, "eps": 1e-3}),
    "adam-decay": (
        tp.Adam(0.01, weight_decay=0.1),
        "Adam",
        {"lr": 0.01, "weight_decay": 0.1},
    ),
    "amsgrad": (tp.Adam(0.01, amsgrad=True), "Adam", {"lr": 0.01, "amsgrad": True}),
    "adamw": (tp.AdamW(0.01), "AdamW", {"lr": 0.01}),
}
STEPS = 100


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_optimizer(f64, torch, rule: str) -> None:
    spec, name, settings = OPTIMIZERS[rule]
    draw = np.random.default_rng(1)
    start = draw.normal(size=(3, 4))
    theta = torch.nn.Parameter(torch.tensor(start))
    theirs = getattr(torch.optim, name)([theta], **settings)
    weights = {"0.weight": start}
    state = f64.init_optimizer(spec, weights)
    for _ in range(STEPS):
        g = draw.normal(size=(3, 4)) * 10.0 ** draw.integers(-6, 2, size=(3, 4))
        theta.grad = torch.tensor(g)
        theirs.step()
        weights, state = f64.update(spec, weights, {"0.weight": g}, state)
    assert state["t"] == STEPS
    largest = 1 + np.abs(weights["0.weight"])
    # a coefficient 1 - beta^t that PyTorch forms in float64 cancels: 1000 u
    close(weights["0.weight"], theta.detach().numpy(), largest, 1000 + 10 * STEPS)
