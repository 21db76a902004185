"""The grey texture of an irradiated foil in bright field, without any defect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import Field

from defectscope import Background, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Texture", "TextureOptions"]


class TextureOptions(Options):
    """Options of ``texture``; contrasts are standard deviations on a grey scale of 0 to 1."""

    level: float = Field(0.62, gt=0, lt=1, description="mean grey level, 0 to 1")
    grain_px: float = Field(3.0, gt=0, le=200, description="size of the fine grain, px")
    grain_contrast: float = Field(0.045, ge=0, le=0.5, description="contrast of the fine grain")
    coarse_px: float = Field(9.0, gt=0, le=500, description="size of the coarse grain, px")
    coarse_contrast: float = Field(0.02, ge=0, le=0.5, description="contrast of the coarse grain")
    illumination: float = Field(0.05, ge=0, le=0.5, description="depth of uneven illumination")


def _grain(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.standard_normal(shape, dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), size_px / 2, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth / max(float(smooth.std()), 1e-12), np.float32)


class Texture(Background):
    """Grain of two sizes on an unevenly lit field."""

    Options = TextureOptions
    options: TextureOptions

    def render(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return (H, W) float32 in [0, 1], and the direction of the illumination."""
        options = self.options
        direction = float(rng.uniform(0, 2 * np.pi))
        rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
        columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
        slope = np.cos(direction) * columns + np.sin(direction) * rows
        pixels = options.level + options.illumination * slope / 2
        pixels = pixels + options.grain_contrast * _grain(shape, options.grain_px, rng)
        pixels += options.coarse_contrast * _grain(shape, options.coarse_px, rng)
        return np.clip(pixels, 0, 1).astype(np.float32), {"illumination_rad": direction}
