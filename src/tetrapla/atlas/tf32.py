"""How far float32 products on a GPU are off: measured there, or else emulated.

TF32 rounds each factor to ten bits of fraction, by up to 2^-11 of it, and adds
up in float32.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from tetrapla.atlas.row import BACKENDS, MEASURED
from tetrapla.backends import load
from tetrapla.spec import BackendUnavailableError
from tetrapla.spec.contract import Array

SIZE = 256
ONE = 1 + 2.0**-12  # 1 in TF32
Product = Callable[[Array, Array], Array]


@cache
def factors() -> tuple[Array, Array]:
    """Return two matrices of normal numbers in float32."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, SIZE, SIZE))
    return a.astype(np.float32), b.astype(np.float32)


def size(product: Product) -> str:
    """Return what 1 + 2^-12 times 1 is, and how far a longer product is off.

    >>> size(emulated(23)), size(emulated(10))
    ('1.000244140625; 2.9e-07 off', '1; 2.9e-04 off')
    """
    ones = np.full((SIZE, SIZE), ONE, np.float32)
    one = float(product(ones, np.eye(SIZE, dtype=np.float32))[0, 0])
    a, b = factors()
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = np.linalg.norm(product(a, b) - exact) / np.linalg.norm(exact)
    return f"{one:.13g}; {error:.1e} off"


def rounded(x: Array, bits: int) -> Array:
    """Return float32 numbers rounded to some bits of fraction, ties to even."""
    cut = 23 - bits
    if not cut:
        return x
    words = x.view(np.uint32)
    words = words + np.uint32(2 ** (cut - 1) - 1) + ((words >> cut) & 1)
    return (words >> cut << cut).astype(np.uint32).view(np.float32)


def emulated(bits: int) -> Product:
    """Return a product of factors with some bits of fraction, added up in float32."""

    def product(a: Array, b: Array) -> Array:
        a, b = rounded(a, bits), rounded(b, bits)
        total = np.zeros((len(a), b.shape[1]), np.float32)
        for column, row in zip(a.T, b, strict=True):
            total += column[:, None] * row
        return total

    return product


def answer(library: str, exact: bool, on_gpu: Callable[[], tuple[str, Product]]) -> str:
    """Return the sizes on this machine's GPU, or those of what is allowed there."""
    try:
        load(BACKENDS[library], "gpu")
    except BackendUnavailableError:
        kind, bits = ("float32", 23) if exact else ("TF32", 10)
        return f"{size(emulated(bits))}: no GPU here, {kind} emulated"
    name, product = on_gpu()
    return f"{size(product)}: {MEASURED}{name}"


def torch_products() -> str:
    """Return the sizes in PyTorch, as it comes."""
    import torch

    def on_gpu() -> tuple[str, Product]:
        def product(a: Array, b: Array) -> Array:
            return (torch.tensor(a, device="cuda") @ torch.tensor(b, device="cuda")).numpy(
                force=True
            )

        return torch.cuda.get_device_name(), product

    return answer("torch", torch.get_float32_matmul_precision() == "highest", on_gpu)


def tf_products() -> str:
    """Return the sizes in TensorFlow, as it comes."""
    import tensorflow as tf

    def on_gpu() -> tuple[str, Product]:
        (gpu, *_) = tf.config.list_physical_devices("GPU")
        about = tf.config.experimental.get_device_details(gpu)

        def product(a: Array, b: Array) -> Array:
            with tf.device("/GPU:0"):
                return np.array(tf.constant(a) @ tf.constant(b))

        return str(about.get("device_name", "a GPU")), product

    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    return answer("keras", not allowed, on_gpu)


def jax_products() -> str:
    """Return the sizes in JAX, as it comes."""
    import jax
    import jax.numpy as jnp

    def on_gpu() -> tuple[str, Product]:
        gpu = jax.devices("gpu")[0]

        def product(a: Array, b: Array) -> Array:
            with jax.default_device(gpu):
                return np.array(jnp.array(a) @ jnp.array(b))

        return gpu.device_kind, product

    precision = jax.config.values["jax_default_matmul_precision"]
    return answer("jax", precision in ("highest", "float32"), on_gpu)
