"""The grey texture of an irradiated foil in bright field, without any defect.

Everything is computed in float64 and rounded once at the end, so that processors whose filters
round differently still give the same grey values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import Field

from defectscope import Background, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Texture", "TextureOptions"]

# Grain under a Gaussian filter of this sigma, in px, is smooth enough to be enlarged.
ENLARGED_SIGMA_PX = 2.0
# Cells beyond the rim, for the filters to reach into.
MARGIN_CELLS = 2


class TextureOptions(Options):
    """Options of ``texture``; contrasts are standard deviations on a grey scale of 0 to 1."""

    level: float = Field(0.62, gt=0, lt=1, description="mean grey level, 0 to 1")
    grain_px: float = Field(3.0, gt=0, le=200, description="size of the fine grain, px")
    grain_contrast: float = Field(0.045, ge=0, le=0.5, description="contrast of the fine grain")
    coarse_px: float = Field(9.0, gt=0, le=500, description="size of the coarse grain, px")
    coarse_contrast: float = Field(0.02, ge=0, le=0.5, description="contrast of the coarse grain")
    illumination: float = Field(0.05, ge=0, le=0.5, description="depth of uneven illumination")


def _grain(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (H, W) smoothed white noise of unit variance; coarse grain is computed coarsely."""
    sigma = size_px / 2
    step = max(1, int(sigma / ENLARGED_SIGMA_PX))
    height, width = (-(-side // step) + 2 * MARGIN_CELLS for side in shape)
    noise = rng.standard_normal((height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma / step, borderType=cv2.BORDER_REFLECT)
    if step > 1:
        size = width * step, height * step
        smooth = cv2.resize(smooth, size, interpolation=cv2.INTER_CUBIC)
    start = MARGIN_CELLS * step
    grain = np.asarray(smooth[start : start + shape[0], start : start + shape[1]], np.float64)
    # An image of one pixel has no variance to divide by.
    grain *= 1 / max(float(grain.std()), 1e-12)
    return grain


class Texture(Background):
    """Grain of two sizes on an unevenly lit field."""

    Options = TextureOptions
    options: TextureOptions

    def render(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return (H, W) float32 in [0, 1], and the direction of the illumination."""
        options = self.options
        direction = float(rng.uniform(0, 2 * math.pi))
        rows = np.linspace(-1, 1, shape[0])[:, None]
        columns = np.linspace(-1, 1, shape[1])[None, :]
        depth = options.illumination / 2
        pixels = _grain(shape, options.grain_px, rng)
        pixels *= options.grain_contrast
        coarse = _grain(shape, options.coarse_px, rng)
        coarse *= options.coarse_contrast
        pixels += coarse
        pixels += options.level + depth * math.cos(direction) * columns
        pixels += depth * math.sin(direction) * rows
        np.clip(pixels, 0, 1, out=pixels)
        return pixels.astype(np.float32), {"illumination_rad": direction}
