"""``heatmap``: the compact learned detector that needs no torch to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from defectscope import WeightFiles
from defectscope.detectors.heatmap.architecture import Architecture
from defectscope.detectors.heatmap.decoding import decoded
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
from defectscope.detectors.learning.boxes import BoxDetector, BoxOptions
from defectscope.detectors.learning.packages import expect_training_packages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.heatmap.network import HeatmapNetwork
    from defectscope.detectors.learning.suppression import Found

__all__ = ["Heatmap", "HeatmapOptions"]


class HeatmapOptions(BoxOptions):
    """Options of ``heatmap``."""

    weights: str = Field(
        "loops",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    scale: float = Field(
        1.0,
        ge=0.1,
        le=8,
        description="frames are enlarged by this first, beside what the weights themselves ask "
        "for; loops of 8 to 50 px are what shipped weights know, so smaller ones need more",
    )


class Heatmap(BoxDetector):
    """Compact anchor-free network: a map of centres, and four distances to the rim of each box.

    Follows Objects as Points (Zhou et al., 2019) with the side distances of FCOS (Tian et al.,
    2019). The shipped weights ``loops`` were trained on synthetic images alone.
    """

    Options = HeatmapOptions
    TrainingOptions = HeatmapTrainingOptions
    options: HeatmapOptions
    name = "heatmap"
    architecture_type = Architecture
    # The deepest level of any network that can be trained; smaller ones divide it.
    multiple_px = 32

    def decode(self, outputs: list[NDArray[np.float32]]) -> Found:
        """Return the boxes of one frame, px of the input."""
        logits, logarithms = outputs
        return decoded(logits, logarithms, self.least_score)

    def load_network(self) -> HeatmapNetwork:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.heatmap.network import HeatmapNetwork
        from defectscope.detectors.learning.networks import with_weights

        return with_weights(self.files, Architecture, HeatmapNetwork)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages()
        from defectscope.detectors.heatmap.training import train

        return train(job, self.runtime)
