"""Noise that networks have not learned from, taken out of frames before they are looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.detectors.learning.normalisation import unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["calmed", "noise_level"]

# White noise is calm when its standard deviation is less than this part of that of the image
# under it; frames of a camera that integrates have 0.02 to 0.05.
CALM = 0.2
# A blur of less does nothing to pixels, one of more blurs the defects.
LEAST_BLUR_PX, MOST_BLUR_PX = 0.5, 2.5
# A spike differs from the median of its neighbourhood by more than 2.7 standard deviations of the
# image, and by six of its noise. Below this part of the pixels they may as well be captions.
SPIKE, SPIKE_NOISE, SPIKY = 1.0, 6.0, 1e-3
# Normal distribution: standard deviation by distance of the quartiles, and by the median of
# absolute values.
BY_UNIT, BY_MEDIAN = 1 / 2.7, 1 / 0.6745
# Noise keeps this, a plane and an edge along an axis become nothing; Immerkaer, Computer Vision and
# Image Understanding 64 (1996) 300.
KERNEL = (1, -2, 1), (-2, 4, -2), (1, -2, 1)
KERNEL_NORM = 6.0
# Every fourth row and third column tell the noise as well as all pixels do.
ROWS, COLUMNS = 4, 3
SMALLEST_PX, LARGE_PX = 8, 256


def noise_level(pixels: NDArray[Any]) -> float:
    """Return the standard deviation of the white noise in an image.

    Parameters
    ----------
    pixels
        (H, W) of any dtype; at least 3 x 3.
    """
    height, width = pixels.shape
    response = np.zeros(((height - 2 + ROWS - 1) // ROWS, (width - 2 + COLUMNS - 1) // COLUMNS),
                        np.float32)  # fmt: skip
    for y, row in enumerate(KERNEL):
        for x, weight in enumerate(row):
            part = pixels[y : height - 2 + y : ROWS, x : width - 2 + x : COLUMNS]
            response += np.float32(weight) * part
    return float(np.median(np.abs(response))) * BY_MEDIAN / KERNEL_NORM


def calmed(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return an image without dead and hot pixels, smoothed as far as its noise needs it.

    Parameters
    ----------
    pixels
        (H, W) uint8, uint16 or float32.

    Returns
    -------
    (H, W)
        The same array where nothing was to be done; else of its type.

    Notes
    -----
    Where more than one pixel in a thousand stands out of its 3 x 3 neighbourhood, those pixels
    take the median of that. White noise of standard deviation n above `CALM` times that of the
    image, s, is smoothed by a Gaussian of n / (2 √π `CALM` s) px, which leaves `CALM` times s.
    """
    unit = unit_of(_thinned(pixels))
    if unit == 0 or min(pixels.shape) < SMALLEST_PX:
        return pixels
    noise = noise_level(pixels)
    values, spiky = pixels, False
    median = cv2.medianBlur(pixels, 3)
    limit = max(SPIKE * unit, SPIKE_NOISE * noise)
    # Of whole numbers those above a limit are those above its whole part, which is found faster.
    whole = np.issubdtype(pixels.dtype, np.integer)
    spikes = cv2.absdiff(pixels, median) > (int(limit) if whole else limit)
    if np.count_nonzero(spikes) > SPIKY * spikes.size:
        values, spiky = np.where(spikes, median, pixels), True
        noise, unit = noise_level(values), unit_of(_thinned(values))
    spread = unit * BY_UNIT
    # The quartiles are those of image and noise together.
    image = math.sqrt(max(spread**2 - noise**2, (0.3 * spread) ** 2))
    if noise > CALM * image:
        blur = noise / (CALM * image) / (2 * math.sqrt(math.pi))
        blur = min(max(blur, LEAST_BLUR_PX), MOST_BLUR_PX)
        values = cv2.GaussianBlur(values, (0, 0), blur)
    elif not spiky:
        return pixels
    # Nothing else would be left of one grey level with a few pixels beside it.
    return pixels if values.min() == values.max() else np.asarray(values, pixels.dtype)


def _thinned(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return enough pixels of a large image for its quartiles."""
    return pixels[::2, ::2] if min(pixels.shape) >= LARGE_PX else pixels
