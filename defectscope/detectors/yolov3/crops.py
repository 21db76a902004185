"""From labelled frames to what one step of ``yolov3`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from defectscope.detectors.learning.augmentation import View, cropped, degraded, scaled, turned
from defectscope.detectors.learning.crops import BatchOfCrops
from defectscope.detectors.learning.detector import enlarged
from defectscope.detectors.yolov3.architecture import grey_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from defectscope import Instances, TrainingData
    from defectscope.detectors.yolov3.architecture import Architecture
    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["CropMaker"]


@dataclass(frozen=True)
class CropMaker(BatchOfCrops):
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
    defect_types: tuple[str, ...]
    architecture: Architecture

    def __call__(
        self, data: TrainingData, numbers: list[int], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return ``pixels`` (n, 1, H, W), and ``boxes`` and ``ignored`` of all crops in a list."""
        crops = []
        for number in numbers:
            pixels, truth = data.load(number)
            crops += [self.crop(pixels, truth, rng) for _ in range(self.options.crops_per_frame)]
        batch = {"pixels": np.stack([crop["pixels"] for crop in crops])}
        for name in ("boxes", "ignored"):
            # As many as there are: nothing is cut off in crowded images.
            batch[name] = np.concatenate(
                [np.pad(crop[name], ((0, 0), (1, 0)), constant_values=k)
                 for k, crop in enumerate(crops)]
            )  # fmt: skip
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return the pixels of a crop and its boxes, as :class:`YoloLoss` wants them."""
        options, architecture = self.options, self.architecture
        # Before the crop is cut: a frame is normalised as a whole when defects are looked for.
        values = enlarged(
            grey_levels(degraded(pixels, self.camera, rng), architecture.levels),
            architecture.enlarge,
        )
        ratio = np.divide(values.shape, pixels.shape)[[1, 0, 1, 0]].astype(np.float32)
        whole = View(values, truth.boxes * ratio)
        if options.scale_low < 1 or options.scale_high > 1:
            whole = scaled(whole, options.scale_low, options.scale_high, rng)
        view, inside = cropped(whole, options.crop_px, rng)
        if options.rotate:
            view = turned(view, rng)
        ignored = truth.ignore[inside]
        kinds = self._positions(truth.defect_types[inside])
        low, high = view.boxes[:, :2], view.boxes[:, 2:]
        rows = np.concatenate([kinds[:, None], (low + high) / 2 / options.crop_px,
                               (high - low) / options.crop_px], axis=1)  # fmt: skip
        return {
            "pixels": self._lit(view.pixels, rng)[None],
            "boxes": rows[~ignored].astype(np.float32),
            "ignored": view.boxes[ignored].astype(np.float32),
        }

    def _lit(self, pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return the crop with another contrast and brightness.

        P2 varies hue, saturation and lightness; a grey image has neither hue nor saturation.
        """
        contrast = np.float32(1 + self.options.contrast * rng.uniform(-1, 1))
        brightness = np.float32(self.options.brightness * rng.uniform(-1, 1))
        return np.ascontiguousarray(pixels * contrast + brightness, np.float32)

    def _positions(self, names: Any) -> NDArray[np.intp]:
        known = {name: k for k, name in enumerate(self.defect_types)}
        # Ignored ones may be of a type that is not learned.
        return np.array([known.get(str(name), 0) for name in names], np.intp)
