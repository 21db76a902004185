"""What a training computes on."""

from __future__ import annotations

import pytest

from defectscope import Runtime
from defectscope.core.errors import OptionError

torch = pytest.importorskip("torch")

from defectscope.detectors.learning.devices import expect_device, slow_arithmetic  # noqa: E402


def test_several_gpus_without_cuda_are_refused():
    with pytest.raises(OptionError, match=r"devices = 2 are GPUs; add --device cuda"):
        expect_device(Runtime("cpu"), 2)
    expect_device(Runtime("cpu"), 1)


def test_floats_of_16_bits_without_cuda_are_refused():
    with pytest.raises(OptionError, match=r"16-mixed is for GPUs; add --device cuda, or take bf16"):
        expect_device(Runtime("cpu"), 1, "16-mixed")
    expect_device(Runtime("cpu"), 1, "bf16-mixed")


@pytest.mark.parametrize(
    ("able", "device", "precision", "slow"),
    [
        ({"avx2": True, "amx_bf16": False}, "cpu", "bf16-mixed", True),
        ({"avx2": True, "amx_bf16": True}, "cpu", "bf16-mixed", False),
        ({"avx512_bf16": True}, "cpu", "bf16-mixed", False),
        ({"avx2": True}, "cpu", "32", False),
        ({"avx2": True}, "cuda", "bf16-mixed", False),
    ],
)
def test_imitated_floats_are_said_to_be_slow(monkeypatch, able, device, precision, slow):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    said = slow_arithmetic(Runtime(device), precision)
    assert (said is not None) == slow
    assert said is None or "precision = 32" in said


def test_a_torch_that_does_not_tell_is_not_asked(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert slow_arithmetic(Runtime("cpu"), "bf16-mixed") is None
