"""Rows: numbers themselves: precision, subnormals, matrix products."""

from tetrapla.atlas.row import Answer, Row
from tetrapla.atlas.tf32 import jax_products, tf_products, torch_products


def torch_subnormal() -> Answer:
    """Return 1e-40 times 1 on the CPU."""
    import torch

    return said(float(torch.tensor(1e-40) * torch.tensor(1.0)))


def tf_subnormal() -> Answer:
    """Return 1e-40 times 1 on the CPU."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return said(float(tf.constant(1e-40) * tf.constant(1.0)))


def jax_subnormal() -> Answer:
    """Return 1e-40 times 1 on the CPU."""
    import jax
    import jax.numpy as jnp

    with jax.default_device(jax.devices("cpu")[0]):
        return said(float(jnp.float32(1e-40) * jnp.float32(1.0)))


def said(x: float) -> str:
    """Say whether a subnormal number survived."""
    return "flushed to 0" if x == 0 else "kept"


def torch_matmul() -> str:
    """Return PyTorch's setting."""
    import torch

    return f"precision {torch.get_float32_matmul_precision()!r}"


def tf_matmul() -> str:
    """Return TensorFlow's setting."""
    import tensorflow as tf

    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    return "TF32 allowed" if allowed else "TF32 off"


def jax_matmul() -> str:
    """Return JAX's setting."""
    import jax

    return f"precision {jax.config.values['jax_default_matmul_precision']}"


def error_of_product(product: float) -> float:
    """Return how far sum((1 + 2^-12) (1 - 2^-12)) over 8 is off 8 (1 - 2^-24)."""
    return abs(product - 8 * (1 - 2.0**-24))


def torch_cpu_product() -> float:
    """Return the error of a product on the CPU that TF32 could not hold."""
    import torch

    a, b = torch.full((8, 8), 1 + 2.0**-12), torch.full((8, 8), 1 - 2.0**-12)
    return error_of_product(float((a @ b)[0, 0]))


def tf_cpu_product() -> float:
    """Return the error of a product on the CPU that TF32 could not hold."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        a, b = tf.fill((8, 8), 1 + 2.0**-12), tf.fill((8, 8), 1 - 2.0**-12)
        return error_of_product(float((a @ b)[0, 0]))


def jax_cpu_product() -> float:
    """Return the error of a product on the CPU that TF32 could not hold."""
    import jax
    import jax.numpy as jnp

    with jax.default_device(jax.devices("cpu")[0]):
        a = jnp.full((8, 8), 1 + 2.0**-12, jnp.float32)
        b = jnp.full((8, 8), 1 - 2.0**-12, jnp.float32)
        return error_of_product(float((a @ b)[0, 0]))


def torch_double() -> str:
    """Return the dtype that a NumPy float64 array becomes."""
    import numpy as np
    import torch

    return str(torch.as_tensor(np.ones(1)).dtype).removeprefix("torch.")


def keras_double() -> str:
    """Return the dtype of a Dense layer's answer to a NumPy float64 array."""
    import keras
    import numpy as np

    return str(
        keras.backend.standardize_dtype(keras.layers.Dense(1)(np.ones((1, 1))).dtype)
    )


def jax_double() -> str:
    """Return the dtype that a NumPy float64 array becomes."""
    import jax.numpy as jnp
    import numpy as np

    return str(jnp.asarray(np.ones(1)).dtype)


TF32_LINKS = (
    "https://github.com/pytorch/pytorch/issues/67384",
    "https://github.com/jax-ml/jax/issues/12008",
    "https://github.com/tensorflow/community/pull/287",
)
IN_FLOAT32 = {
    "torch": 'torch.set_float32_matmul_precision("highest")',
    "keras": "tf.config.experimental.enable_tensor_float_32_execution(False)",
    "jax": 'jax.default_matmul_precision("highest")',
}

ROWS = (
    Row(
        "subnormals",
        "numbers",
        "Subnormal numbers on the CPU",
        "1e-40 times 1 in float32",
        "TensorFlow's and XLA's threads flush what is below 1.2e-38 to 0; PyTorch and "
        "NumPy keep it.",
        {"torch": torch_subnormal, "keras": tf_subnormal, "jax": jax_subnormal},
        (
            "https://github.com/jax-ml/jax/issues/16200",
            "https://github.com/tensorflow/tensorflow/issues/127905",
            "https://github.com/pytorch/pytorch/issues/19652",
        ),
        ("subnormal", "denormal", "float32"),
        write={"torch": "torch.set_flush_denormal(True)"},
        never="neither TensorFlow nor JAX can be told to keep them.",
    ),
    Row(
        "matmul-precision-gpu",
        "numbers",
        "What float32 matrix products are allowed to be on a GPU",
        "the setting as it comes",
        "TF32 keeps ten bits of the factors. TensorFlow allows it from the start; JAX's "
        "None is the device's fastest, TF32 on an Ampere GPU or newer; PyTorch's 'highest' "
        "is full float32, the default for matrix products since 1.12.",
        {"torch": torch_matmul, "keras": tf_matmul, "jax": jax_matmul},
        TF32_LINKS,
        ("tf32", "gpu", "matmul", "precision"),
        write=IN_FLOAT32,
        never="the settings are global (JAX's can be scoped).",
    ),
    Row(
        "matmul-tf32-size",
        "numbers",
        "How far float32 matrix products on a GPU are off, as they come",
        "1 + 2^-12 (1.000244140625) times 1, and the error of a product of normal numbers, "
        "256 x 256, by norm",
        "TF32 rounds each factor by up to 2^-11 (4.9e-04) of it, float32 by 2^-24 "
        "(6.0e-08). An answer says whether it was measured on this machine's GPU or, where "
        "there is none, emulated in NumPy: factors of ten bits of fraction, or of all 23, "
        "added up in float32. JAX's None is emulated as on an Ampere GPU or newer.",
        {"torch": torch_products, "keras": tf_products, "jax": jax_products},
        TF32_LINKS,
        ("tf32", "gpu", "matmul", "precision"),
        write=IN_FLOAT32,
        never="the settings are global (JAX's can be scoped).",
    ),
    Row(
        "matmul-precision-cpu",
        "numbers",
        "Float32 matrix products on the CPU",
        "the error of eight (1 + 2^-12)(1 - 2^-12) added up; TF32 or bfloat16 would lose "
        "2^-21 or more",
        "On the CPU all three compute in float32 by default.",
        {"torch": torch_cpu_product, "keras": tf_cpu_product, "jax": jax_cpu_product},
        ("https://docs.jax.dev/en/latest/jax.lax.html#jax.lax.Precision",),
        ("matmul", "precision", "cpu"),
        align={"torch": {}, "keras": {}, "jax": {}},
    ),
    Row(
        "float64-input",
        "numbers",
        "What becomes of a NumPy float64 array",
        "numpy.ones(1) given to the library",
        "PyTorch keeps float64 (and then refuses to multiply it with float32 weights); "
        "Keras casts it to a layer's dtype; JAX rounds it unless jax_enable_x64.",
        {"torch": torch_double, "keras": keras_double, "jax": jax_double},
        (
            "https://github.com/jax-ml/jax/issues/1333",
            "https://github.com/jax-ml/jax/issues/17366",
        ),
        ("float64", "dtype", "x64", "precision"),
        write={"jax": "with jax.enable_x64(True): ..."},
        never="say the dtype: x.astype(numpy.float32).",
    ),
)
