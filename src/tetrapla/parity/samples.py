"""The numbers that cases are made of: deterministic, and chosen to tell.

Every number is one of float32's, unless a case is float64's alone: both
dtypes and the reference are given the same inputs, so that a float64 run
judges what is computed and a float32 run how stably.
"""

from collections.abc import Callable
from zlib import crc32

import numpy as np

from tetrapla.data import DATASETS
from tetrapla.spec.contract import Array, Data

# Where activations and logits go wrong: both zeros and the kink there;
# where 1 + exp(z), tanh and erf stop changing in each dtype (9, 17, 20, 37),
# and between them, where one library's softplus is already linear (25, 30);
# where exp overflows or underflows in float32 (88, 104) and float64 (710,
# 745); where GELU's tail vanishes (6 to 8); what only stable forms survive
# (1e4), and whose cube (1e13) or square (1e20) overflows; values whose square vanishes;
# and subnormals, which are 0 to TensorFlow and JAX, and may be to anyone.
MAGNITUDES = (
    1.5e-45,
    1e-40,
    2e-38,
    1e-30,
    1e-8,
    1e-4,
    1e-3,
    0.5,
    1,
    2,
    3,
    5,
    6,
    6.5,
    7,
    8,
    9,
    17,
    20,
    25,
    30,
    37,
    88,
    104,
)
LARGE = (710, 745, 1e4, 1e13, 1e20, 1e35)
SPECIALS = (0.0, -0.0, *(s * m for m in (*MAGNITUDES, *LARGE) for s in (1, -1)))


def generator(name: str) -> np.random.Generator:
    """Return the generator that belongs to a case's name."""
    return np.random.default_rng(crc32(name.encode()))


def float32_valued(x: Array) -> Array:
    """Return x rounded to float32, as float64; read-only.

    Backends share it: one that writes to what it is given fails itself, not
    the next.
    """
    return fixed(x.astype(np.float32).astype(np.float64))


def fixed(x: Array) -> Array:
    """Return a copy of x that nobody can write to."""
    copy = np.array(x)
    copy.setflags(write=False)
    return copy


def normal(name: str, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """Return normal draws of a case."""
    return float32_valued(scale * generator(name).standard_normal(shape))


def pre_activations(name: str) -> Array:
    """Return the specials, then normal draws: (rows, 8)."""
    draws = 3 * generator(name).standard_normal(13 * 8 - len(SPECIALS))
    return float32_valued(np.concatenate([SPECIALS, draws]).reshape(-1, 8))


def every(half: str) -> Array:
    """Return all finite numbers of bfloat16 or float16, in a row."""
    bits = np.arange(2**16, dtype=np.uint16)
    # a bfloat16 is the upper half of a float32
    wide = (bits.astype(np.uint32) << 16).view(np.float32)
    numbers = wide if half == "bfloat16" else bits.view(np.float16)
    return float32_valued(numbers[np.isfinite(numbers)].reshape(1, -1))


def upstream(name: str, shape: tuple[int, ...]) -> Array:
    """Return gradients from above: of order 1, some 0, tiny or subnormal."""
    rng = generator(name)
    scales = rng.choice([1.0, 1.0, 1.0, 1e-6, 1e-30, 1e-39, 0.0], shape)
    return float32_valued(scales * rng.standard_normal(shape))


def logits(name: str, shape: tuple[int, ...]) -> Array:
    """Return logits, of which some are 0, -0, +-20 and +-1e4."""
    z = 2 * generator(name).standard_normal(shape)
    places = generator(f"{name} places").permutation(z.size)[: z.size // 2]
    z.flat[places] = np.resize([0.0, 1e4, -1e4, 20.0, -0.0, -20.0, 1e-6], len(places))
    return float32_valued(z)


def probabilities(name: str, shape: tuple[int, ...]) -> Array:
    """Return numbers within (0, 1), some of them near the ends."""
    p = generator(name).uniform(0.05, 0.95, shape)
    places = generator(f"{name} places").permutation(p.size)[: p.size // 3]
    p.flat[places] = np.resize([1e-6, 1 - 1e-6, 1e-30, 0.5], len(places))
    return float32_valued(p)


def classes(name: str, batch: int, count: int) -> Array:
    """Return integer labels, (batch,)."""
    return fixed(generator(f"{name} labels").integers(0, count, batch))


def one_hot(name: str, batch: int, count: int) -> Array:
    """Return the same labels as one-hot rows."""
    return fixed(np.eye(count)[classes(name, batch, count)])


def distributions(name: str, batch: int, count: int) -> Array:
    """Return rows of probabilities that add up to 1 within float32."""
    return float32_valued(generator(f"{name} labels").dirichlet(np.ones(count), batch))


def fractions(name: str, shape: tuple[int, ...]) -> Array:
    """Return labels in [0, 1], of which many are 0 or 1."""
    y = generator(f"{name} labels").choice([0.0, 1.0, 0.0, 1.0, 0.25, 0.9999], shape)
    return float32_valued(y)


def optimizer_weights(name: str) -> Array:
    """Return a weight; its rows at 0 and 1e-3 show a step's last digits."""
    scale = np.array([[1.0], [0.0], [1e-3], [1.0]])
    return np.asarray(scale * generator(name).standard_normal((4, 8)))


def optimizer_gradients(name: str, step: int) -> Array:
    """Return the gradients of a step: eight kinds, a column each.

    Of order 1; near epsilon (1e-6, 1e-8); whose square vanishes in float32
    (1e-30); 0, or subnormal every third step; constant, whose variance is 0
    in the end and whose maximum is a tie; a large one that fades, which
    AMSGrad remembers; of changing sign.
    """
    draws = generator(f"{name} step {step}").standard_normal((4, 8))
    draws[:, 1] *= 1e-6
    draws[:, 2] *= 1e-8
    draws[:, 3] *= 1e-30
    draws[:, 4] = 0 if step % 3 else 1e-40
    draws[:, 5] = 1
    draws[:, 6] *= 1e4 * 0.1**step
    draws[:, 7] = np.abs(draws[:, 7]) * (-1) ** step
    return np.asarray(draws)


def real(source: str, n: int, numbers: Callable[[Array], Array]) -> Data:
    """Return the first n training rows of a data set, as these numbers."""
    data = DATASETS[source]()
    y = data.y_train[:n]
    return numbers(data.x_train[:n]), fixed(y) if y.ndim == 1 else numbers(y)
