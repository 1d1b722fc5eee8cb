"""PyTorch's settings of how a GPU multiplies are the user's, and stay so."""

import pytest
import support


@pytest.fixture
def torch():
    support.backend("torch")
    import torch

    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul
    cpu = before[1].fp32_precision
    yield torch
    torch.set_float32_matmul_precision("highest")
    flags = torch.backends.cuda.matmul
    flags.fp32_precision = before[0]
    flags.allow_bf16_reduced_precision_reduction = True
    flags.allow_fp16_reduced_precision_reduction = True
    flags.allow_fp16_accumulation = False
    torch.backends.mkldnn.matmul.fp32_precision = cpu


def settings(torch):
    flags = torch.backends.cuda.matmul
    read = {
        "precision": torch.get_float32_matmul_precision,
        "allow": lambda: flags.allow_tf32,
        "new": lambda: flags.fp32_precision,
        "cpu": lambda: torch.backends.mkldnn.matmul.fp32_precision,
        "bf16": lambda: flags.allow_bf16_reduced_precision_reduction,
        "fp16": lambda: flags.allow_fp16_reduced_precision_reduction,
        "bf16 in parts": lambda: flags.allow_bf16_reduced_precision_reduction_split_k,
        "fp16 in parts": lambda: flags.allow_fp16_reduced_precision_reduction_split_k,
        "fp16 sums": lambda: flags.allow_fp16_accumulation,
    }
    found = {}
    for name, value in read.items():
        try:
            found[name] = value()
        except RuntimeError:  # torch says so where its two settings differ
            found[name] = "mixed"
    return found


def legacy(torch):
    torch.backends.cuda.matmul.allow_tf32 = True


def new(torch):
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def halves(torch):
    flags = torch.backends.cuda.matmul
    flags.allow_bf16_reduced_precision_reduction = (False, False)
    flags.allow_fp16_reduced_precision_reduction = (False, False)
    flags.allow_fp16_accumulation = True


WAYS = {
    "as it comes": lambda torch: None,
    "high": lambda torch: torch.set_float32_matmul_precision("high"),
    "medium": lambda torch: torch.set_float32_matmul_precision("medium"),
    "the older switch": legacy,
    "the newer one alone": new,
    "sums of halves": halves,
}


@pytest.mark.parametrize("tf32", [True, False])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_they_are_set_and_set_back(torch, way, tf32):
    from tetrapla.impls.torch import backend

    way(torch)
    before = settings(torch)
    off = dict.fromkeys(backend.sums(), False)
    with backend.multiplying(tf32, off):
        inside = settings(torch)
    assert inside["allow"] == tf32  # torch's two settings agree, or it would raise
    assert not any(inside[name] for name in ("bf16", "fp16", "fp16 sums"))
    assert settings(torch) == before
    with backend.users_products()():
        pass
    assert settings(torch) == before
