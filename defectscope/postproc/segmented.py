"""A segmented defect of a frame: its mask, its contrast, and what an ellipse is fitted to."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from defectscope import Mask
from defectscope.core.masks import touches_rim
from defectscope.postproc.crops import Crops
from defectscope.postproc.edges import Labelled
from defectscope.postproc.segmentation import Region

__all__ = ["Segmented"]

# Of the frame's grey values, which go from 0 to 1.
SMALLEST_SPREAD = 1e-6


class Segmented(NamedTuple):
    """A segmented defect, and where its crop lies in the frame."""

    x: int
    y: int
    labelled: Labelled
    mask: Mask
    at_rim: bool
    contrast: float

    @classmethod
    def of(cls, crops: Crops, region: Region, shape: tuple[int, int]) -> Segmented:
        """Return what a region of a stack is in a frame of `shape` (height, width)."""
        x, y, width, height = cv2.boundingRect(region.label.view(np.uint8))
        signal = crops.signal[crops.stacking.places[region.crop]]
        box = (x, y, x + width, y + height)
        labelled = Labelled(signal, region.label, region.threshold, box)
        left, top = crops.corners[region.crop]
        mask = Mask(left + x, top + y, region.label[y : y + height, x : x + width])
        contrast = _in_sigmas(region.level, float(crops.spread[region.crop]))
        return cls(left, top, labelled, mask, touches_rim(mask, shape), contrast)


def _in_sigmas(level: float, spread: float) -> float:
    # NaN stays: a box as large as the frame shows no background. Synthetic ones may be flat.
    return level / (SMALLEST_SPREAD if spread < SMALLEST_SPREAD else spread)
