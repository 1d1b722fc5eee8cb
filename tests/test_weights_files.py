"""Weights in files: any backend reads another's, and bad files are named."""

import json
import os
import stat
import struct

import numpy as np
import pytest
import safetensors.numpy
import support

import tetrapla as tp
from tetrapla import files, weights
from tetrapla.spec import InvalidInputError
from tetrapla.spec.config import to_config

NET = tp.Sequential(tp.Dense(2, 3, "relu"), tp.Dropout(0.5), tp.Dense(3, 1))


def first(dtype="float32"):
    return {name: a.astype(dtype) for name, a in NET.init(seed=0).items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_round_trip(path, dtype):
    w = {name: a + np.asarray(np.pi, dtype) for name, a in first(dtype).items()}
    weights.save(path, NET, w)
    net, loaded = weights.load(path)
    assert net == NET
    assert list(loaded) == list(NET.shapes)
    for name in w:
        assert loaded[name].dtype == dtype
        assert loaded[name].flags.writeable
        np.testing.assert_array_equal(loaded[name], w[name], strict=True)


@pytest.mark.parametrize("reader", support.BACKENDS)
@pytest.mark.parametrize("writer", support.BACKENDS)
def test_what_one_backend_writes_another_reads(path, writer, reader):
    one, other = support.backend(writer, "float64"), support.backend(reader, "float64")
    model = one.build(NET, first("float64"))
    weights.save(path, NET, one.weights(model))
    net, loaded = weights.load(path)
    read = other.weights(other.build(net, loaded))
    for name, a in first("float64").items():
        np.testing.assert_array_equal(read[name], a, strict=True)


def test_strides_do_not_reach_the_file(path):
    w = first("float64")
    w["0.weight"] = np.asfortranarray(w["0.weight"])
    weights.save(path, NET, w)
    np.testing.assert_array_equal(weights.load(path)[1]["0.weight"], w["0.weight"])


def test_the_same_weights_are_the_same_bytes(path):
    written = set()
    for _ in range(5):
        weights.save(path, NET, first())
        written.add(path.read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": np.zeros((3, 2))}, r"weights\['0.weight'\] must have shape \(2, 3\)"),
        ({"1.weight": np.zeros((3, 2))}, "weights must have exactly the keys"),
        ({"0.weight": np.zeros((2, 3), int)}, "must be floating point"),
    ],
)
def test_weights_that_are_not_the_networks_are_not_saved(path, change, message):
    with pytest.raises(InvalidInputError, match=message):
        weights.save(path, NET, first() | change)
    assert not path.exists()


# ---- files that are not what they should be


def about(**changes):
    said = {"format": 1, "version": "0.1.0", "network": to_config(NET)} | changes
    return {"tetrapla": json.dumps(said)}


def file(metadata, **changes):
    return safetensors.numpy.save(first() | changes, metadata)


VALID = file(about())
HEADER = struct.unpack("<Q", VALID[:8])[0]
BAD_FILES = {
    "empty": (b"", "not a safetensors file, or it is damaged"),
    "foreign": (b"PK\x03\x04 a zip file, say, of weights", "not a safetensors file"),
    "header cut": (VALID[: HEADER // 2], "not a safetensors file, or it is damaged"),
    "data cut": (VALID[:-5], "not a safetensors file, or it is damaged"),
    "data added": (VALID + b"12345", "not a safetensors file, or it is damaged"),
    "not ours": (file({"format": "np"}), "not one that tetrapla wrote"),
    "no metadata": (file(None), "not one that tetrapla wrote"),
    "not JSON": (file({"tetrapla": "{"}), "its description is not JSON"),
    "too deep": (file({"tetrapla": "[" * 10**5}), "its description is not JSON"),
    "a list": (file({"tetrapla": "[1]"}), "does not say in which format"),
    "no format": (file({"tetrapla": "{}"}), "does not say in which format"),
    "format of text": (file(about(format="1")), "does not say in which format"),
    "newer": (
        file(about(format=2, version="9.9")),
        r"in format 2, written by tetrapla 9.9; this is tetrapla .* formats up to 1",
    ),
    "no network": (file(about(network=None)), "a config must be a dictionary"),
    "no Sequential": (file(about(network={"type": "ReLU"})), "must be a Sequential"),
    "unknown layer": (file(about(network={"type": "Conv"})), "unknown type 'Conv'"),
    "another network": (
        file(about(network=to_config(tp.Sequential(tp.Dense(2, 1))))),
        r"its network has the weights \['0.weight', '0.bias'\], the file \[",
    ),
    "another shape": (
        file(about(), **{"0.weight": np.zeros((3, 2), np.float32)}),
        r"0.weight must have shape \(2, 3\), got \(3, 2\)",
    ),
    "integers": (
        file(about(), **{"0.weight": np.zeros((2, 3), np.int32)}),
        "0.weight must be in F16 or F32 or F64, got I32",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_named_and_explained(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message) as error:
        weights.load(path)
    assert str(path) in str(error.value)


def test_every_cut_is_noticed(path):
    for length in range(len(VALID)):
        path.write_bytes(VALID[:length])
        with pytest.raises(InvalidInputError):
            weights.load(path)


def test_a_missing_file_is_the_systems_error(path):
    with pytest.raises(FileNotFoundError):
        weights.load(path)


# ---- written whole or not at all


def test_a_failed_write_leaves_the_old_file_and_no_other(path, monkeypatch):
    path.write_bytes(b"old")

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_new_file_has_the_usual_mode_and_an_old_one_keeps_its_own(path):
    usual = path.with_name("usual")
    usual.touch()
    files.write_atomically(path, b"1")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
    path.chmod(0o600)
    files.write_atomically(path, b"2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"2"


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    files.write_atomically(link, b"1")
    assert link.is_symlink()
    assert path.read_bytes() == b"1"


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        files.write_atomically(tmp_path, b"1")
