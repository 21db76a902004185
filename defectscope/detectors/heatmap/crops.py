"""From labelled frames to what one step of ``heatmap`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from defectscope.detectors.heatmap.targets import targets_of
from defectscope.detectors.learning.augmentation import (
    Camera,
    View,
    cropped,
    degraded,
    scaled,
    turned,
)
from defectscope.detectors.learning.normalisation import normalised

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope import TrainingData
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["CropMaker"]


@dataclass(frozen=True)
class CropMaker:
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

    def __call__(
        self, data: TrainingData, numbers: list[int], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return ``pixels`` (n, 1, H, W) and the targets, stacked."""
        parts: dict[str, list[Any]] = {}
        for number in numbers:
            pixels, truth = data.load(number)
            for _ in range(self.options.crops_per_frame):
                for name, value in self._crop(pixels, truth, rng).items():
                    parts.setdefault(name, []).append(value)
        return {name: torch.from_numpy(np.stack(values)) for name, values in parts.items()}

    def _crop(self, pixels: Any, truth: Any, rng: np.random.Generator) -> dict[str, Any]:
        options = self.options
        camera = Camera(options.blur_px, options.noise, options.gamma, options.jpeg)
        # Before the crop is cut: a frame is normalised as a whole when defects are looked for.
        whole = View(normalised(degraded(pixels, camera, rng)), truth.boxes)
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
