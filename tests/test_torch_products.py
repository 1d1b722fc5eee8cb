"""PyTorch's settings of how a GPU computes are the user's, and stay so."""

from functools import partial

import numpy as np
import pytest
import support

import tetrapla as tp


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
    torch.set_deterministic_debug_mode("default")
    torch.utils.deterministic.fill_uninitialized_memory = True


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
        "same bits": torch.get_deterministic_debug_mode,
        "filled": lambda: torch.utils.deterministic.fill_uninitialized_memory,
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


def same_bits(torch):
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False


WAYS = {
    "as it comes": lambda torch: None,
    "high": lambda torch: torch.set_float32_matmul_precision("high"),
    "medium": lambda torch: torch.set_float32_matmul_precision("medium"),
    "the older switch": legacy,
    "the newer one alone": new,
    "sums of halves": halves,
    "the same bits": same_bits,
}


@pytest.mark.parametrize("tf32", [True, False])
@pytest.mark.parametrize("at_start", [None, ":4096:8"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_they_are_set_and_set_back(torch, way, at_start, tf32, monkeypatch):
    from tetrapla.impls.torch import modes

    monkeypatch.setattr(modes, "AT_START", at_start)
    way(torch)
    before = settings(torch)
    users = modes.now(gpu=True)
    with modes.as_set(partial(modes.exact, True, tf32), gpu=True):
        inside = settings(torch)
        with modes.as_set(users, gpu=True):
            assert settings(torch) == before  # a callback's
        assert settings(torch) == inside
    assert inside["cpu"] == "ieee"
    assert inside["allow"] == tf32  # torch's two settings agree, or it would raise
    assert not any(inside[name] for name in ("bf16", "fp16", "fp16 sums"))
    assert settings(torch) == before


@pytest.mark.parametrize("at_start", [None, "", ":0:0", ":16:8", ":4096:8"])
def test_algorithms_have_the_same_bits_where_cublas_started_so(
    torch, at_start, monkeypatch
):
    from tetrapla.impls.torch import modes

    monkeypatch.setattr(modes, "AT_START", at_start)
    started = at_start in (":16:8", ":4096:8")
    with modes.as_set(partial(modes.exact, True, False), gpu=True):
        found = settings(torch)
    assert found["same bits"] == (1 if started else 0)
    assert found["filled"] == (not started)
    says = modes.deterministic(torch.device("cuda"))
    assert (says == "yes") == started
    monkeypatch.setattr(modes, "LATE", True)  # set when cuBLAS may have been there
    assert modes.deterministic(torch.device("cuda")) != "yes"
    torch.use_deterministic_algorithms(True)  # the user's is stricter, and is kept
    with modes.as_set(partial(modes.exact, True, False), gpu=True):
        assert settings(torch)["same bits"] == 2


@pytest.mark.parametrize("name", ["torch", "torch.nn"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_cpu_multiplies_float32_whatever_the_user_has_set(torch, way, name):
    """With "medium" oneDNN multiplies bfloat16 on a CPU that has it."""
    b = support.backend(name, "float32")
    net = tp.Sequential(tp.Dense(3, 2))
    seen = []

    def look(*asked):
        seen.append(torch.backends.mkldnn.matmul.fp32_precision)

    def callback(report):
        seen.append(settings(torch))

    way(torch)
    before = settings(torch)
    hook = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        b.forward(net, net.init(seed=0), np.ones((2, 3)))
    finally:
        hook.remove()
    assert set(seen) == {"ieee"}
    assert settings(torch) == before
    seen.clear()
    data = np.ones((2, 3)), np.ones((2, 2))
    training = tp.Training(1, 2, tp.SGD(0.1), "mse")
    b.fit(net, net.init(seed=0), data, training, on_epoch=callback)
    assert seen == [before]
    assert settings(torch) == before
