"""A background like that of a given image: its brightness, and grain of the same spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MeasuredBackground", "around_lines", "measure_background"]

# Brightness is what remains under a Gaussian of this part of the shorter side, px at least.
LEVEL_SHARE = 1 / 24
LEAST_LEVEL_PX = 8.0
# The strength of the grain changes more slowly.
TEXTURE_FACTOR = 1.5
# Precipitates, loops and lines without a label are not grain: what stands out of the image,
# smoothed over this distance, by so many standard deviations, and what lies around it.
STRANGER_PX = 2.0
STRANGE_FROM = 3.5
STRANGER_RIM_PX = 4
STRANGER_ROUNDS = 8
# Where less than this is left, the image is as rough as that, and all of it counts.
LEAST_KNOWN = 0.3
# Median of the absolute values of a normal distribution of unit variance.
NORMAL_MEDIAN = 0.6745
# Wide windows are used on an image so coarse that sigma is about this many of its px.
COARSE_SIGMA = 5
# Flatter places have no texture that contrast could be a multiple of.
LEAST_TEXTURE = 1e-3
# The spectrum is smoothed over this many of its steps: more would blur lines of the camera.
SPECTRUM_STEPS = 2.5
# Part of each side over which the image fades before its spectrum is taken.
TAPER = 0.1


@dataclass(frozen=True)
class MeasuredBackground:
    """What a background is made of.

    Parameters
    ----------
    level
        (H, W) brightness without grain and lines.
    texture
        (H, W) standard deviation of the grain.
    gain
        (H, W // 2 + 1) amplitude of the grain by spatial frequency.
    """

    level: NDArray[np.float32]
    texture: NDArray[np.float32]
    gain: NDArray[np.float32]

    def render(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return (H, W) float32 in [0, 1]: the same brightness and spectrum, other grain."""
        shape = self.level.shape
        noise = np.fft.rfft2(rng.standard_normal(shape)) * self.gain
        grain = np.fft.irfft2(noise, s=shape)
        grain /= max(float(grain.std()), 1e-12)
        return np.clip(self.level + self.texture * grain, 0, 1).astype(np.float32)


def around_lines(
    shape: tuple[int, int], paths: Sequence[NDArray[np.float64]], widths_px: Sequence[float]
) -> NDArray[np.bool_]:
    """Return which pixels of a frame belong to lines rather than to the background."""
    covered = np.zeros(shape, np.uint8)
    for path, width in zip(paths, widths_px, strict=True):
        # OpenCV puts pixel centres at integers, and takes coordinates in 1/16 px.
        points = np.round((path - 0.5) * 16).astype(np.int32)
        cv2.polylines(covered, [points], False, 1, int(np.ceil(1.6 * width)) + 2, cv2.LINE_8, 4)
    return covered.astype(bool)


def measure_background(
    pixels: NDArray[np.float32], covered: NDArray[np.bool_]
) -> MeasuredBackground:
    """Measure brightness and grain where no line lies.

    Parameters
    ----------
    pixels
        (H, W) float32 grey.
    covered
        (H, W) pixels that do not count.
    """
    grey, known = pixels.astype(np.float64), (~covered).astype(np.float64)
    if not known.any():
        known = np.ones_like(grey)
    sigma = max(LEVEL_SHARE * min(pixels.shape), LEAST_LEVEL_PX)
    filled = np.where(known > 0, grey, _level(grey, known, sigma))
    # To begin with medians, which even many strangers do not shift by much.
    level = _medians(filled, sigma)
    for _ in range(STRANGER_ROUNDS):
        left = known * ~_strange(grey - level, known)
        if left.mean() < LEAST_KNOWN:
            break
        known, level = left, _level(grey, left, sigma)
    level = _level(grey, known, sigma)
    rest = (grey - level) * known
    variance = _blurred(rest**2, known, TEXTURE_FACTOR * sigma)
    texture = np.sqrt(np.maximum(variance, LEAST_TEXTURE**2))
    parts = (level, texture, _gain(rest / texture))
    return MeasuredBackground(*(np.asarray(part, np.float32) for part in parts))


def _medians(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the (H, W) medians in windows of about 4 sigma around each pixel."""
    height, width = values.shape
    step = max(1, int(sigma / COARSE_SIGMA))
    small = values[step // 2 :: step, step // 2 :: step]
    low, high = float(small.min()), float(small.max())
    if high <= low:
        return np.full_like(values, low)
    # OpenCV's median of a large window takes 8 bits, which are enough to tell strangers by.
    grey = np.round(255 * (small - low) / (high - low)).astype(np.uint8)
    medians = cv2.medianBlur(grey, 2 * int(2 * sigma / step) + 1).astype(np.float64)
    smooth = cv2.GaussianBlur(medians, (0, 0), sigma / step / 2)
    return low + (high - low) / 255 * np.asarray(cv2.resize(smooth, (width, height)), np.float64)


def _level(
    grey: NDArray[np.float64], known: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    # The mean is taken off first: what a blur sees of no known pixel is nothing.
    mean = float((grey * known).sum() / known.sum())
    return mean + _blurred(grey - mean, known, sigma)


def _strange(rest: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pixels belong to what is no grain."""
    smooth = _blurred(rest, known, STRANGER_PX)
    off = np.abs(smooth - float(np.median(smooth[known > 0])))
    # Of all of the image: where strangers are many, they would pass for the grain of the place.
    spread = float(np.median(off[known > 0])) / NORMAL_MEDIAN
    outliers = ((off > STRANGE_FROM * spread) & (known > 0)).astype(np.uint8)
    side = 2 * STRANGER_RIM_PX + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(outliers, kernel), bool)


def _blurred(
    values: NDArray[np.float64], known: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    height, width = values.shape
    step = max(1, int(sigma / COARSE_SIGMA))
    parts = [values * known, known]
    if step > 1:
        size = max(width // step, 1), max(height // step, 1)
        shrunk = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts)
        parts = [np.asarray(part, np.float64) for part in shrunk]
    total, weight = (
        cv2.GaussianBlur(part, (0, 0), sigma / step, borderType=cv2.BORDER_REFLECT)
        for part in parts
    )
    smooth = total / np.maximum(weight, 1e-6)
    return np.asarray(cv2.resize(smooth, (width, height)) if step > 1 else smooth, np.float64)


def _gain(grain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amplitude of grain of unit variance by spatial frequency."""
    fade = [
        np.clip(np.minimum(np.arange(n) + 1, n - np.arange(n)) / max(TAPER * n, 1.0), 0, 1)
        for n in grain.shape
    ]
    faded = grain * (np.sin(np.pi / 2 * fade[0]) ** 2)[:, None] * np.sin(np.pi / 2 * fade[1]) ** 2
    power = np.abs(np.fft.fft2(faded)) ** 2
    size = 2 * int(3 * SPECTRUM_STEPS) + 1
    # Frequencies go round: what lies beyond the highest is the lowest from the other side.
    pad = min(size // 2, *power.shape)
    wrapped = np.pad(power, pad, mode="wrap")
    smooth = cv2.GaussianBlur(wrapped, (size, size), SPECTRUM_STEPS)[pad:-pad, pad:-pad]
    return np.asarray(np.sqrt(smooth)[:, : grain.shape[1] // 2 + 1], np.float64)
