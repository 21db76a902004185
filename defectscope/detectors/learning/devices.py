"""What a training computes on: whether it is there, and has the arithmetic that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from defectscope.core.errors import OptionError

if TYPE_CHECKING:
    from defectscope import Runtime

__all__ = ["expect_device", "slow_arithmetic"]

# What a processor that multiplies 16-bit floats has one of, as torch names them.
MULTIPLIES_16_BIT = ("amx_bf16", "avx512_bf16", "bf16")


def expect_device(runtime: Runtime, devices: int, precision: str = "32") -> None:
    """Check that there are as many GPUs as were asked for, and one where arithmetic needs it.

    Raises
    ------
    OptionError
        There are not, or several, or 16-bit floats, were asked for without CUDA.
    """
    if runtime.device != "cuda" and precision == "16-mixed":
        # Lightning would take bf16-mixed without a word.
        raise OptionError(
            "precision = 16-mixed is for GPUs; add --device cuda, or take bf16-mixed or 32"
        )
    if runtime.device != "cuda" and devices > 1:
        raise OptionError(f"devices = {devices} are GPUs; add --device cuda, or leave it out")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if runtime.device == "cuda" and not found:
        raise OptionError("CUDA was asked for, but torch finds no CUDA device; leave out --device")
    if runtime.device == "cuda" and devices > found:
        raise OptionError(f"devices = {devices} GPUs were asked for, but torch finds {found}")


def slow_arithmetic(runtime: Runtime, precision: str) -> str | None:
    """Return what to say of 16-bit floats that a processor has to imitate, and None elsewhere."""
    # Older versions of torch do not tell.
    told = getattr(torch.cpu, "get_capabilities", None)
    if runtime.device == "cuda" or precision == "32" or told is None:
        return None
    able = told()
    if any(able.get(name) for name in MULTIPLIES_16_BIT):
        return None
    return (
        f"precision = {precision} is imitated by this processor, which has no 16-bit arithmetic, "
        "and takes many times as long as precision = 32"
    )
