"""The oracle against ball arithmetic: its values are within what it claims.

Formulas are those of the specification's docstrings, in their textbook form,
over `arb` numbers: balls that contain the exact result, whatever cancels. A
ball that is too wide is computed again with more bits.

The arithmetic under test is given the unit roundoff of a dtype of 300 bits:
the error that remains in a bound is the oracle's own.
"""

from itertools import product

import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from tetrapla.oracle import activations, layers, losses, optimizers
from tetrapla.oracle.arithmetic import Float64, Pairs, judge
from tetrapla.oracle.bounded import Bounded, exact, given
from tetrapla.oracle.bounded import product as matrix_product
from tetrapla.parity import samples
from tetrapla.parity.cases import LossCase, OptimizerCase
from tetrapla.parity.suite import cases
from tetrapla.parity.suite_networks import ACTIVATION_VARIANTS
from tetrapla.spec import activations as spec
from tetrapla.spec.layers import Dropout
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from tetrapla.spec.optimizers import SGD, Adadelta, Adagrad, Adam, RMSProp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DTYPES = ("float32", "float64")
PRECISIONS = (400, 2000, 35000)  # bits: exp(-1e4) is 2^-14427
RELATIVE, ABSOLUTE = arb(2) ** -150, arb(2) ** -1200
# What vanishes in float64 itself, times a z of some hundreds: the dtypes' own
# smallest normal numbers, taken away here, are far above.
SMALLEST = arb(2) ** -1062
UNIT = 2.0**-300
INF = arb("inf")


def own(dtype):
    """Return the judge of a dtype, with no error left in it but its own."""
    ar = Float64(dtype) if dtype == "float32" else Pairs(dtype)
    ar.unit = UNIT
    # Both arithmetics are made of float64, and have its range.
    ar.tiny = float(np.finfo(np.float64).smallest_normal)
    ar.largest = float(np.finfo(np.float64).max)
    return ar


@pytest.fixture(autouse=True)
def _host_roundings_are_not_the_oracles(monkeypatch):
    """Coefficients are allowed the roundings of a host's float64."""
    monkeypatch.setattr(optimizers, "UNIT64", UNIT)


def ball(function, *arguments):
    """Return f(...) to 150 bits, or to what is nothing beside float64's range."""
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            x = arb(function(*arguments))
            if not x.is_finite():
                return x  # an infinity is meant; NaN is told apart by `agrees`
            if x.rad() <= abs(x.mid()) * RELATIVE or x.rad() <= ABSOLUTE:
                return x
    raise AssertionError(f"{PRECISIONS[-1]} bits are not enough: {x}")


def balls(function, *arrays):
    """Return the balls of a function of the elements, in an array of objects."""
    result = np.empty(np.broadcast_shapes(*(np.shape(a) for a in arrays)), object)
    arrays = [np.broadcast_to(a, result.shape) for a in arrays]
    for index in np.ndindex(result.shape):
        result[index] = ball(function, *(_plain(a[index]) for a in arrays))
    return result


def _plain(x):
    return x if isinstance(x, arb) else arb(float(x))


def whole(function, shape):
    """Return the balls of a function that returns a list for all elements at once.

    The list is computed anew for each precision that some element needs.
    """
    flat = np.empty(int(np.prod(shape)), object)
    kept = {}

    def at(i):
        if ctx.prec not in kept:
            kept[ctx.prec] = list(function())
        return kept[ctx.prec][i]

    for i in range(flat.size):
        flat[i] = ball(at, i)
    return flat.reshape(shape)


def value_at(bounded, index):
    x = bounded.value
    if bounded.ar.dtype == "float32":
        return arb(float(x[index]))
    return arb(float(x.hi[index])) + arb(float(x.lo[index]))


def require(bounded, exact_values, claimed=1.0):
    """Raise unless every value is within its bound of the exact one.

    And unless something is claimed of all of them, or of a part.
    """
    assert bounded.shape == exact_values.shape
    with ctx.workprec(2 * PRECISIONS[0]):
        for index in np.ndindex(bounded.shape):
            x, error = exact_values[index], float(bounded.error[index])
            if not x.is_finite():
                assert not x.is_nan(), "a formula of this file is wrong"
                assert float(bounded.floats[index]) == float(x), index
                continue
            # The bound itself was computed in float64.
            allowed = arb(error * (1 + 2.0**-40)) + SMALLEST
            distance = abs(value_at(bounded, index) - x)
            assert distance <= allowed, (
                f"at {index}: {bounded.floats[index]!r} is off by {float(distance)}, "
                f"and claims {error} of {float(x)}"
            )
    assert np.isfinite(bounded.error).mean() >= claimed


