"""Levels of small crops: quantiles, Otsu's threshold, and the slope of the background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.postproc.stacking import Stacking

__all__ = ["otsu_thresholds", "quantile", "without_planes"]

FEWEST_BACKGROUND_PIXELS = 12
# A background on one side only must not tilt the plane at will.
PLANE_DAMPING = 0.01
# Hot pixels must not use up the 256 steps of Otsu's histogram.
OUTLIER_SHARE = 0.002


def quantile(values: NDArray[Any], fraction: float) -> float:
    """Return the element at `fraction` of the sorted values (numpy's is ten times slower here)."""
    position = round(fraction * (values.size - 1))
    return float(np.partition(values.ravel(), position)[position])


def without_planes(
    cuts: NDArray[np.float32], background: NDArray[np.bool_], stacking: Stacking
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Subtract from each crop the plane a + b·x + c·y that fits its background best.

    Parameters
    ----------
    cuts
        (h, w) values of stacked crops.
    background
        (h, w) bool: the pixels that count.
    stacking
        Where the crops lie.

    Returns
    -------
    flat : (h, w) float32 array
        Background around 0.
    spread : (n,) array
        Standard deviation of each background around its plane; NaN where there is too little of
        it, and the median is subtracted instead.
    """
    weights = background.astype(np.float32)
    counts, coefficients = _fitted_planes(cuts, weights, stacking)
    a, b, c = coefficients.astype(np.float32)[:, stacking.owners]
    x = np.zeros((len(counts), stacking.shape[1]), np.float32)
    for k, width in enumerate(stacking.widths.tolist()):
        x[k, :width] = _powers(width).one
    y = np.concatenate([_powers(height).one for height in stacking.heights.tolist()])
    plane = b[:, None] * x[stacking.owners] + (c * y + a)[:, None]
    flat: NDArray[np.float32] = np.subtract(cuts, plane, out=plane)
    np.multiply(flat, weights, out=weights)
    spread = np.full(len(counts), math.nan)
    for k, (place, count) in enumerate(zip(stacking.places, counts.tolist(), strict=True)):
        if count < FEWEST_BACKGROUND_PIXELS:
            flat[place] = cuts[place] - np.float32(quantile(cuts[place], 0.5))
        else:
            spread[k] = math.sqrt(float(np.vdot(weights[place], flat[place])) / count)
    return flat, spread


def _fitted_planes(
    cuts: NDArray[np.float32], weights: NDArray[np.float32], stacking: Stacking
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the number of pixels of each background, and (3, n) a, b, c of its plane."""
    weighted = cuts * weights
    sums = np.empty((len(stacking.heights), 3, 3))
    values = np.empty((len(stacking.heights), 2, 2))
    # Sums over the background of y^i x^j, and of the same times the value.
    for k, place in enumerate(stacking.places):
        x, y = _powers(place[1].stop), _powers(place[0].stop - place[0].start)
        sums[k] = y.all @ weights[place] @ x.all.T
        values[k] = y.two @ weighted[place] @ x.two.T
    counts = sums[:, 0, 0]
    sums, values = (s / np.maximum(counts, 1)[:, None, None] for s in (sums, values))
    mean_x, mean_y, mean = sums[:, 0, 1], sums[:, 1, 0], values[:, 0, 0]
    xx = sums[:, 0, 2] - mean_x**2 + PLANE_DAMPING
    yy = sums[:, 2, 0] - mean_y**2 + PLANE_DAMPING
    xy = sums[:, 1, 1] - mean_x * mean_y
    vx, vy = values[:, 0, 1] - mean_x * mean, values[:, 1, 0] - mean_y * mean
    determinant = xx * yy - xy**2
    b, c = (vx * yy - vy * xy) / determinant, (vy * xx - vx * xy) / determinant
    return counts, np.stack([mean - b * mean_x - c * mean_y, b, c])


class _Powers(NamedTuple):
    """1, x and x² of a coordinate from -1 to 1; the first two of them; and x."""

    all: NDArray[np.float32]
    two: NDArray[np.float32]
    one: NDArray[np.float32]


@lru_cache(maxsize=1024)
def _powers(length: int) -> _Powers:
    x = np.linspace(-1, 1, length)
    powers = np.stack([np.ones(length), x, x * x]).astype(np.float32)
    return _Powers(powers, powers[:2], powers[1])


def otsu_thresholds(samples: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return Otsu's threshold of each sample; NaN where all is one value.

    Taken from 256 steps between the extremes.
    """
    ends = [_extremes(values) for values in samples]
    low, high = np.array(ends, float).reshape(-1, 2).T
    wide = high > low
    # As 32-bit values they are exact: they are elements of the samples.
    base = np.repeat(low.astype(np.float32), [len(values) for values in samples])
    raised = np.concatenate([*samples, np.zeros(0, np.float32)])
    np.maximum(raised, base, out=raised)
    raised -= base
    steps = np.full(len(samples), math.nan)
    start = 0
    for k, values in enumerate(samples):
        stop = start + len(values)
        if wide[k]:
            # Saturates at both ends.
            scaled = cv2.convertScaleAbs(raised[start:stop], alpha=255 / (high[k] - low[k]))
            steps[k], _ = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        start = stop
    thresholds: NDArray[np.float64] = low + (steps + 0.5) * (high - low) / 255
    return thresholds


def _extremes(values: NDArray[np.float32]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    last = len(values) - 1
    first, final = round(OUTLIER_SHARE * last), round((1 - OUTLIER_SHARE) * last)
    ordered = np.partition(values, (first, final))
    return float(ordered[first]), float(ordered[final])
