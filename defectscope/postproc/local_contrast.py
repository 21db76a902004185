"""The grey levels that matter: of the frame in which defects are high, and of each defect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.postproc.crops import Crop, Crops
from defectscope.postproc.grey_levels import quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["crest_level", "plateau_levels", "signal_image"]

# The soft rim lies below the plateau of a defect, so that the median of the pixels above the
# threshold does too; this quantile meets the plateau (benchmarks/watershed.py).
PLATEAU_QUANTILE = 0.6


def signal_image(pixels: NDArray[Any], bright: bool, smooth_px: float) -> NDArray[np.float32]:
    """Return a frame as float32 in [0, 1] in which defects are high.

    Parameters
    ----------
    pixels
        (H, W) uint8, uint16 or float32; stays as it is.
    bright
        Whether defects are brighter than their surroundings.
    smooth_px
        Standard deviation of a Gaussian, px.
    """
    low, high = float(pixels.min()), float(pixels.max())
    zero, one = (low, high) if bright else (high, low)
    # Of 8 bits there are 256 values only, and looking them up is one pass.
    few = pixels.dtype == np.uint8
    signal = np.arange(256, dtype=np.float32) if few else pixels.astype(np.float32)
    signal -= np.float32(zero)
    signal *= np.float32(1 / (one - zero))
    if few:
        signal = np.asarray(cv2.LUT(pixels, signal), np.float32)
    if smooth_px > 0:
        cv2.GaussianBlur(signal, (0, 0), smooth_px, dst=signal, borderType=cv2.BORDER_REPLICATE)
    return signal


def plateau_levels(crops: Crops) -> list[float]:
    """Return the level of each defect, if it is filled; NaN where nothing stands out.

    Otsu's threshold within the zone of the box (P2 takes it over the whole crop, where the
    background outweighs a small defect and other defects join in) only tells the defect's pixels
    from the others, and the edge lies midway between the two levels.
    """
    counts = crops.stacking.count(crops.raised)
    inside = crops.stacking.split(crops.signal[crops.raised], counts)
    return [quantile(own, PLATEAU_QUANTILE) if len(own) else math.nan for own in inside]


def crest_level(crop: Crop, crest: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the level of a ring, and how hollow it is (0 filled to 1 empty).

    Parameters
    ----------
    crop
        The surroundings of the box.
    crest
        (h, w) pixels along the crest of the ring.
    """
    level = quantile(crop.signal[crest], 0.5) if crest.any() else 0.0
    if level <= 0:
        return level, 0.0
    return level, min(max(1 - quantile(crop.signal[crop.core], 0.5) / level, 0.0), 1.0)
