"""What the README says can be typed, can be typed."""

import re
from pathlib import Path

import numpy as np
import pytest
import support
from click.testing import CliRunner

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    support.backend("torch")  # the README's example; skips where it is missing
    monkeypatch.chdir(tmp_path)
    first, contract = blocks("python")
    names: dict = {}
    exec(first, names)
    assert names["r"].weights["0.weight"].shape == (64, 128)
    b, net, weights = names["b"], names["net"], names["weights"]
    names |= {
        "model": b.build(net, weights),
        "z": np.ones(3),
        "upstream": np.ones(3),
        "outputs": np.ones((2, 1)),
        "opt": names["tp"].Adam(),
        "loss": "softmax_cross_entropy",
        "gradients": names["r"].weights,
    }
    exec(
        contract.replace('b.loss("mse", outputs, y)', 'b.loss("mse", outputs, outputs)'),
        names,
    )
    assert names["state"]["t"] == 1
    assert len(names["run"].history["loss"]) == 10
    assert (tmp_path / "digits.safetensors").is_file()


def test_every_option_that_is_shown_is_there() -> None:
    from tetrapla.cli import main

    shown = [line.split("#")[0] for block in blocks("sh") for line in block.splitlines()]
    lines = [line for line in shown if line.startswith("tetrapla ")]
    assert len(lines) >= 5
    for line in lines:
        _, command, *words = line.split()
        result = CliRunner().invoke(main, [command, "--help"])
        assert result.exit_code == 0
        for option in (word for word in words if word.startswith("--")):
            assert option in result.output, line