def not_below(true, mine):
    """Require that the bounds of a dtype are no less than the oracle's own."""
    assert (np.isnan(true.error) | (true.error >= mine.error)).all()
    assert (np.isnan(true.likely) | (true.likely >= mine.likely)).all()


def verify(dtype, of, exact_values, claimed=1.0):
    """Check `of(arithmetic)` in the oracle's own arithmetic, then its true bounds."""
    mine, true = of(own(dtype)), of(judge(dtype))
    require(mine, exact_values, claimed)
    not_below(true, mine)


# Activations


def sigmoid(z):
    return 1 / (1 + (-z).exp())


def softplus(z):
    return (1 + z.exp()).log()


def phi(z):
    return (-z * z / 2).exp() / (2 * arb.pi()).sqrt()


def cumulative(z):
    return (1 + (z / arb(2).sqrt()).erf()) / 2


def gelu_u(z):
    return (2 / arb.pi()).sqrt() * (z + arb(0.044715) * z**3)


def g_of(g, z):
    positive = z > 0
    match g:
        case spec.Identity():
            return z
        case spec.Sigmoid():
            return sigmoid(z)
        case spec.Tanh():
            return (z.exp() - (-z).exp()) / (z.exp() + (-z).exp())
        case spec.ReLU():
            return z if positive else 0
        case spec.LeakyReLU(slope):
            return z if positive else arb(slope) * z
        case spec.ELU(alpha):
            return z if positive else arb(alpha) * (z.exp() - 1)
        case spec.Softplus():
            return softplus(z)
        case spec.SiLU():
            return z * sigmoid(z)
        case spec.GELUErf():
            return z * cumulative(z)
        case spec.GELUTanh():
            return z / 2 * (1 + gelu_u(z).tanh())
    raise TypeError(g)


def slope_of(g, z):
    positive = z > 0
    match g:
        case spec.Identity():
            return 1
        case spec.Sigmoid():
            return sigmoid(z) * (1 - sigmoid(z))
        case spec.Tanh():
            return 1 - z.tanh() ** 2
        case spec.ReLU():
            return 1 if positive else 0
        case spec.LeakyReLU(slope):
            return 1 if positive else arb(slope)
        case spec.ELU(alpha):
            return 1 if positive else arb(alpha) * z.exp()
        case spec.Softplus():
            return sigmoid(z)
        case spec.SiLU():
            s = sigmoid(z)
            return s * (1 + z * (1 - s))
        case spec.GELUErf():
            return cumulative(z) + z * phi(z)
        case spec.GELUTanh():
            t = gelu_u(z).tanh()
            # 0.134145 is 3 * 0.044715, whose float64 value counts
            du = (2 / arb.pi()).sqrt() * (1 + 3 * arb(0.044715) * z**2)
            return (1 + t) / 2 + z / 2 * (1 - t**2) * du
    raise TypeError(g)


def softmax(row):
    e = [z.exp() for z in row]
    total = sum(e)
    return [x / total for x in e]


def softmax_vjp(row, da):
    a = softmax(row)
    total = sum((u * x for u, x in zip(da, a, strict=True)), arb(0))
    return [x * (u - total) for x, u in zip(a, da, strict=True)]


def rows_of(function, *matrices):
    """Return the balls of a function of rows, row by row."""
    flat = [m.reshape(-1, m.shape[-1]) for m in matrices]
    found = []
    for row in zip(*flat, strict=True):
        numbers = [[arb(float(x)) for x in r] for r in row]
        found.append(whole(lambda n=numbers: function(*n), (len(row[0]),)))
    return np.stack(found).reshape(matrices[0].shape)


def random_places(name, size=150):
    """Return numbers of all sizes, most of them where functions bend."""
    rng = samples.generator(name)
    sizes = np.where(rng.random(size) < 0.7, rng.uniform(-3, 2, size), 0)
    sizes = np.where(sizes == 0, rng.uniform(-30, 4, size), sizes)
    return rng.choice([-1, 1], size) * 10**sizes


