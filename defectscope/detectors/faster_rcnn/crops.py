"""From labelled frames to what one step of Faster R-CNN learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from defectscope.detectors.faster_rcnn.inputs import channels_of
from defectscope.detectors.learning.augmentation import View, degraded
from defectscope.detectors.learning.box_crops import BatchOfBoxCrops
from defectscope.detectors.learning.normalisation import normalised

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope import Instances
    from defectscope.detectors.faster_rcnn.architecture import InputName
    from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions

__all__ = ["CropMaker", "targets_in"]

# A box of less is nothing that corrections could be learned for.
LEAST_SIDE_PX = 1.0
SEEDS = 2**31


@dataclass(frozen=True)
class CropMaker(BatchOfBoxCrops):
    """Makes batches of crops; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    defect_types
        Names in the order of the classes.
    inputs
        Channels of the input.
    """

    options: FasterRcnnTrainingOptions
    inputs: InputName

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return a crop, its boxes, their classes from 1 on, ignored boxes, numbers of both.

        What the network chooses at random from what it learns comes from ``seed``, so that it does
        not depend on interruptions.
        """
        values = normalised(degraded(pixels, self.camera, rng))
        cut = self.cut(View(channels_of(values, self.inputs), truth.boxes), truth, rng)
        large = np.all(cut.boxes[:, 2:] - cut.boxes[:, :2] >= LEAST_SIDE_PX, axis=1)
        learned = ~cut.ignored & large
        image = cut.pixels[None] if cut.pixels.ndim == 2 else np.moveaxis(cut.pixels, 2, 0)
        return {
            "pixels": np.ascontiguousarray(image),
            "boxes": cut.boxes[learned],
            "labels": cut.kinds[learned].astype(np.int64) + 1,
            "ignored": cut.boxes[cut.ignored],
            "counts": np.array([learned.sum(), cut.ignored.sum()]),
            "seed": np.int64(rng.integers(SEEDS)),
        }

    def joined(self, name: str, values: list[Any]) -> Tensor:
        """Return the values of all crops; boxes one crop after the other."""
        if name in ("boxes", "labels", "ignored"):
            return torch.from_numpy(np.concatenate(values))
        return super().joined(name, values)


def targets_in(batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return for each crop of a batch its ``boxes``, ``labels`` and ``ignored`` boxes."""
    known, left_out = batch["counts"].T.tolist()
    parts = {name: torch.split(batch[name], known) for name in ("boxes", "labels")}
    parts["ignored"] = torch.split(batch["ignored"], left_out)
    return [
        {name: values[k] for name, values in parts.items()} for k in range(len(batch["counts"]))
    ]
