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
        file.write(json.dumps({"cuda": cuda()}) + "\n")


if __name__ == "__main__":
    main()
