"""What the README says can be typed, can be typed."""

from pathlib import Path

import pytest
import support
from click.testing import CliRunner


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    support.backend("torch")  # the README's example; skips where it is missing
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in support.blocks("README.md", "python"):
        exec(block, names)
    assert names["r"].weights["0.weight"].shape == (64, 128)
    assert names["state"]["t"] == 1
    assert len(names["run"].history["loss"]) == 2
    assert (tmp_path / "net.safetensors").is_file()


def test_every_option_that_is_shown_is_there() -> None:
    from tetrapla.cli import main

    blocks = [
        block
        for file in ("README.md", "docs/checkpoints.md")
        for block in support.blocks(file, "sh")
    ]
    shown = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    lines = [line for line in shown if line.startswith("tetrapla ")]
    assert len(lines) >= 5
    for line in lines:
        _, command, *words = line.split()
        result = CliRunner().invoke(main, [command, "--help"])
        assert result.exit_code == 0
        for option in (word for word in words if word.startswith("--")):
            assert option in result.output, line
