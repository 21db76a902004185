"""Levels of a small crop: quantiles, Otsu's threshold, and the slope of the background."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["otsu_threshold", "quantile", "without_plane"]

FEWEST_BACKGROUND_PIXELS = 12
# A background on one side only must not tilt the plane at will.
PLANE_DAMPING = 0.01
# Hot pixels must not use up the 256 steps of Otsu's histogram.
OUTLIER_SHARE = 0.002


def quantile(values: NDArray[Any], fraction: float) -> float:
    """Return the element at `fraction` of the sorted values (numpy's is ten times slower here)."""
    position = round(fraction * (values.size - 1))
    return float(np.partition(values, position, axis=None)[position])


def without_plane(
    cut: NDArray[np.float32], background: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], float]:
    """Subtract the plane a + b·x + c·y that fits the background best.

    Parameters
    ----------
    cut
        (h, w) values.
    background
        (h, w) bool: the pixels that count.

    Returns
    -------
    flat : (h, w) float32 array
        Background around 0.
    spread : float
        Standard deviation of the background around the plane; NaN where there is too little of
        it, and the median is subtracted instead.
    """
    height, width = cut.shape
    x, y = _powers(width), _powers(height)
    weights = background.astype(np.float32)
    weighted = cut * weights
    # Sums over the background of y^i x^j, and of the same times the value.
    sums = (y @ weights @ x.T).tolist()
    values = (y[:2] @ weighted @ x[:2].T).tolist()
    count = sums[0][0]
    if count < FEWEST_BACKGROUND_PIXELS:
        return cut - np.float32(quantile(cut, 0.5)), math.nan
    mean_x, mean_y, mean = sums[0][1] / count, sums[1][0] / count, values[0][0] / count
    xx = sums[0][2] / count - mean_x**2 + PLANE_DAMPING
    yy = sums[2][0] / count - mean_y**2 + PLANE_DAMPING
    xy = sums[1][1] / count - mean_x * mean_y
    vx, vy = values[0][1] / count - mean_x * mean, values[1][0] / count - mean_y * mean
    determinant = xx * yy - xy**2
    b, c = (vx * yy - vy * xy) / determinant, (vy * xx - vx * xy) / determinant
    a = mean - b * mean_x - c * mean_y
    flat: NDArray[np.float32] = cut - (
        np.float32(b) * x[1] + (np.float32(c) * y[1] + np.float32(a))[:, None]
    )
    return flat, math.sqrt(float(np.vdot(flat * weights, flat)) / count)


@lru_cache(maxsize=1024)
def _powers(length: int) -> NDArray[np.float32]:
    x = np.linspace(-1, 1, length)
    return np.stack([np.ones(length), x, x * x]).astype(np.float32)


def otsu_threshold(values: NDArray[np.float32]) -> float | None:
    """Return Otsu's threshold, from 256 steps between the extremes; None where all is one value."""
    if not len(values):
        return None
    last = len(values) - 1
    ends = round(OUTLIER_SHARE * last), round((1 - OUTLIER_SHARE) * last)
    ordered = np.partition(values, ends)
    low, high = float(ordered[ends[0]]), float(ordered[ends[1]])
    if not high > low:
        return None
    # Saturates at both ends.
    steps = cv2.convertScaleAbs(np.maximum(values, low) - low, alpha=255 / (high - low))
    step, _ = cv2.threshold(steps, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (float(step) + 0.5) * (high - low) / 255
