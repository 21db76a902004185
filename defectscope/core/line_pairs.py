"""Pairs of lines of one frame: how far apart they are, which lie on which, which go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.curves import POINTS, distances_to_curve, mean_curve_distance
from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MOST_DISTANCE_PX", "LineMatch", "best_pairs", "lies_along", "lies_in", "line_distances",
    "line_qualities", "lying_along", "lying_on", "match_lines",
]  # fmt: skip

MOST_DISTANCE_PX = 5.0
# A line lies on another where this part of it is nearer than this.
LIES_ON_SHARE, LIES_ON_PX = 0.8, 2.5
# Shorter lines are no part into which another was split.
LEAST_PART_PX = 8.0


@dataclass(frozen=True)
class LineMatch:
    """Pairs of predicted and true lines of one frame; arrays have the length of the pairs."""

    predicted: NDArray[np.intp]
    true: NDArray[np.intp]
    quality: NDArray[np.float64]
    distance_px: NDArray[np.float64]


def _boxes(lines: Sequence[NDArray[np.float64]], margin: float) -> NDArray[np.float64]:
    return np.array([[*(p.min(axis=0) - margin), *(p.max(axis=0) + margin)] for p in lines])


def _close_pairs(
    a: Sequence[NDArray[np.float64]], b: Sequence[NDArray[np.float64]], margin: float
) -> list[tuple[int, int]]:
    """Return positions of lines whose boxes come within a margin."""
    if not (len(a) and len(b)):
        return []
    first, second = _boxes(a, margin), _boxes(b, 0.0)
    touch = (first[:, None, :2] <= second[None, :, 2:]).all(axis=2)
    touch &= (first[:, None, 2:] >= second[None, :, :2]).all(axis=2)
    return [(int(i), int(j)) for i, j in np.argwhere(touch)]


def line_distances(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    most_distance_px: float = MOST_DISTANCE_PX,
) -> NDArray[np.float64]:
    """Return the (n, m) mean curve distances of lines, px; infinite where they cannot match.

    Parameters
    ----------
    predicted, true
        (k, 2) points x, y of each line.
    most_distance_px
        Pairs whose mean curve distance is larger cannot match.
    """
    distance = np.full((len(predicted), len(true)), np.inf)
    for i, j in _close_pairs(predicted, true, most_distance_px):
        distance[i, j] = mean_curve_distance(predicted[i], true[j])
    distance[distance > most_distance_px] = np.inf
    return distance


def line_qualities(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    allowed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return 1 - relative length error, at least 0, of the (n, m) allowed pairs; 0 elsewhere."""
    quality = np.zeros(allowed.shape)
    lengths = [polyline_length(line) for line in true]
    for i, j in np.argwhere(allowed):
        error = abs(polyline_length(predicted[i]) - lengths[j]) / max(lengths[j], 1e-9)
        quality[i, j] = max(0.0, 1 - error)
    return quality


def best_pairs(
    distance: NDArray[np.float64],
    quality: NDArray[np.float64],
    most_distance_px: float = MOST_DISTANCE_PX,
) -> LineMatch:
    """Pair lines one to one so that the sum of qualities is largest.

    Parameters
    ----------
    distance, quality
        (n, m), as :func:`line_distances` and :func:`line_qualities` give them.
    most_distance_px
        That of the distances.
    """
    from scipy.optimize import linear_sum_assignment

    allowed = np.isfinite(distance)
    # Any match is better than none; of equal ones the nearer.
    gain = np.where(allowed, 0.01 + quality + 1e-3 * (1 - distance / (most_distance_px + 1)), 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = allowed[rows, columns]
    rows, columns = rows[real], columns[real]
    return LineMatch(rows, columns, quality[rows, columns], distance[rows, columns])


def match_lines(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    most_distance_px: float = MOST_DISTANCE_PX,
) -> LineMatch:
    """Pair lines one to one so that the sum of 1 - relative length error is largest.

    Parameters are those of :func:`line_distances`.
    """
    distance = line_distances(predicted, true, most_distance_px)
    quality = line_qualities(predicted, true, np.isfinite(distance))
    return best_pairs(distance, quality, most_distance_px)


def lying_on(
    predicted: Sequence[NDArray[np.float64]], true: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (n, m): which true lines lie on which predicted ones, and the other way round."""
    holds, lies = (np.zeros((len(predicted), len(true)), bool) for _ in range(2))
    for i, j in _close_pairs(predicted, true, LIES_ON_PX):
        holds[i, j] = _lies_on(true[j], predicted[i])
        lies[i, j] = _lies_on(predicted[i], true[j])
    return holds, lies


def lying_along(
    some: Sequence[NDArray[np.float64]], others: Sequence[NDArray[np.float64]], distance_px: float
) -> NDArray[np.bool_]:
    """Return (n,) whether each line lies along any of the others."""
    found = np.zeros(len(some), bool)
    for i, j in _close_pairs(some, others, distance_px):
        found[i] |= lies_along(some[i], others[j], distance_px)
    return found


def _lies_on(part: NDArray[np.float64], whole: NDArray[np.float64]) -> bool:
    return polyline_length(part) >= LEAST_PART_PX and lies_along(part, whole, LIES_ON_PX)


def lies_along(part: NDArray[np.float64], whole: NDArray[np.float64], distance_px: float) -> bool:
    """Return whether most of a line is nearer to another than a distance."""
    near = distances_to_curve(polyline_resample(part, POINTS), whole) <= distance_px
    return bool(near.mean() >= LIES_ON_SHARE)


def lies_in(line: NDArray[np.float64], region: NDArray[np.bool_]) -> bool:
    """Return whether a line has more than half of its length in a region."""
    most = np.array(region.shape[::-1]) - 1
    x, y = np.clip(np.floor(polyline_resample(line, POINTS)), 0, most).astype(np.intp).T
    return bool(region[y, x].mean() > 0.5)
