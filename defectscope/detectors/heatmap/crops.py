"""From labelled frames to what one step of ``heatmap`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.detectors.heatmap.targets import targets_of
from defectscope.detectors.learning.augmentation import (
    View,
    cropped,
    degraded,
    scaled,
    turned,
)
from defectscope.detectors.learning.crops import BatchOfCrops
from defectscope.detectors.learning.normalisation import normalised

if TYPE_CHECKING:
    from defectscope import Instances
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["CropMaker"]


@dataclass(frozen=True)
class CropMaker(BatchOfCrops):
    """Makes batches of crops; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    defect_types
        Names in the order of the output channels.
    """

    options: HeatmapTrainingOptions
    defect_types: tuple[str, ...]

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return the pixels of a crop and its targets."""
        options = self.options
        # Before the crop is cut: a frame is normalised as a whole when defects are looked for.
        whole = View(normalised(degraded(pixels, self.camera, rng)), truth.boxes)
        if options.scale_low < 1 or options.scale_high > 1:
            whole = scaled(whole, options.scale_low, options.scale_high, rng)
        view, inside = cropped(whole, options.crop_px, rng)
        ignored = truth.ignore[inside]
        kinds = self._positions(truth.defect_types[inside])
        if options.rotate:
            view = turned(view, rng)
        shape = view.pixels.shape[0], view.pixels.shape[1]
        wanted = targets_of(view.boxes, kinds, shape, len(self.defect_types), ignored)
        return {"pixels": view.pixels[None], **wanted._asdict()}

    def _positions(self, names: Any) -> Any:
        known = {name: k for k, name in enumerate(self.defect_types)}
        # Ignored ones may be of a type that is not learned.
        return np.array([known.get(str(name), 0) for name in names], np.intp)
