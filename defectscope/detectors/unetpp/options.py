"""Options of training ``unetpp``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from defectscope.detectors.learning.options import LearningOptions

__all__ = ["DECODER_CHANNELS", "Encoder", "UnetppTrainingOptions"]

Encoder = Literal["resnet50", "resnet18", "mobilenet_v2", "timm-tf_efficientnet_lite0"]
# Those of segmentation-models-pytorch, and so P1's.
DECODER_CHANNELS = (256, 128, 64, 32, 16)


class UnetppTrainingOptions(LearningOptions):
    """Options of ``train unetpp``; P1's are the encoder resnet50, 20 masks and 512 px."""

    encoder: Encoder = Field(
        "mobilenet_v2", description="encoder; P1 has resnet50, the others are for small machines"
    )
    encoder_weights: Path | None = Field(
        None,
        description=".safetensors file of the encoder's weights, such as ImageNet's, to start from",
    )
    masks: int = Field(
        20, ge=1, le=256,
        description="output masks; P1 has 20; left out with --init: those of its weights",
    )  # fmt: skip
    decoder_channels: tuple[PositiveInt, ...] = Field(
        DECODER_CHANNELS, min_length=5, max_length=5,
        description="of each level of the decoder, the coarsest first; fewer make it small",
    )  # fmt: skip
    reduce: int = Field(
        1, ge=1, le=8,
        description="the network sees means of so many by so many pixels: 2 takes a quarter of "
        "the time, and joins lines that nearly touch; P1 has 1",
    )  # fmt: skip
    places: bool = Field(
        False,
        description="whether each output has a place on a grid over the tile and shows the lines "
        "whose middles are near it, so that outputs differ from the first step; P1's do not",
    )
    matching: Literal["greedy", "hungarian"] = Field(
        "greedy",
        description="which output learns which line: greedy in the order of the true masks (P1, "
        "Algorithm 1), or at least total loss",
    )
    empty_weight: float = Field(
        0.1, ge=0, le=10,
        description="weight of what outputs show that no line is left for; P1 has 0",
    )  # fmt: skip
    union_weight: float = Field(
        0.0, ge=0, le=10,
        description="weight of the Dice loss of all outputs together with all lines together: 1 "
        "shortens the time until anything is shown; P1 has 0",
    )  # fmt: skip
    place_weight: float = Field(
        15.0, ge=0, le=1000,
        description="with places: weight, where lines are given to outputs, of the squared "
        "distance of a line from the output's place, in sides of the tile",
    )  # fmt: skip
    middle_weight: float = Field(
        0.5, ge=0, le=100,
        description="with places: weight of how far what is learned of the middles of lines is "
        "from the places of their outputs, in distances of neighbouring places",
    )  # fmt: skip
    line_width_px: int = Field(
        5, ge=1, le=100, description="width of the masks of labelled lines without a mask, px"
    )
    least_area_px: int = Field(
        20, ge=1, le=10_000, description="lines of which a crop shows less are left out, px²"
    )
    crop_px: int = Field(
        512, ge=64, le=2048, multiple_of=32,
        description="side of the crops that are learned, px; left out with --init: that of its "
        "weights' tiles",
    )  # fmt: skip
    crops_per_frame: int = Field(1, ge=1, le=64, description="crops of each frame that is loaded")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="largest learning rate (AdamW)")
    blur_px: float = Field(0.0, ge=0, le=20, description="largest standard deviation of blur, px")
    noise: float = Field(
        0.05, ge=0, le=1, description="largest noise, in parts of the range of grey levels"
    )
    jpeg: float = Field(0.0, ge=0, le=1, description="part of the crops that JPEG compresses")
    equalize: float = Field(
        0.3, ge=0, le=1, description="part of the frames whose grey levels are equalized"
    )
