"""The process of one framework: what it calls a device, or why it has none such."""

import json
import sys
from importlib import import_module

from tetrapla.spec import BackendUnavailableError


def main(framework: str, device: str) -> None:
    module = import_module(f"tetrapla.benchmarks.of_{framework}")
    try:
        with module.scope(device) as name:
            found = {"name": name}
    except BackendUnavailableError as error:
        found = {"absent": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
