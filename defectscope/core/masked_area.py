"""How much of a rectangle is masked, and which points are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MaskedArea"]


class MaskedArea:
    """Pixels of a frame in which nothing counts, by a table of their sums.

    Parameters
    ----------
    bitmap
        (H, W) bool, True where masked.

    Notes
    -----
    The number of masked pixels above and to the left of each corner of a pixel (summed-area
    table; Crow, Comput. Graph. 18 (1984) 207) gives the masked area of any rectangle; between
    corners it is linear in x and in y, so that parts of pixels count exactly.
    """

    def __init__(self, bitmap: NDArray[np.bool_]) -> None:
        self.bitmap = np.asarray(bitmap, bool)
        self._sums = np.zeros(np.add(self.bitmap.shape, 1))
        self.bitmap.cumsum(axis=0, out=self._sums[1:, 1:], dtype=float)
        self._sums.cumsum(axis=1, out=self._sums)

    def in_boxes(self, boxes: ArrayLike) -> NDArray[np.float64]:
        """Return the masked area (n,), px², in (n, 4) boxes x_min, y_min, x_max, y_max.

        A box without extent holds nothing; what reaches out of the frame is not masked.
        """
        x0, y0, x1, y1 = np.asarray(boxes, float).reshape(-1, 4).T
        area = self._above(x1, y1) - self._above(x0, y1) - self._above(x1, y0) + self._above(x0, y0)
        return np.where((x1 > x0) & (y1 > y0), np.maximum(area, 0.0), 0.0)

    def _above(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        height, width = self.bitmap.shape
        x, y = np.clip(x, 0, width), np.clip(y, 0, height)
        column = np.minimum(np.floor(x).astype(np.intp), width - 1)
        row = np.minimum(np.floor(y).astype(np.intp), height - 1)
        right, down = x - column, y - row
        sums = self._sums
        upper = sums[row, column] * (1 - right) + sums[row, column + 1] * right
        lower = sums[row + 1, column] * (1 - right) + sums[row + 1, column + 1] * right
        return np.asarray(upper * (1 - down) + lower * down)

    def holds(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
        """Return which points x, y (n,), px, are masked; unknown ones and those outside are not."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        height, width = self.bitmap.shape
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        column, row = (np.where(inside, v, 0).astype(np.intp) for v in (x, y))
        return np.asarray(inside & self.bitmap[row, column])
