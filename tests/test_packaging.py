"""The wheel and the source distribution: complete, and they run on their own."""

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]


def folders() -> set[str]:
    """Return every folder of Python files, as the package it should be."""
    found = {p.parent.relative_to(ROOT / "src") for p in (ROOT / "src").glob("**/*.py")}
    packages = {".".join(p.parts) for p in found}
    for path in (ROOT / "impls").glob("**/*.py"):
        packages.add(".".join(("tetrapla", *path.parent.relative_to(ROOT).parts)))
    return packages | {"tetrapla.benchmarks"}


def test_the_package_list_is_complete() -> None:
    assert set(SETUPTOOLS["packages"]) == folders()


def test_every_folder_has_an_init() -> None:
    for package in SETUPTOOLS["packages"]:
        parts = package.split(".")[1:]
        base = ROOT if parts[:1] == ["impls"] else ROOT / "src" / "tetrapla"
        if parts == ["benchmarks"]:
            base, parts = ROOT / "benchmarks", ["speed"]
        assert base.joinpath(*parts, "__init__.py").is_file(), package


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and from it the wheel."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def sources() -> set[str]:
    """Return the files that both must hold, by their path in the wheel."""
    src = {
        p.relative_to(ROOT / "src").as_posix() for p in ROOT.glob("src/tetrapla/**/*.py")
    }
    impls = {
        f"tetrapla/{p.relative_to(ROOT).as_posix()}" for p in ROOT.glob("impls/**/*.py")
    }
    impls |= {f"tetrapla/benchmarks/{p.name}" for p in ROOT.glob("benchmarks/speed/*.py")}
    data = {"tetrapla/parity/page.css", "tetrapla/parity/page.js"}
    data |= {"tetrapla/atlas/seen.json"}
    data |= {f"tetrapla/reading/static/columns.{kind}" for kind in ("css", "js")}
    return src | impls | data | {"tetrapla/py.typed", "tetrapla/impls/py.typed"}


def test_the_wheel_holds_every_source_and_no_test(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {n for n in names if not n.split("/")[0].endswith(".dist-info")}
    assert inside == sources()


def test_the_source_distribution_holds_every_source(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in sources():
        inner = name.removeprefix("tetrapla/").replace("benchmarks/", "benchmarks/speed/")
        assert inner in names or f"src/{name}" in names, name


@pytest.mark.parametrize("suffix", [".whl", ".tar.gz"])
def test_it_installs_and_runs_in_a_clean_environment(
    built: Path, tmp_path: Path, suffix: str
) -> None:
    """The base install, NumPy and little more, runs the parity suite alone."""
    (package,) = built.glob(f"*{suffix}")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    constraints = ["-c", str(ROOT / "constraints.txt")]
    install = [str(python), "-m", "pip", "install", "-q", *constraints, str(package)]
    subprocess.run(install, check=True, capture_output=True, text=True, cwd=tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(
            [str(python), *command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    versions = "import tetrapla; print(*tetrapla.available())"
    assert run("-c", versions).split() == ["numpy"]
    assert "pip install 'tetrapla[torch]'" in run("-m", "tetrapla", "info")
    out = run("-m", "tetrapla", "parity", "--filter", "optimizer/adam")
    assert "numpy" in out
