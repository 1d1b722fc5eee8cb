"""Ask each backend on each device what it says of itself; a line of JSON for each.

python benchmarks/gpu_info.py LINES cpu,gpu
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from tetrapla.backends import BUILT_IN, available, label_of, labelled


def cuda() -> dict[str, str]:
    """Return what torch and JAX say of CUDA."""
    said = {
        "torch": lambda torch: (
            f"CUDA {torch.version.cuda}, cuDNN "
            f"{torch.backends.cudnn.version()}, compiled for {torch.cuda.get_arch_list()}"
        ),
        "jax": lambda jax: " ".join(jax.devices("gpu")[0].client.platform_version.split()),
    }
    found = {}
    for name, ask in said.items():
        try:
            found[f"{name}'s platform"] = ask(import_module(name))
        except Exception as error:  # not installed, or no GPU
            found[f"{name}'s platform"] = f"{type(error).__name__}: {error}"
    return found


def torch_product() -> float:
    import torch

    x = torch.full((256, 256), 1 + 2.0**-12, device="cuda")
    return float((x @ torch.eye(256, device="cuda"))[0, 0])


def jax_product() -> float:
    import jax
    import jax.numpy as jnp

    with jax.default_device(jax.devices("gpu")[0]):
        return float((jnp.full((256, 256), 1 + 2.0**-12) @ jnp.eye(256))[0, 0])


def tf_product() -> float:
    import tensorflow as tf

    gpu = tf.config.list_logical_devices("GPU")[0]  # or it would take the CPU
    with tf.device(gpu.name):
        return float((tf.fill((256, 256), 1 + 2.0**-12) @ tf.eye(256))[0, 0])


def as_they_come() -> dict[str, str]:
    """Return what each framework's product of 1 + 2^-12 and 1 is, with its own settings.

    It is 1 in TF32.
    """
    found = {}
    for product in (torch_product, jax_product, tf_product):
        name = f"{product.__name__.removesuffix('_product')}'s own 1.000244140625 x 1"
        try:
            x = product()
        except Exception as error:  # not installed, or no GPU
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            kind = "float32" if x == 1 + 2.0**-12 else "TF32, or less"
            found[name] = f"{x!r}: {kind}"
    return found


def main() -> None:
    path, devices = sys.argv[1:]
    with Path(path).open("w", encoding="utf-8") as file:
        for device in devices.split(","):
            for name in dict.fromkeys([*BUILT_IN, *available()]):
                label = label_of(name, device)
                try:
                    line = {"backend": label, "info": labelled(label).info()}
                except Exception as error:  # whatever it is, it belongs in the summary
                    line = {"backend": label, "missing": str(error) or repr(error)}
                file.write(json.dumps(line) + "\n")
                file.flush()
        file.write(json.dumps({"cuda": cuda() | as_they_come()}) + "\n")


if __name__ == "__main__":
    main()
