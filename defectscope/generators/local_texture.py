"""How strongly an image fluctuates around a place: the unit of a defect's contrast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LocalTexture"]

# The window is made of this many cells in each direction.
CELLS = 8


class LocalTexture:
    """Standard deviation of the pixels in a window around each place.

    Parameters
    ----------
    pixels
        (H, W) float32 image; what is drawn on it later does not count.
    window_px
        Side of the window.
    least
        Returned where the image is smoother than this.
    """

    def __init__(self, pixels: NDArray[np.float32], window_px: float, least: float) -> None:
        height, width = pixels.shape
        cell = max(1.0, window_px / CELLS)
        size = max(1, math.ceil(width / cell)), max(1, math.ceil(height / cell))
        # In float64, for processors whose filters round differently.
        centred = pixels.astype(np.float64)
        level = float(centred.mean())
        centred -= level
        mean, squares = (
            cv2.blur(
                cv2.resize(values, size, interpolation=cv2.INTER_AREA),
                (CELLS, CELLS),
                borderType=cv2.BORDER_REFLECT,
            )
            for values in (centred, centred * centred)
        )
        # Squares of differences from the mean keep their digits.
        variance = squares - mean * mean
        self.values = np.sqrt(np.maximum(variance, least**2))
        self.levels = np.asarray(mean + level, np.float64)
        self._scale = size[0] / width, size[1] / height

    def at(self, x: float, y: float) -> float:
        """Return the texture around a place; beyond the rim, that of the nearest one inside."""
        return float(self.values[self._cell(x, y)])

    def level(self, x: float, y: float) -> float:
        """Return the mean of the pixels around a place."""
        return float(self.levels[self._cell(x, y)])

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        rows, columns = self.values.shape
        column = min(max(int(x * self._scale[0]), 0), columns - 1)
        row = min(max(int(y * self._scale[1]), 0), rows - 1)
        return row, column
