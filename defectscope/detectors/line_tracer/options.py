"""Options of training ``line-tracer``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from defectscope.detectors.learning.levels import expect_a_block_count_for_each
from defectscope.detectors.learning.options import LearningOptions

__all__ = ["LineTracerTrainingOptions"]

Positive = Annotated[int, Field(ge=1, le=2048)]


class LineTracerTrainingOptions(LearningOptions):
    """Options of ``train line-tracer``; what images suffer is drawn for each crop."""

    stem: Positive = Field(16, description="channels at half the frame's resolution, coming in")
    channels: tuple[Positive, ...] = Field(
        (40, 64, 96, 96), min_length=1, max_length=6,
        description="channels of each level, the finest (a quarter of the frame) first",
    )  # fmt: skip
    blocks: tuple[Positive, ...] = Field(
        (2, 2, 3, 2), min_length=1, max_length=6, description="residual blocks of each level"
    )
    head: Positive = Field(32, description="channels at half the frame's resolution, going out")
    fine: int = Field(
        1, ge=0, le=16, description="residual blocks at half the frame's resolution, going out"
    )
    bins: int = Field(16, ge=4, le=64, description="orientation channels")
    crops_per_frame: int = Field(3, ge=1, le=64, description="crops of each frame that is loaded")
    frames_per_step: int = Field(2, ge=1, le=1024, description="frames in one optimiser step")
    validate_every: int = Field(500, ge=1, description="steps between two validations")
    validation_frames: int = Field(
        40, ge=1, le=10_000, description="frames of validation data that are looked at"
    )
    blur_px: float = Field(1.0, ge=0, le=20, description="largest standard deviation of blur, px")
    noise: float = Field(
        0.03, ge=0, le=1, description="largest noise, in parts of the range of grey levels"
    )

    @model_validator(mode="after")
    def _one_block_count_a_level(self) -> LineTracerTrainingOptions:
        expect_a_block_count_for_each(self.channels, self.blocks)
        return self
