"""The oracle: losses and their gradients (spec/losses.py)."""

import numpy as np

from tetrapla.oracle import habits
from tetrapla.oracle.activations import (
    logaddexp_slope,
    nothing,
    shifted,
    sigmoid,
    softmax,
)
from tetrapla.oracle.bounded import (
    Bounded,
    exact,
    given,
    if_positive,
    maximum,
    select,
    unclaimed,
    widest,
)
from tetrapla.spec.contract import Array
from tetrapla.spec.losses import (
    BinaryCrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)


def loss(spec: Loss, p: Bounded, y: Array) -> Bounded:
    """Return the loss: a scalar, or (batch,) with reduction "none"."""
    examples = _examples(spec, p, y)
    if spec.reduction == "none":
        return examples
    return examples.mean() if spec.reduction == "mean" else examples.sum()


def gradient(spec: Loss, p: Bounded, y: Array) -> Bounded:
    """Return the gradient of the reduced loss with respect to p."""
    da = _slopes(spec, p, y)
    if isinstance(spec, BinaryCrossEntropy) and np.isinf(da.floats).any():
        da = _unless_flushed(da, given(p.ar, y))
    if getattr(spec, "outputs", "sum") == "mean":
        da = da / p.shape[1]
    return da / len(p) if spec.reduction == "mean" else da


def _unless_flushed(da: Bounded, y: Bounded) -> Bounded:
    """Return da, of which nothing is claimed where 0 / 0 may have become of y / 0.

    A backend may weigh y with the reductions first, and flush what that gives.
    """
    weighed = y / y.value.size
    vanishes = (weighed.magnitude > 0) & weighed.doubtful
    lost = np.isinf(da.floats) & vanishes
    return da + Bounded(da.ar, np.zeros(da.shape), np.where(lost, np.inf, 0.0))


def _examples(spec: Loss, p: Bounded, y: Array) -> Bounded:
    """Return the loss of each example, (batch,)."""
    match spec:
        case MeanSquaredError():
            elements = (p - given(p.ar, y)).square()
        case BinaryCrossEntropy(from_logits=True):
            elements = _from_logits(p, given(p.ar, y))
        case BinaryCrossEntropy():
            elements = _from_probabilities(p, given(p.ar, y))
        case SoftmaxCrossEntropy():
            rows = _rows(p, y)
            z = shifted(p)  # unshifted, large logits would cancel
            log_sum = z.apply("exp").sum(-1, keepdims=True).apply("log")
            terms = rows * (log_sum - z)
            if habits.LOG_SUM_CANCELS in p.ar.habits:
                top = exact(p.ar, p.value.max(axis=-1, keepdims=True))
                terms = widest(terms, rows * ((log_sum + top) - p))
                endless = rows * (exact(p.ar, np.inf) - p)  # of logits beyond a half
                terms = select(np.isposinf(top.floats), endless, terms)
            if habits.ALL_CLASSES not in p.ar.habits:
                terms = select(rows.floats > 0, terms, nothing(p))
            return terms.sum(1)
        case _:
            raise TypeError(f"the oracle has no {spec!r}")
    return elements.mean(1) if spec.outputs == "mean" else elements.sum(1)


def _slopes(spec: Loss, p: Bounded, y: Array) -> Bounded:
    """Return dL_i/dp_ij with all reductions as sums, (batch, outputs)."""
    match spec:
        case MeanSquaredError():
            return 2 * (p - given(p.ar, y))
        case BinaryCrossEntropy(from_logits=True):
            labels = given(p.ar, y)  # 1 - sigmoid(z) = sigmoid(-z) does not cancel
            plain = sigmoid(p) - labels
            slopes = if_positive(p, (1 - labels) - sigmoid(-p), plain)
            if habits.LOGITS_CANCEL in p.ar.habits:
                return widest(slopes, plain)
            for one, zero in zip(logaddexp_slope(-p), logaddexp_slope(p), strict=True):
                slopes = widest(slopes, (1 - labels) * zero - labels * one)
            return slopes
        case BinaryCrossEntropy():
            labels = given(p.ar, y)
            if habits.CLAMPED_LOGARITHM in p.ar.habits:
                least = float(np.float32(1e-12))  # in float64 too
                return (p - labels) / maximum((1 - p) * p, least)
            if habits.CLIPPED_PROBABILITY in p.ar.habits:
                q = _clipped(p)
                slopes = (1 - labels) / (1 - q) - labels / q
                return select(q.floats == p.floats, slopes, nothing(p))
            one = select(y > 0, labels / p, nothing(p))
            zero = select(y < 1, (1 - labels) / (1 - p), nothing(p))
            return zero - one
        case SoftmaxCrossEntropy():
            rows = _rows(p, y)  # that add up to 1 within their own rounding
            if habits.ROWS_OF_ONE in p.ar.habits:
                return softmax(p) - rows
            return rows.sum(1, keepdims=True) * softmax(p) - rows
    raise TypeError(f"the oracle has no {spec!r}")


def _from_logits(z: Bounded, y: Bounded) -> Bounded:
    """Return z (1 - y) for z > 0 and -z y else, plus log(1 + exp(-|z|))."""
    linear = if_positive(z, z * (1 - y), -z * y)
    curved = (-abs(z)).apply("exp").apply("log1p")
    if habits.LOGITS_CANCEL not in z.ar.habits:
        return linear + curved
    negative, positive = (if_positive(x, nothing(z), z) for x in (z, -z))
    loss = widest(
        linear + curved,
        (1 - y) * z - (negative - curved),
        positive - z * y + curved,
    )
    return unclaimed(loss, np.isinf(z.floats))  # a difference of infinities


def _from_probabilities(p: Bounded, y: Bounded) -> Bounded:
    """Return -(y log p + (1 - y) log(1 - p)); a factor of 0 makes 0."""
    if habits.CLIPPED_PROBABILITY in p.ar.habits:
        q = _clipped(p)
        return -(y * q.apply("log") + (1 - y) * (1 - q).apply("log"))
    log_p, log_q = p.apply("log"), (-p).apply("log1p")
    if habits.CLAMPED_LOGARITHM in p.ar.habits:
        log_p, log_q = maximum(log_p, -100.0), maximum(log_q, -100.0)
    one = select(y.floats > 0, y * log_p, nothing(p))
    zero = select(y.floats < 1, (1 - y) * log_q, nothing(p))
    return -(one + zero)


def _clipped(p: Bounded) -> Bounded:
    """Return p within [1e-7, 1 - 1e-7], as the dtype has these: Keras's habit."""
    low, high = (
        exact(p.ar, float(np.array(x).astype(p.ar.dtype))) for x in (1e-7, 1 - 1e-7)
    )
    return -maximum(-maximum(p, low), -high)


def _rows(p: Bounded, y: Array) -> Bounded:
    """Return the labels as rows of probabilities, (batch, outputs)."""
    return given(p.ar, y if y.ndim == 2 else np.eye(p.shape[1])[y])
