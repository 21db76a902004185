"""Where loops nucleate, and which of them meet."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["meeting_pairs", "spread_out"]

TRIES = 8
# More discs than this part of an area's worth cannot be kept apart by chance alone; of several
# times as many the best of a few places is chosen, of still more any place.
JAMMED, CARED_FOR = 0.547, 4.0
# Loops whose neighbours are looked up at once.
CHUNK = 512


def spread_out(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    distance: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return (n, 2) points x, y between two corners that keep apart where there is room.

    Each is the best of several candidates: points may come close now and then, but do not pile up.

    Parameters
    ----------
    low, high
        (2,) corners.
    distance
        (n,) wanted from each point to those that want as much or more, px.
    rng
        Source of the places.
    """
    tries = rng.uniform(low, high, (len(distance), TRIES, 2))
    chosen = tries[:, 0].copy()
    side = float(distance.max(initial=1e-3))
    room = JAMMED * float(np.prod(high - low)) / (math.pi / 4 * side**2)
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k in np.argsort(-distance, kind="stable")[: math.ceil(CARED_FOR * room)].tolist():
        best = -1.0
        for candidate in tries[k]:
            gap = _gap(candidate, chosen, cells, side)
            if gap > best:
                chosen[k], best = candidate, gap
            if gap >= distance[k]:
                break
        cells[_cell(chosen[k], side)].append(k)
    return chosen


def _cell(point: NDArray[np.float64], side: float) -> tuple[int, int]:
    return math.floor(point[0] / side), math.floor(point[1] / side)


def _gap(
    point: NDArray[np.float64],
    points: NDArray[np.float64],
    cells: dict[tuple[int, int], list[int]],
    side: float,
) -> float:
    """Return the distance to the nearest of the points in cells around, at most `side`."""
    column, row = _cell(point, side)
    near = [
        k
        for x in (column - 1, column, column + 1)
        for y in (row - 1, row, row + 1)
        for k in cells.get((x, y), ())
    ]
    if not near:
        return side
    return min(side, float(np.hypot(*(points[near] - point).T).min()))


def meeting_pairs(
    position: NDArray[np.float64],
    axes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    height: NDArray[np.float64],
    within: float,
    capture_px: float,
) -> NDArray[np.intp]:
    """Return (m, 2) indices of loops that meet, those that overlap most first, none twice.

    Two loops meet where the gap between their edges, along the line through their centres, is at
    most `capture_px`, and their heights differ by less than `within`.

    Parameters
    ----------
    position
        (n, 2) centres x, y, px.
    axes
        (n,) major and minor axes, px, and angles, degrees.
    height
        (n,) places in the foil's thickness, 0 to 1.
    within, capture_px
        See above.
    """
    if len(position) < 2 or within <= 0:
        return np.zeros((0, 2), np.intp)
    tree = cKDTree(position)
    found = [np.zeros((0, 3))]
    for start in range(0, len(position), CHUNK):
        first = np.arange(start, min(start + CHUNK, len(position)))
        # From the longer of the two, both half axes together are at most its whole one.
        near = tree.query_ball_point(position[first], axes[0][first] + capture_px)
        first = np.repeat(first, [len(other) for other in near])
        second = np.concatenate([np.array(other, np.intp) for other in near])
        longer = (axes[0][second] < axes[0][first]) | (
            (axes[0][second] == axes[0][first]) & (second > first)
        )
        meet = longer & (np.abs(height[first] - height[second]) < within)
        first, second = first[meet], second[meet]
        gap = _gaps(position, axes, first, second)
        close = gap <= capture_px
        found.append(np.stack([gap[close], first[close], second[close]], axis=1))
    return _each_once(np.concatenate(found), len(position))


def _gaps(
    position: NDArray[np.float64],
    axes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the gap between the edges of each pair, negative where they overlap, px."""
    way = position[second] - position[first]
    distance = np.hypot(*way.T)
    # y points down, angles go counter-clockwise.
    direction = np.arctan2(-way[:, 1], way[:, 0])
    reach = np.zeros(len(way))
    for loops in (first, second):
        major, minor, angle = (values[loops] for values in axes)
        turned = direction - np.deg2rad(angle)
        reach += 0.5 / np.hypot(np.cos(turned) / major, np.sin(turned) / minor)
    return np.asarray(distance - reach)


def _each_once(pairs: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    order = np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))
    taken = np.zeros(count, bool)
    kept = []
    for first, second in pairs[order, 1:].astype(np.intp):
        if not (taken[first] or taken[second]):
            taken[first] = taken[second] = True
            kept.append((first, second))
    return np.array(kept, np.intp).reshape(-1, 2)
