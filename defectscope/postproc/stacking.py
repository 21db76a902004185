"""Small arrays of several sizes, one below the other in one: one call of numpy does for all.

A call of numpy costs as much as a thousand pixels, and a crop around a defect has a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Stacking"]


@dataclass(frozen=True, eq=False)
class Stacking:
    """Where arrays lie that are stacked.

    Parameters
    ----------
    heights, widths
        (n,) of each array, at least 1; all begin in column 0.
    """

    heights: NDArray[np.intp]
    widths: NDArray[np.intp]

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the stack: the sum of all heights, the largest width."""
        return int(self.heights.sum()), int(self.widths.max(initial=0))

    @cached_property
    def tops(self) -> NDArray[np.intp]:
        """First row of each array."""
        return np.asarray(np.cumsum(self.heights) - self.heights)

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """Which array each row belongs to."""
        return np.repeat(np.arange(len(self.heights)), self.heights)

    @cached_property
    def places(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each array."""
        ends = zip(self.tops.tolist(), self.heights.tolist(), self.widths.tolist(), strict=True)
        return [(slice(top, top + height), slice(0, width)) for top, height, width in ends]

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """Which pixels of the stack belong to an array at all."""
        return np.asarray(np.arange(self.shape[1]) < self.widths[self.owners][:, None])

    def apart(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a stack with a rim of zeros around each array, for what looks at neighbours."""
        height, width = self.shape
        wide = np.zeros((height + len(self.heights) + 1, width + 2), np.uint8)
        wide[self._rows_apart, 1:-1] = pixels
        return wide

    def together(self, wide: NDArray[Any]) -> NDArray[Any]:
        """Return a stack without the rims that :meth:`apart` put in."""
        return np.asarray(wide[self._rows_apart, 1:-1])

    @cached_property
    def _rows_apart(self) -> NDArray[np.intp]:
        return np.asarray(np.arange(1, self.shape[0] + 1) + self.owners)

    def a_row(self, values: Any, kind: Any = np.float32) -> NDArray[Any]:
        """Return (rows, 1) values from one for each array."""
        return np.asarray(values, kind)[self.owners][:, None]

    def count(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many pixels of each array are chosen."""
        return np.add.reduceat(np.count_nonzero(chosen, axis=1), self.tops, dtype=np.int64)

    @staticmethod
    def split(values: NDArray[Any], counts: NDArray[np.int64]) -> list[NDArray[Any]]:
        """Part values that were chosen in the stack into those of each array."""
        stops = np.cumsum(counts)
        ends = zip((stops - counts).tolist(), stops.tolist(), strict=True)
        return [values[start:stop] for start, stop in ends]
