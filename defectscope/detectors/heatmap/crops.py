"""From labelled frames to what one step of ``heatmap`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.detectors.heatmap.targets import targets_of
from defectscope.detectors.learning.augmentation import View, degraded
from defectscope.detectors.learning.box_crops import BatchOfBoxCrops

if TYPE_CHECKING:
    from defectscope import Instances
    from defectscope.detectors.heatmap.architecture import Architecture
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["CropMaker"]


@dataclass(frozen=True)
class CropMaker(BatchOfBoxCrops):
    """Makes batches of crops; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    defect_types
        Names in the order of the output channels.
    architecture
        What the network must be given.
    """

    options: HeatmapTrainingOptions
    architecture: Architecture

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return the pixels of a crop and its targets."""
        # Before the crop is cut: a frame is normalised as a whole when defects are looked for.
        values = self.architecture.given(degraded(pixels, self.camera, rng))
        ratio = np.divide(values.shape, pixels.shape)[[1, 0, 1, 0]].astype(np.float32)
        crop = self.cut(View(values, truth.boxes * ratio), truth, rng)
        shape = crop.pixels.shape[0], crop.pixels.shape[1]
        wanted = targets_of(crop.boxes, crop.kinds, shape, len(self.defect_types), crop.ignored)
        return {"pixels": crop.pixels[None], **wanted._asdict()}