def places(name, dtype):
    # Where exp(z), the normal's tail and sigmoid(2u) leave float64's normal numbers.
    ends = (np.linspace(*ends, 15) for ends in ((-750, -660), (-39, -35), (-22, -19)))
    draws = np.concatenate([random_places(name), *ends])
    if dtype == "float32":
        draws = draws.astype(np.float32).astype(float)
    return np.concatenate([samples.pre_activations(name).ravel(), draws])


ELEMENTWISE = {
    label: g for label, g in ACTIVATION_VARIANTS.items() if label != "softmax"
} | {"elu-30": spec.ELU(30.0), "leaky_relu--2": spec.LeakyReLU(-2.0)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", ELEMENTWISE)
def test_activations(label, dtype):
    g, z = ELEMENTWISE[label], places(f"activation/{label}", dtype)
    da = samples.upstream(f"activation/{label} upstream", z.shape)
    verify(
        dtype,
        lambda ar: activations.activation(g, given(ar, z)),
        balls(lambda x: g_of(g, x), z),
    )
    verify(
        dtype,
        lambda ar: activations.gradient(g, exact(ar, z), exact(ar, da)),
        balls(lambda x, u: u * slope_of(g, x), z, da),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", ACTIVATION_VARIANTS)
def test_nan_in_nan_out(label, dtype):
    g, ar = ACTIVATION_VARIANTS[label], judge(dtype)
    z = exact(ar, np.array([[np.nan, 1.0, -1.0]]))
    a = activations.activation(g, z)
    wanted = [True, label == "softmax", label == "softmax"]
    np.testing.assert_array_equal(np.isnan(a.floats), [wanted])
    assert not np.isinf(a.error).any()  # it is claimed


SOFTMAX = {
    "pre-activations": samples.pre_activations("activation/softmax"),
    "logits": samples.logits("flint", (4, 5)),
    "one": samples.logits("flint", (3, 1)),
    "rank-3": samples.logits("flint", (2, 3, 4)),
    "ties": np.tile([[0.1, 0.1, -3.0, 0.1], [1e4, 1e4, -1e4, 0.0]], (2, 1)),
    "random": random_places("softmax").reshape(-1, 6) * 1e-1,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", SOFTMAX)
def test_softmax(label, dtype):
    z = SOFTMAX[label]
    da = samples.upstream(f"softmax {label}", z.shape)
    g = spec.Softmax()
    verify(
        dtype,
        lambda ar: activations.activation(g, exact(ar, z)),
        rows_of(softmax, z),
    )
    verify(
        dtype,
        lambda ar: activations.gradient(g, exact(ar, z), exact(ar, da)),
        rows_of(softmax_vjp, z, da),
    )


# Losses


def times(factor, of):
    """Return a product whose factor 0 makes it 0, whatever the other is."""
    return arb(0) if factor == 0 else factor * of()


def log(x):
    return -INF if x == 0 else x.log()


def over(x, y):
    return INF * x if y == 0 else x / y


def elements_of(loss, p, y):
    match loss:
        case MeanSquaredError():
            return (p - y) ** 2, 2 * (p - y)
        case BinaryCrossEntropy(from_logits=True):
            s, rest = sigmoid(p), sigmoid(-p)  # rest = 1 - s
            return -(y * s.log() + (1 - y) * rest.log()), s - y
    value = times(y, lambda: log(p)) + times(1 - y, lambda: log(1 - p))
    slope = times(1 - y, lambda: over(arb(1), 1 - p)) - times(y, lambda: over(arb(1), p))
    return -value, slope


def reduced(loss, p, y):
    """Return the loss, (batch,) or one number, and its gradient, row after row."""
    n, batch = len(p[0]), len(p)
    if isinstance(loss, SoftmaxCrossEntropy):
        examples, slopes = [], []
        for z, labels in zip(p, y, strict=True):
            top = sum((x.exp() for x in z), arb(0)).log()
            pairs = zip(labels, z, strict=True)
            examples.append(sum((q * (top - x) for q, x in pairs), arb(0)))
            total = sum(labels, arb(0))
            # of labels that add up to 1, softmax(z) - y
            slopes += [total * a - q for a, q in zip(softmax(z), labels, strict=True)]
    else:
        rows = [
            [elements_of(loss, a, b) for a, b in zip(*row, strict=True)]
            for row in zip(p, y, strict=True)
        ]
        share = n if loss.outputs == "mean" else 1
        examples = [sum((v for v, _ in row), arb(0)) / share for row in rows]
        slopes = [d / share for row in rows for _, d in row]
    if loss.reduction == "none":
        return examples, slopes
    share = batch if loss.reduction == "mean" else 1
    return [sum(examples, arb(0)) / share], [d / share for d in slopes]


def matrix(a):
    return [[arb(float(x)) for x in row] for row in a]


def rows_of_labels(loss, y, width):
    one_hot = isinstance(loss, SoftmaxCrossEntropy) and y.ndim == 1
    return matrix(np.eye(width)[y] if one_hot else y)


def check_loss(loss, outputs, y, dtype):
    p, rows = matrix(outputs), rows_of_labels(loss, y, outputs.shape[1])
    scalar = loss.reduction != "none"
    values = whole(lambda: reduced(loss, p, rows)[0], (1,) if scalar else (len(p),))
    verify(
        dtype,
        lambda ar: losses.loss(loss, exact(ar, outputs), y),
        values.reshape(()) if scalar else values,
    )
    if scalar:
        verify(
            dtype,
            lambda ar: losses.gradient(loss, exact(ar, outputs), y),
            whole(lambda: reduced(loss, p, rows)[1], outputs.shape),
        )


LOSS_CASES = {c.id: c for c in cases() if isinstance(c, LossCase)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSS_CASES)
def test_losses_of_the_suite(name, dtype):
    case = LOSS_CASES[name]
    check_loss(case.loss, case.outputs, case.y, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["mse", "logits", "probabilities", "softmax"])
def test_losses_of_random_numbers(kind, dtype):
    rng = samples.generator(f"random {kind}")
    z = random_places(kind, 60).reshape(10, 6)
    for reduction, over_outputs in product(("mean", "sum", "none"), ("mean", "sum")):
        how = {"reduction": reduction}
        y = rng.choice([0.0, 1.0, 0.3, 1e-9], z.shape)
        if kind == "softmax":
            loss, y = SoftmaxCrossEntropy(**how), rng.dirichlet(np.ones(6), 10)
        elif kind == "mse":
            loss, y = MeanSquaredError(outputs=over_outputs, **how), z * rng.normal(1, 1e-3)
        else:
            from_logits = kind == "logits"
            loss = BinaryCrossEntropy(from_logits=from_logits, outputs=over_outputs, **how)
        p = np.clip(np.abs(z) / 2, 0, 1) if kind == "probabilities" else z
        check_loss(loss, p, y, dtype)


# Optimizers


def root(v, eps, place):
    return (v + eps).sqrt() if place == "inside" else v.sqrt() + eps


def momentum(o, d, s, eta):
    mu = arb(o.momentum)
    if o.momentum == 0:
        return eta * d, s
    if o.velocity == "gradients":
        b = mu * s["velocity"] + d
        step = eta * (d + mu * b) if o.nesterov else eta * b
    else:
        b = mu * s["velocity"] + eta * d
        step = eta * d + mu * b if o.nesterov else b
    return step, s | {"velocity": b}


def greater(x, y):
    return x.max(y)


def step_of(o, theta, g, s, t, eta):
    """Return theta and the slots after one step: spec/optimizers.py."""
    if o.weight_decay and o.decay == "coupled":
        g = g + arb(o.weight_decay) * theta
    elif o.weight_decay:
        theta = theta - eta * arb(o.weight_decay) * theta
    match o:
        case SGD():
            step, s = momentum(o, g, s, eta)
        case Adagrad():
            a = s["a"] + g**2
            step, s = eta * g / root(a, arb(o.eps), o.eps_place), {"a": a}
        case Adadelta():
            rho, eps = arb(o.rho), arb(o.eps)
            v = rho * s["v"] + (1 - rho) * g**2
            d = (s["u"] + eps).sqrt() / (v + eps).sqrt() * g
            step, s = eta * d, {"v": v, "u": rho * s["u"] + (1 - rho) * d**2}
        case RMSProp():
            rho = arb(o.rho)
            v = rho * s["v"] + (1 - rho) * g**2
            s = s | {"v": v}
            if o.centered:
                m = rho * s["m"] + (1 - rho) * g
                s = s | {"m": m}
                v = greater(v - m**2, arb(0))
            step, s = momentum(o, g / root(v, arb(o.eps), o.eps_place), s, eta)
        case Adam():
            step, s = adam(o, g, s, t, eta)
    return theta - step, s


def adam(o, g, s, t, eta):
    beta1, beta2 = arb(o.beta1), arb(o.beta2)
    m = beta1 * s["m"] + (1 - beta1) * g
    v = beta2 * s["v"] + (1 - beta2) * g**2
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    new = {"m": m, "v": v}
    v_hat = v / c2
    if o.amsgrad and o.amsgrad_max == "raw":
        new["v_max"] = greater(s["v_max"], v)
        v_hat = new["v_max"] / c2
    elif o.amsgrad:
        v_hat = new["v_max"] = greater(s["v_max"], v / c2)
    eps, place = arb(o.eps), o.eps_place
    if place == "uncorrected":
        eps, place = eps / c2.sqrt(), "outside"
    return eta * (m / c1) / root(v_hat, eps, place), new


def whole_path(o, theta, slots, gradients, rates, first=1):
    """Return theta and the slots after each step, of one element."""
    rows = []
    for i, (g, lr) in enumerate(zip(gradients, rates, strict=True)):
        theta, slots = step_of(o, theta, arb(float(g)), slots, first + i, arb(lr))
        rows += [theta, *(slots[name] for name in o.slots)]
    return rows


OPTIMIZER_CASES = {
    c.id: c for c in cases() if isinstance(c, OptimizerCase) and c.steps <= 10
}


@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_optimizers_of_the_suite(name):
    """A few steps in a row, with errors carried along."""
    case = OPTIMIZER_CASES[name]
    o, n = case.optimizer, 3
    rates = [case.at(t).lr for t in range(1, n + 1)]
    w = case.weights["0.weight"][0]  # eight kinds of gradients
    gradients = np.stack([case.gradients(t)["0.weight"][0] for t in range(1, n + 1)])
    tensors = ("", *o.slots)
    exact_rows = np.stack(
        [
            whole(
                lambda i=i: whole_path(
                    o,
                    arb(float(w[i])),
                    {s: arb(v) for s, v in o.slots.items()},
                    gradients[:, i],
                    rates,
                ),
                (n, len(tensors)),
            )
            for i in range(len(w))
        ],
        axis=-1,
    )
    for dtype in DTYPES:
        results = [path_of(ar, o, w, gradients, rates) for ar in (own(dtype), judge(dtype))]
        for t in range(n):
            for j in range(len(tensors)):
                mine, true = (rows[t][j] for rows in results)
                require(mine, exact_rows[t, j])
                not_below(true, mine)


def path_of(ar, o, w, gradients, rates):
    theta = exact(ar, w)
    slots = {s: exact(ar, np.full(w.shape, v)) for s, v in o.slots.items()}
    rows = []
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), 1):
        theta, slots = optimizers.update(o, theta, exact(ar, g), slots, t, lr)
        rows.append([theta, *(slots[s] for s in o.slots)])
    return rows


COUNTS = np.array([1, 2, 3, 10, 99, 1000])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_optimizers_from_any_state(name, dtype):
    """One step from random states, early and late."""
    o = OPTIMIZER_CASES[name].optimizer
    rng = samples.generator(name)
    shape = (len(COUNTS), 4)
    t = COUNTS[:, None]
    theta, g = rng.standard_normal((2, *shape)) * 10 ** rng.uniform(-9, 3, (2, *shape))
    slots = {
        s: np.abs(x) if s in ("v", "v_max", "u", "a") else x
        for s, x in (
            (s, rng.standard_normal(shape) * 10 ** rng.uniform(-9, 3, shape))
            for s in o.slots
        )
    }
    if "m" in slots and isinstance(o, RMSProp):
        slots["v"] += slots["m"] ** 2  # a variance is not negative
    inputs = {"": theta, **slots}

    def one(*numbers):
        count, gradient, *rest = numbers
        before = dict(zip(inputs, rest, strict=True))
        w = before.pop("")
        return step_of(o, w, gradient, before, int(float(count)), arb(o.lr))

    wanted = {
        s: balls(lambda *n, s=s: one(*n)[1][s] if s else one(*n)[0], t, g, *inputs.values())
        for s in inputs
    }

    def of(ar, s):
        before = {k: exact(ar, x) for k, x in slots.items()}
        after = optimizers.update(o, exact(ar, theta), exact(ar, g), before, t)
        return after[1][s] if s else after[0]

    # Some variances here are nothing beside what they were cancelled from.
    for s in inputs:
        verify(dtype, lambda ar, s=s: of(ar, s), wanted[s], claimed=0.7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beta", [0.0, 1e-5, 0.5, 0.9, 0.999, 0.9999, 1 - 1e-9])
def test_bias_corrections(beta, dtype):
    t = np.array([1.0, 2, 3, 10, 100, 1000, 10**6])
    verify(
        dtype,
        lambda ar: optimizers.correction(ar, beta, t),
        balls(lambda n: 1 - arb(beta) ** n, t),
    )
    verify(
        dtype,
        lambda ar: optimizers.one_minus(ar, beta),
        balls(lambda b: 1 - b, np.asarray(beta)),
    )


# Layers and sums


def matrices(label):
    rng = samples.generator(f"matrices {label}")
    n = 300 if label == "long" else 8
    x, w, b = rng.standard_normal((4, n)), rng.standard_normal((n, 3)), rng.normal(0, 1, 3)
    if label == "cancelling":
        w = 1e3 + 1e-3 * w
        x = x - x.mean(axis=1, keepdims=True)
    if label == "wide":
        x, w = (a * 10 ** rng.uniform(-25, 5, a.shape) for a in (x, w))
    if label == "zeros":
        x, w = (np.where(rng.random(a.shape) < 0.7, 0, a) for a in (x, w))
    if label == "subnormal":
        x, w = x * 1e-20, w * 1e-20
    return x, w, b


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "label", ["plain", "long", "cancelling", "wide", "zeros", "subnormal"]
)
def test_linear_layers(label, dtype):
    x, w, b = matrices(label)

    def dot(plus):
        z = arb_mat(matrix(x)) * arb_mat(matrix(w))
        z = [[z[i, j] for j in range(w.shape[1])] for i in range(len(x))]
        return [a + arb(float(c)) * plus for row in z for a, c in zip(row, b, strict=True)]

    shape = (len(x), w.shape[1])
    verify(
        dtype,
        lambda ar: layers.linear(*(exact(ar, a) for a in (x, w, b))),
        whole(lambda: dot(1), shape),
    )
    verify(
        dtype,
        lambda ar: matrix_product(exact(ar, x), exact(ar, w)),
        whole(lambda: dot(0), shape),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout(rate, dtype):
    a = random_places("dropout", 60)
    kept = samples.generator("dropout kept").random(60) < 0.5
    verify(
        dtype,
        lambda ar: layers.dropped(Dropout(rate), kept, exact(ar, a)),
        balls(lambda x, keep: x / (1 - arb(rate)) * keep, a, kept.astype(float)),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, None])
def test_sums_and_means(axis, dtype):
    x = random_places("sums", 160).reshape(20, 8)
    x[10:] = -x[:10]  # all but what rounding leaves cancels
    x[3] *= 1 + 2.0**-30
    lines = {0: list(x.T), 1: list(x), None: [x.ravel()]}[axis]
    shape = {0: (8,), 1: (20,), None: ()}[axis]

    def sums():
        return [sum((arb(float(v)) for v in line), arb(0)) for line in lines]

    verify(dtype, lambda ar: exact(ar, x).sum(axis), whole(sums, shape))
    count = len(lines[0])
    verify(
        dtype,
        lambda ar: exact(ar, x).mean(axis),
        whole(lambda: [s / count for s in sums()], shape),
    )


def test_a_wrong_value_is_seen():
    """The check itself: an error of twice the claim fails it."""
    ar = own("float64")
    z = samples.pre_activations("check")
    right = activations.activation(spec.Sigmoid(), exact(ar, z))
    off = ar.array(2 * right.error + 1e-25)
    wrong = Bounded(ar, right.value + off, right.error)
    wanted = balls(sigmoid, z)
    require(right, wanted)
    with pytest.raises(AssertionError, match="is off by"):
        require(wrong, wanted)
