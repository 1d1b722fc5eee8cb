"""Faults to plant in the implementations: faults/*.toml, each in all four.

A fault is a table: what it is, where it must show first, and for each
implementation the text to replace.

    [name]
    what = "one short line"
    component = "optimizer/adam"  # or a list: alternatives; globs
    stage = "0.weight"            # or a list: the first tensors named; globs
    kind = "semantics"            # or "instability"
    numpy = { file = "optimizers.py", old = \"\"\"...\"\"\", new = \"\"\"...\"\"\" }
    torch = [{ ... }, { ... }]    # several replacements
    tf = { ... }
    jax = { ... }

An implementation without such lines has no entry: gradients are written out
in NumPy's and PyTorch's fast.py alone.

"semantics" is another formula, or one in a lower precision: float64 shows it.
"instability" is right on paper and fails in floating point: overflow where
the result is small, or the loss of digits.
"""

import ast
import importlib
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from tetrapla.backends import Backend

IMPLEMENTATIONS = ("numpy", "torch", "tf", "jax")
KINDS = ("semantics", "instability")
FAULTS = Path(__file__).parent / "faults"
IMPLS = Path(__file__).parents[2] / "impls"

_numbers = count()


class PatchError(ValueError):
    """A patch that does not fit, or that leaves no Python."""


@dataclass(frozen=True)
class Replacement:
    """`old`, which occurs once in the file, becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, eq=False)
class Fault:
    """A kind of fault, with a patch for each implementation."""

    name: str
    what: str
    component: tuple[str, ...]
    stage: tuple[str, ...]
    kind: str
    patches: Mapping[str, tuple[Replacement, ...]]


@cache
def faults() -> list[Fault]:
    """Return all faults, in the order of the files and within them."""
    files = ("activations", "losses", "layers", "random", "optimizers", "training", "fast")
    found = []
    for file in files:
        tables = tomllib.loads((FAULTS / f"{file}.toml").read_text("utf-8"))
        found += [_fault(name, table) for name, table in tables.items()]
    return found


def _fault(name: str, table: dict[str, Any]) -> Fault:
    patches = {i: _replacements(table.pop(i)) for i in IMPLEMENTATIONS if i in table}
    lists = {key: _tuple(table.pop(key)) for key in ("component", "stage")}
    return Fault(name=name, patches=patches, **lists, **table)


def _replacements(given: Any) -> tuple[Replacement, ...]:
    return tuple(Replacement(**one) for one in _tuple(given))


def _tuple(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, list) else (given,)


def patched(fault: Fault, name: str) -> dict[str, str]:
    """Return the text of every file that the fault changes in impls/<name>."""
    texts: dict[str, str] = {}
    for change in fault.patches[name]:
        text = texts.get(change.file) or _text(name, change.file)
        times = text.count(change.old)
        if times != 1:
            raise PatchError(
                f"{fault.name}: in impls/{name}/{change.file} the text to replace "
                f"occurs {times} times:\n{change.old}"
            )
        texts[change.file] = text.replace(change.old, change.new)
    for file, text in texts.items():
        try:
            meaning = _meaning(text)
        except SyntaxError as error:
            problem = f"{fault.name}: impls/{name}/{file} is no Python then: {error}"
            raise PatchError(problem) from error
        if meaning == _meaning(_text(name, file)):
            raise PatchError(f"{fault.name}: impls/{name}/{file} means the same then")
    return texts


@cache
def _text(name: str, file: str) -> str:
    return (IMPLS / name / file).read_text("utf-8")


@lru_cache(maxsize=64)
def _meaning(text: str) -> str:
    """Return the text's syntax, without places and comments."""
    return ast.dump(ast.parse(text))


def plant(fault: Fault, name: str, dtype: str = "float64") -> Backend:
    """Return the backend of that implementation with the fault in it."""
    return _planted(fault, name).backend(dtype)


@lru_cache(maxsize=1)  # both dtypes in a row: one import, one set of traces
def _planted(fault: Fault, name: str) -> "Copy":
    return load(name, patched(fault, name))


@dataclass(frozen=True)
class Copy:
    """A copy of an implementation, loaded under another name."""

    name: str
    module: ModuleType  # its backend.py

    def backend(self, dtype: str) -> Backend:
        """Return its backend, with the usual validation in front."""
        return Backend(self.name, self.module.Backend(device="cpu", dtype=dtype))


def load(name: str, changed: Mapping[str, str]) -> Copy:
    """Return a copy of impls/<name> with other texts in some of its files."""
    package = f"tetrapla_planted_{name}_{next(_numbers)}"
    with TemporaryDirectory() as folder:
        for path in (IMPLS / name).glob("*.py"):
            text = changed.get(path.name) or _text(name, path.name)
            Path(folder, path.name).write_text(text, "utf-8")
        init = Path(folder, "__init__.py")
        init.write_text("", "utf-8")  # the real one refuses any other name
        spec = spec_from_file_location(package, init, submodule_search_locations=[folder])
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[package] = module
        try:
            spec.loader.exec_module(module)
            return Copy(name, importlib.import_module(f"{package}.backend"))
        finally:
            for loaded in [m for m in sys.modules if m.split(".")[0] == package]:
                del sys.modules[loaded]
