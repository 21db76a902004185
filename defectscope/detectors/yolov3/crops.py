"""From labelled frames to what one step of ``yolov3`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from defectscope.detectors.learning.augmentation import View, degraded, in_grey_levels
from defectscope.detectors.learning.box_crops import BatchOfBoxCrops

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from defectscope import Instances
    from defectscope.detectors.yolov3.architecture import Architecture
    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["CropMaker"]


@dataclass(frozen=True)
class CropMaker(BatchOfBoxCrops):
    """Makes batches of crops; called in worker processes, which need no ultralytics.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    defect_types
        Names in the order of the outputs.
    architecture
        What the network must be given.
    """

    options: YoloTrainingOptions
    architecture: Architecture

    def joined(self, name: str, values: list[Any]) -> Tensor:
        """Return the values of all crops; boxes in a list, after the position of their crop."""
        if name == "pixels":
            return super().joined(name, values)
        # As many as there are: nothing is cut off in crowded images.
        rows = [np.pad(v, ((0, 0), (1, 0)), constant_values=k) for k, v in enumerate(values)]
        return torch.from_numpy(np.concatenate(rows))

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return the pixels of a crop and its boxes, as :class:`YoloLoss` wants them."""
        options, architecture = self.options, self.architecture
        # Before the crop is cut: a frame is normalised as a whole when defects are looked for.
        values = architecture.given(self._degraded(pixels, rng))
        ratio = np.divide(values.shape, pixels.shape)[[1, 0, 1, 0]].astype(np.float32)
        cut = self.cut(View(values, truth.boxes * ratio), truth, rng)
        low, high = cut.boxes[:, :2], cut.boxes[:, 2:]
        rows = np.concatenate([cut.kinds[:, None], (low + high) / 2 / options.crop_px,
                               (high - low) / options.crop_px], axis=1)  # fmt: skip
        return {
            "pixels": self._lit(cut.pixels, rng)[None],
            "boxes": rows[~cut.ignored].astype(np.float32),
            "ignored": cut.boxes[cut.ignored].astype(np.float32),
        }

    def _degraded(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        values = degraded(pixels, self.camera, rng)
        # There detection divides 8-bit frames by 255, whatever part of the range they fill.
        kept = self.architecture.levels == "unit" and pixels.dtype == np.uint8
        return in_grey_levels(values, pixels) if kept else values

    def _lit(self, pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return the crop with another contrast and brightness.

        P2 varies hue, saturation and lightness; a grey image has neither hue nor saturation.
        """
        contrast = np.float32(1 + self.options.contrast * rng.uniform(-1, 1))
        brightness = np.float32(self.options.brightness * rng.uniform(-1, 1))
        return np.ascontiguousarray(pixels * contrast + brightness, np.float32)
