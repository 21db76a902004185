"""Options of training ``heatmap``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from defectscope.detectors.learning.levels import expect_a_block_count_for_each
from defectscope.detectors.learning.options import LearningOptions

__all__ = ["HeatmapTrainingOptions"]

Positive = Annotated[int, Field(ge=1, le=2048)]


class HeatmapTrainingOptions(LearningOptions):
    """Options of ``train heatmap``; what images suffer on the way is drawn for each crop."""

    enlarge: float = Field(
        1.0, ge=0.25, le=8,
        description="frames are enlarged by this before the network sees them, in training and "
        "whenever its weights are used",
    )  # fmt: skip
    channels: tuple[Positive, ...] = Field(
        (16, 32, 64, 128), min_length=1, max_length=4,
        description="channels of each level, the finest (a quarter of the frame) first",
    )  # fmt: skip
    blocks: tuple[Positive, ...] = Field(
        (1, 2, 2, 1), min_length=1, max_length=4, description="residual blocks of each level"
    )

    @model_validator(mode="after")
    def _one_block_count_a_level(self) -> HeatmapTrainingOptions:
        expect_a_block_count_for_each(self.channels, self.blocks)
        return self
