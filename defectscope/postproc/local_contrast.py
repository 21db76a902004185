"""What one box shows: the enlarged crop around it, and the grey levels that matter there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from defectscope.postproc.grey_levels import otsu_threshold, quantile, without_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "SMALLEST_MARGIN_PX",
    "Crop",
    "crest_level",
    "cut_crop",
    "plateau_level",
    "signal_image",
]

# In units of the ellipse inscribed in the box. A tilted ellipse reaches out of the inscribed one
# towards the corners (up to 1.41), and boxes are off by a tenth of their size.
OUTER_ZONE = 1.4
BACKGROUND_FROM = 1.25
INNER_CORE = 0.2
# A smaller box says nothing about the extent of what it holds.
SMALLEST_HALF_SIDE_PX = 2.0
SMALLEST_MARGIN_PX = 4.0
# The soft rim lies below the plateau of a defect, so that the median of the pixels above the
# threshold does too; this quantile meets the plateau (benchmarks/watershed.py).
PLATEAU_QUANTILE = 0.6


class Crop(NamedTuple):
    """The surroundings of one box.

    Parameters
    ----------
    x, y
        Column and row of the crop's first pixel in the frame.
    signal
        (h, w) float32: how far each pixel stands out of the local background (0 on average);
        defects are positive.
    spread
        Standard deviation of the background's texture; NaN where too little of it is seen.
    raised
        (h, w) bool: above Otsu's threshold, and in the zone that may belong to the defect.
    radius
        (h, w) elliptical distance from the box's centre: 1 on the ellipse inscribed in the box.
    other_radius
        (h, w) the same for the nearest other box, or None where no other box is near.
    short_half_px
        Half the shorter side of the box.
    """

    x: int
    y: int
    signal: NDArray[np.float32]
    spread: float
    raised: NDArray[np.bool_]
    radius: NDArray[np.float32]
    other_radius: NDArray[np.float32] | None
    short_half_px: float

    @property
    def core(self) -> NDArray[np.bool_]:
        """The innermost pixels of the box, at least one."""
        return self.radius <= max(INNER_CORE, float(self.radius.min()))


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
    signal = pixels.astype(np.float32)
    signal -= np.float32(zero)
    signal *= np.float32(1 / (one - zero))
    if smooth_px > 0:
        cv2.GaussianBlur(signal, (0, 0), smooth_px, dst=signal, borderType=cv2.BORDER_REPLICATE)
    return signal


def cut_crop(
    signal: NDArray[np.float32], box: NDArray[Any], others: NDArray[Any], margin: float
) -> Crop | None:
    """Cut out the surroundings of a box, and take a plane through its background away.

    Parameters
    ----------
    signal
        (H, W) as :func:`signal_image` returns it.
    box
        x_min, y_min, x_max, y_max.
    others
        (k, 4) other boxes of the frame that may reach into the crop.
    margin
        What is added on each side, as a fraction of that side.

    Returns
    -------
    Crop or None
        None where the box lies outside the frame, or shows one grey value only.
    """
    height, width = signal.shape
    x0, y0, x1, y1 = box.tolist()
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        return None
    grow_x = max(margin * (x1 - x0), SMALLEST_MARGIN_PX)
    grow_y = max(margin * (y1 - y0), SMALLEST_MARGIN_PX)
    left, right = max(0, int(x0 - grow_x)), min(width, math.ceil(x1 + grow_x))
    top, bottom = max(0, int(y0 - grow_y)), min(height, math.ceil(y1 + grow_y))
    cut = signal[top:bottom, left:right]
    radius = _elliptical_radius(box, left, top, cut.shape)
    outside = radius > BACKGROUND_FROM
    zone = radius < OUTER_ZONE
    other_radius = None
    if len(others):
        radii = [_elliptical_radius(other, left, top, cut.shape) for other in others]
        other_radius = np.minimum.reduce(radii)
        beyond = other_radius > 1
        outside &= beyond
        zone &= beyond | (radius <= other_radius)
    threshold = otsu_threshold(cut[zone])
    if threshold is None:
        return None
    raised = cut > threshold
    flat, spread = without_plane(cut, outside & ~raised)
    raised &= zone
    return Crop(left, top, flat, spread, raised, radius, other_radius, min(x1 - x0, y1 - y0) / 2)


def plateau_level(crop: Crop) -> float:
    """Return the level of a filled defect; NaN where nothing stands out.

    Otsu's threshold within the zone of the box (P2 takes it over the whole crop, where the
    background outweighs a small defect and other defects join in) only tells the defect's pixels
    from the others, and the edge lies midway between the two levels.
    """
    inside = crop.signal[crop.raised]
    return quantile(inside, PLATEAU_QUANTILE) if len(inside) else math.nan


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


def _elliptical_radius(
    box: NDArray[Any], left: int, top: int, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    x0, y0, x1, y1 = box.tolist()
    half_x = max((x1 - x0) / 2, SMALLEST_HALF_SIDE_PX)
    half_y = max((y1 - y0) / 2, SMALLEST_HALF_SIDE_PX)
    u = (np.arange(shape[1], dtype=np.float32) + np.float32(left + 0.5 - (x0 + x1) / 2)) / half_x
    v = (np.arange(shape[0], dtype=np.float32) + np.float32(top + 0.5 - (y0 + y1) / 2)) / half_y
    radius: NDArray[np.float32] = np.sqrt((u * u) + (v * v)[:, None])
    return radius
