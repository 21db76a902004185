"""Options of training ``yolov3``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from defectscope.detectors.learning.options import LearningOptions
from defectscope.detectors.yolov3.architecture import Channels, Variant

__all__ = ["YoloTrainingOptions"]


class YoloTrainingOptions(LearningOptions):
    """Options of ``train yolov3``; the defaults are P2's (Shen et al.), where it names them."""

    variant: Variant = Field("yolov3", description="whose YAML file of ultralytics")
    channels: Channels = Field(
        1, description="channels of the first convolution; with 3, grey goes into each"
    )
    width: float = Field(1.0, gt=0, le=2, description="factor of the channels of all layers")
    enlarge: float = Field(
        1.0, ge=0.25, le=8,
        description="frames are enlarged by this before the network sees them, in training and "
        "whenever its weights are used: cells of yolov3-tiny are 16 px wide",
    )  # fmt: skip
    freeze: Literal["none", "backbone", "all-but-head", "all-but-outputs"] = Field(  # type: ignore[assignment]
        "none",
        description="what keeps the weights of --init; all-but-outputs learns the last "
        "convolutions alone, as P2 did (the first 245 of 252 layers frozen)",
    )
    optimiser: Literal["adam", "adamw"] = Field("adam", description="P2 has adam")
    schedule: Literal["step", "cosine"] = Field(
        "step",
        description="step: the learning rate falls to a tenth at half of the steps (P2: 1e-4, then "
        "1e-5); cosine: it falls all the time",
    )
    learning_rate: float = Field(1e-4, gt=0, le=1, description="largest learning rate")
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight decay of convolutions")
    steps: int = Field(
        54_900, ge=1,
        description="optimiser steps, unless --steps is given (P2: 18,300 epochs of 3 batches)",
    )  # fmt: skip
    crop_px: int = Field(
        512, ge=64, le=2048, multiple_of=32,
        description="side of the crops that are learned, px of the enlarged frame",
    )  # fmt: skip
    crops_per_frame: int = Field(1, ge=1, le=64, description="crops of each frame that is loaded")
    brightness: float = Field(
        0.2, ge=0, le=2, description="largest change of brightness, in units of the grey levels"
    )
    contrast: float = Field(0.2, ge=0, lt=1, description="largest relative change of contrast")
    blur_px: float = Field(0.0, ge=0, le=20, description="largest standard deviation of blur, px")
    noise: float = Field(
        0.0, ge=0, le=1, description="largest noise, in parts of the range of grey levels"
    )
    gamma: float = Field(1.0, ge=1, le=5, description="largest exponent of grey levels, or inverse")
    jpeg: float = Field(0.0, ge=0, le=1, description="part of the crops that JPEG compresses")
    weight_bits: Literal[16, 32] = Field(
        16, description="bits of each number in the files; 16 halves them"
    )
