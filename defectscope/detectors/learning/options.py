"""Options that the training of every learned detector has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from defectscope import Options

__all__ = ["LearningOptions"]


class LearningOptions(Options):
    """Options of training; what images suffer on the way is drawn for each crop."""

    crop_px: int = Field(
        256, ge=64, le=2048, multiple_of=32, description="side of the crops that are learned, px"
    )
    crops_per_frame: int = Field(3, ge=1, le=64, description="crops of each frame that is loaded")
    frames_per_step: int = Field(4, ge=1, le=1024, description="frames in one optimiser step")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="largest learning rate (AdamW)")
    weight_decay: float = Field(1e-2, ge=0, le=1, description="weight decay (AdamW)")
    warm_up_steps: int = Field(100, ge=0, description="steps over which the learning rate rises")
    average: float = Field(
        0.998, ge=0, lt=1, description="decay of the moving average of weights that is kept"
    )
    steps: int = Field(5000, ge=1, description="optimiser steps, unless --steps is given")
    max_minutes: float | None = Field(
        None, gt=0, description="end training after this time, whatever the steps"
    )
    validate_every: int = Field(250, ge=1, description="steps between two validations")
    validation_frames: int = Field(
        48, ge=1, le=10_000, description="frames of validation data that are looked at"
    )
    patience: int | None = Field(
        None, ge=1, description="end training when so many validations bring nothing better"
    )
    freeze: Literal["none", "encoder", "all-but-head"] = Field(
        "none", description="what keeps the weights of --init"
    )
    precision: Literal["32", "bf16-mixed", "16-mixed"] = Field(
        "32",
        description="arithmetic; bf16-mixed is faster on GPUs and on processors with AMX, and very "
        "slow on others; 16-mixed is for GPUs alone",
    )
    weight_bits: Literal[16, 32] = Field(
        32, description="bits of each number of a convolution in the files; 16 halves them"
    )
    devices: int = Field(1, ge=1, le=64, description="GPUs, with --device cuda")
    rotate: bool = Field(True, description="mirror crops and turn them by multiples of 90°")
    scale_low: float = Field(1.0, gt=0.1, le=1, description="least factor of enlargement")
    scale_high: float = Field(1.0, ge=1, le=8, description="largest factor of enlargement")
    blur_px: float = Field(2.0, ge=0, le=20, description="largest standard deviation of blur, px")
    noise: float = Field(
        0.02, ge=0, le=1, description="largest noise, in parts of the range of grey levels"
    )
    gamma: float = Field(1.4, ge=1, le=5, description="largest exponent of grey levels, or inverse")
    jpeg: float = Field(0.5, ge=0, le=1, description="part of the crops that JPEG compresses")
