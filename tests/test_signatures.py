"""The four columns: same files, same symbols, same order, same parameters.

Read from the source, so that it needs no framework. What a column has that
the others have not is in EXTRA, with the reason; an entry that is no longer
needed fails.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tetrapla.impls
from tetrapla.backends import Backend as Front
from tetrapla.spec import ACTIVATIONS, LOSSES, OPTIMIZERS, contract

FOLDER = Path(tetrapla.impls.__file__).parent
COLUMNS = ("numpy", "torch", "tf", "jax")
FILES = (
    "activations",
    "layers",
    "losses",
    "optimizers",
    "training",
    "random",
    "mixed",
)

BY_HAND = "NumPy has no automatic differentiation: derived by hand"
PURE = "a pure function has its state, or its new weights, as an argument or a result"
IN_FLOAT32 = "jax would differentiate a sum in float32 as a product with float32"
EXTRA = {
    ("numpy", "activations.erfc"): "NumPy has no erfc",
    ("numpy", "layers.Dense.backward"): BY_HAND,
    ("numpy", "layers.Dropout.backward"): BY_HAND,
    ("numpy", "layers.Sequential.backward"): BY_HAND,
    ("numpy", "layers.Sequential.gradients"): BY_HAND,
    ("numpy", "losses.loss_gradient"): BY_HAND,
    ("numpy", "losses.gradient"): BY_HAND,
    ("numpy", "mixed.product"): "NumPy adds up a product of halves in halves",
    ("numpy", "mixed.Dense.backward"): BY_HAND,
    ("jax", "mixed.rounded"): "XLA leaves out a cast on a GPU (xla#41605)",
    ("jax", "mixed.product"): IN_FLOAT32,
    ("jax", "mixed.product_forward"): IN_FLOAT32,
    ("jax", "mixed.product_backward"): IN_FLOAT32,
    ("numpy", "training.penalty_gradients"): BY_HAND,
    ("jax", "layers.Sequential.load"): PURE,
    ("jax", "optimizers.Optimizer.start"): PURE,
    ("jax", "training.objective"): "jax differentiates a function, not a recording",
    ("jax", "training.linear"): "one stage of a trace",
    ("jax", "training.linear_gradient"): "the same, of one stage of a trace",
    ("jax", "training.drop_gradient"): "the same, of one stage of a trace",
}
for _name in ACTIVATIONS:
    EXTRA["numpy", f"activations.{_name}_gradient"] = BY_HAND
for _name in (
    "squared_error",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "softmax_cross_entropy",
):
    EXTRA["numpy", f"losses.{_name}_gradient"] = BY_HAND

# parameters, where a column's are not PyTorch's
PARAMETERS = {
    ("numpy", "optimizers.Optimizer.step"): (["self", "gradients"], "no .grad"),
    ("tf", "optimizers.Optimizer.step"): (["self", "gradients"], "no .grad"),
    ("jax", "optimizers.Optimizer.step"): (
        ["self", "weights", "gradients", "state", "eta"],
        PURE,
    ),
    ("jax", "optimizers.bias_correction"): (["beta", "t", "dtype"], "t is traced"),
    ("tf", "optimizers.bias_correction"): (["beta", "t", "dtype"], "t is a variable"),
    ("jax", "optimizers.optimizer"): (["hyper"], PURE),
    ("jax", "training.train_step"): (
        ["model", "loss", "optimizer", "state", "eta", "x", "y", "key", "l2"],
        PURE,
    ),
    ("jax", "training.fit"): (
        ["model", "loss", "optimizer", "state", "x", "y", "loop"],
        PURE,
    ),
}
VMAP = "TensorFlow's and NumPy's columns train one learning rate after the other"
ENDS = "a compiled program goes over the ends of epochs that are looked at"
START = "it settles once, when it starts, how a GPU's memory is taken"
FILES_OF_ONE = {
    ("jax", "precision"): "float64 needs a scope in jax",
    ("jax", "snapshots"): ENDS,
    ("tf", "snapshots"): ENDS,
    ("tf", "programs"): "a compiled function is of its variables, which jax's is not",
    ("jax", "masks"): "XLA must be kept from drawing masks twice",
    ("jax", "sweep"): VMAP,
    ("torch", "sweep"): VMAP,
    ("jax", "start"): START,
    ("tf", "start"): START,
    ("torch", "modes"): "torch's functions depend on settings of the process",
    ("torch", "graphs"): "on a GPU XLA has whole loops, torch records a step",
}

WITHOUT = {
    ("jax", "optimizers.Optimizer.__init__"): "a frozen dataclass writes its own",
    ("numpy", "training.penalty"): "only its gradient is needed by hand",
}


def functions(
    body: list[ast.stmt], prefix: str
) -> Iterator[tuple[str, ast.FunctionDef | None]]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            # torch modules are called through forward
            name = "__call__" if node.name == "forward" else node.name
            yield prefix + name, node
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name, None
            yield from functions(node.body, f"{prefix}{node.name}.")


@cache
def symbols(column: str, file: str) -> dict[str, ast.FunctionDef | None]:
    if (column, file) == ("numpy", "random"):
        # NumPy's column is the specification's own code, re-exported
        import tetrapla.impls.numpy.random as column_file
        import tetrapla.spec.threefry as module

        source, exported = Path(module.__file__), column_file.__all__
        tree = ast.parse(source.read_text(encoding="utf-8"))
        return {n: f for n, f in functions(tree.body, "random.") if n[7:] in exported}
    source = FOLDER / column / f"{file}.py"
    return dict(functions(ast.parse(source.read_text(encoding="utf-8")).body, f"{file}."))


@pytest.mark.parametrize("column", COLUMNS)
def test_same_files(column: str) -> None:
    there = {path.stem for path in (FOLDER / column).glob("*.py")}
    own = {file for c, file in FILES_OF_ONE if c == column}
    assert there == {*FILES, *own, "fast", "backend", "__init__"}


@pytest.mark.parametrize("column", COLUMNS)
def test_the_fast_loops_have_one_form(column: str) -> None:
    there = symbols(column, "fast")
    for name in ("Steps.run", "Steps.keep", "Steps.restore", "fit"):
        assert f"fast.{name}" in there


def tables(column: str, file: str) -> dict[str, list[str]]:
    """Return the keys of each dictionary that a file defines at its top."""
    tree = ast.parse((FOLDER / column / f"{file}.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
            node.value, ast.Dict
        ):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found[ast.unparse(target)] = [ast.literal_eval(k) for k in node.value.keys if k]
    return found


@pytest.mark.parametrize("column", COLUMNS)
def test_the_tables_are_the_specifications(column: str) -> None:
    found = tables(column, "activations")
    assert found.pop("FUNCTIONS") == list(ACTIVATIONS)
    assert found == ({"GRADIENTS": list(ACTIVATIONS)} if column == "numpy" else {})
    assert tables(column, "optimizers") == {"RULES": list(OPTIMIZERS)}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("column", [c for c in COLUMNS if c != "torch"])
def test_same_symbols_in_the_same_order(column: str, file: str) -> None:
    expected = [s for s in symbols("torch", file) if (column, s) not in WITHOUT]
    shared = [s for s in symbols(column, file) if (column, s) not in EXTRA]
    assert shared == expected


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("column", [c for c in COLUMNS if c != "torch"])
def test_same_parameters(column: str, file: str) -> None:
    for name, reference in symbols("torch", file).items():
        function = symbols(column, file).get(name)
        if reference is None or function is None:
            continue
        expected = [a.arg for a in reference.args.args]
        expected, _ = PARAMETERS.get((column, name), (expected, ""))
        assert [a.arg for a in function.args.args] == expected, name
        assert not function.args.kwonlyargs, name
        if (column, name) not in PARAMETERS:
            defaults = [ast.unparse(d) for d in function.args.defaults]
            assert defaults == [ast.unparse(d) for d in reference.args.defaults], name


@pytest.mark.parametrize("column", COLUMNS)
def test_every_difference_is_still_there(column: str) -> None:
    there = {s for file in FILES for s in symbols(column, file)}
    torch = {s for file in FILES for s in symbols("torch", file)}
    for c, name in EXTRA:
        assert c != column or (name in there and name not in torch), name
    for c, name in WITHOUT:
        assert c != column or (name not in there and name in torch), name
    for (c, name), (parameters, _) in PARAMETERS.items():
        if c == column:
            reference = symbols("torch", name.split(".")[0])[name]
            assert reference is not None
            assert parameters != [a.arg for a in reference.args.args], name


@pytest.mark.parametrize("column", COLUMNS)
def test_the_order_is_the_specifications(column: str) -> None:
    activations = [s.split(".")[1] for s in symbols(column, "activations")]
    assert [s for s in activations if s in ACTIVATIONS] == list(ACTIVATIONS)
    rules = [s.split(".")[1] for s, f in symbols(column, "optimizers").items() if f is None]
    assert rules == ["Optimizer", *(cls.__name__ for cls in OPTIMIZERS.values())]
    assert {cls.name for cls in LOSSES.values()} == {
        "mean_squared_error",
        "binary_cross_entropy",
        "softmax_cross_entropy",
    }


def methods(cls: ast.ClassDef) -> dict[str, list[str]]:
    return {
        f.name: [a.arg for a in (*f.args.args, *f.args.kwonlyargs)]
        for f in cls.body
        if isinstance(f, ast.FunctionDef)
    }


def backend_class(path: Path) -> ast.ClassDef:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Backend")


@pytest.mark.parametrize("column", COLUMNS)
def test_every_backend_answers_the_contract(column: str) -> None:
    asked = methods(backend_class(Path(contract.__file__)))
    answered = methods(backend_class(FOLDER / column / "backend.py"))
    for name, parameters in asked.items():
        assert answered.get(name) == parameters, name
    assert answered["__init__"] == ["self", "device", "dtype"]


def test_the_front_has_the_contracts_names() -> None:
    for name in methods(backend_class(Path(contract.__file__))):
        assert callable(getattr(Front, name))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.py")), ids=lambda p: p.parent.name)
def test_four_columns_fit_a_wide_screen(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        assert len(line) <= 72, f"{path.parent.name}/{path.name}:{number}: {line}"


LIBRARIES = ("torch", "tf", "jax")
SHARED = {  # what a reader finds in all three, at the least
    "activations": [*ACTIVATIONS, "activation", "activation_gradient"],
    "layers": ["Dropout", "dense", "leaves", "parameters", "places", "sequential"],
    "losses": ["loss"],
    "optimizers": [
        "sgd",
        "adagrad",
        "adadelta",
        "rmsprop",
        "adam",
        "optimizer",
        "supports",
    ],
    "training": ["loss_and_gradients", "train_step", "fit", "trace"],
    "fast": [],  # fit, of the column's own fast.py in tf
    "convert": ["named", "dense", "network"],
    "backend": ["Backend"],
}


LIBRARY_FILES_OF_ONE = {("tf", "settings"): "Keras depends on settings of the process"}


def defined(path: Path) -> list[str]:
    kinds = ast.FunctionDef | ast.ClassDef
    return [n.name for n in ast.parse(path.read_text()).body if isinstance(n, kinds)]


@pytest.mark.parametrize("column", LIBRARIES)
def test_the_library_columns_have_the_same_files_and_names(column: str) -> None:
    folder = FOLDER / column / "library"
    own = {file for c, file in LIBRARY_FILES_OF_ONE if c == column}
    assert {p.stem for p in folder.glob("*.py")} == {"__init__", *SHARED, *own}
    for name, symbols in SHARED.items():
        there = defined(folder / f"{name}.py")
        assert [s for s in symbols if s not in there] == [], name
