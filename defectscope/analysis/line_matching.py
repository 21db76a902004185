"""Which line of one image is which of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.polylines import polyline_resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SAME_LINE_PX", "matching_lines"]

# Lines that are nearer to each other than this on average may be one.
SAME_LINE_PX = 3.0
MATCHING_POINTS = 50
FINELY = 10


def matching_lines(
    lines: Sequence[NDArray[np.float64]], others: Sequence[NDArray[np.float64]]
) -> list[tuple[int, float] | None]:
    """Return for each line which of the others it is, and their mean distance in px; or None.

    The nearest pair of all is joined first, one to one.
    """
    distances = np.array([[_distance(a, b) for b in others] for a in lines])
    found: list[tuple[int, float] | None] = [None] * len(lines)
    while distances.size and distances.min() < SAME_LINE_PX:
        k, j = np.unravel_index(int(distances.argmin()), distances.shape)
        found[k] = int(j), float(distances[k, j])
        distances[k], distances[:, j] = np.inf, np.inf
    return found


def _distance(line: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the mean distance of two lines, each way; of a line that is cut, of what is left."""
    from scipy.spatial import cKDTree

    if not len(line) or not len(other) or _apart(line, other):
        return float("inf")
    # To points so near to each other that they stand for the line between them.
    dense = [polyline_resample(points, FINELY * len(points)) for points in (line, other)]
    there = cKDTree(dense[0]).query(polyline_resample(other, MATCHING_POINTS))[0]
    back = cKDTree(dense[1]).query(polyline_resample(line, MATCHING_POINTS))[0]
    return float(max(np.mean(there), np.median(back)))


def _apart(line: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two lines are too far from each other, seen at once from their boxes."""
    gap = np.maximum(line.min(axis=0) - other.max(axis=0), other.min(axis=0) - line.max(axis=0))
    return bool((gap > SAME_LINE_PX).any())
