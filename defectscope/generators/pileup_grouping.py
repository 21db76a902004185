"""Which labelled lines belong to one pile-up: those that run between the same two traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.angles import undirected_deg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["group_pileups", "oriented_alike"]

# The ends of a line may lie this far from a trace: of the slip width, and at least in px.
TOLERANCE = 0.06
LEAST_TOLERANCE_PX = 2.0
# Neighbours in a pile-up are nearer than this multiple of the slip width.
WIDEST_GAP = 1.5
# Lines whose shift is within this angle of themselves lie end to end, not side by side.
LEAST_ANGLE_DEG = 15.0
# Traces are looked for through a line and this many of its neighbours.
NEIGHBOURS = 8


def group_pileups(
    lines: Sequence[NDArray[np.float64]], groups: Sequence[int | None]
) -> list[list[NDArray[np.float64]]]:
    """Group the lines of one image.

    Parameters
    ----------
    lines
        (k, 2) vertices of each.
    groups
        A number for each pile-up; lines with None are alone where any other has a number, and
        where none has, lines are grouped by geometry.
    """
    if any(group is not None for group in groups):
        numbered: dict[int, list[NDArray[np.float64]]] = {}
        alone = []
        for line, group in zip(lines, groups, strict=True):
            if group is None:
                alone.append([line])
            else:
                numbered.setdefault(group, []).append(line)
        return [*numbered.values(), *alone]
    ends = np.array([(line[0], line[-1]) for line in lines]).reshape(-1, 2, 2)
    free = np.ones(len(lines), bool)
    found = []
    while free.any():
        members = _largest_pileup(ends, np.flatnonzero(free))
        found.append([lines[k] for k in members])
        free[members] = False
    return found


def _largest_pileup(ends: NDArray[np.float64], free: NDArray[np.intp]) -> list[int]:
    """Return the most lines that share two traces, of those that are still free."""
    best, best_error = [int(free[0])], np.inf
    middles = ends[free].mean(axis=1)
    for k, first in enumerate(free):
        nearest = np.argsort(np.hypot(*(middles - middles[k]).T), kind="stable")
        for second in free[nearest[1 : NEIGHBOURS + 1]]:
            members, error = _between_traces(ends, free, int(first), int(second))
            if (len(members), -error) > (len(best), -best_error) and len(members) > 1:
                best, best_error = members, error
    return best


def _between_traces(
    ends: NDArray[np.float64], free: NDArray[np.intp], first: int, second: int
) -> tuple[list[int], float]:
    """Return the lines between the traces through two, and their mean distance from these."""
    start, end = ends[first]
    other = _turned(ends[second], end - start)
    shift = (other[0] - start + other[1] - end) / 2
    gap, chord = float(np.hypot(*shift)), float(np.hypot(*(end - start)))
    if gap < 1e-6 or chord < 1e-6:
        return [first], np.inf
    along = shift / gap
    across = np.array([-along[1], along[0]])
    width = abs(float((end - start) @ across))
    if width < np.sin(np.deg2rad(LEAST_ANGLE_DEG)) * chord:
        return [first], np.inf
    tolerance = max(TOLERANCE * width, LEAST_TOLERANCE_PX)
    candidates = np.stack([_turned(ends[k], end - start) for k in free])
    errors = np.abs((candidates - ends[first]) @ across).max(axis=1)
    fitting = np.flatnonzero(errors <= tolerance)
    place = (candidates[fitting].mean(axis=1) - ends[first].mean(axis=0)) @ along
    order = np.argsort(place, kind="stable")
    # A run without a wide gap, the one with the first line in it.
    run = np.cumsum(np.concatenate([[0], np.diff(place[order]) > WIDEST_GAP * width]))
    members = fitting[order]
    chosen = members[run == run[np.flatnonzero(free[members] == first)[0]]]
    return free[chosen].tolist(), float(errors[chosen].mean()) + 1e-3 * gap


def _turned(line: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    return line if float((line[1] - line[0]) @ direction) >= 0 else line[::-1]


def oriented_alike(
    lines: Sequence[NDArray[np.float64]],
) -> tuple[list[NDArray[np.float64]], float]:
    """Return the lines of a pile-up from the first trace to the second, and the direction.

    The direction, deg in [0, 180), is that of the straight lines nearest to all starts and to
    all ends.
    """
    chord = lines[0][-1] - lines[0][0]
    turned = [line if float((line[-1] - line[0]) @ chord) >= 0 else line[::-1] for line in lines]
    starts, ends = np.stack([line[0] for line in turned]), np.stack([line[-1] for line in turned])
    spread = np.concatenate([starts - starts.mean(axis=0), ends - ends.mean(axis=0)])
    along = np.linalg.svd(spread, full_matrices=False)[2][0]
    direction = float(undirected_deg(np.degrees(np.arctan2(-along[1], along[0]))))
    angle = np.deg2rad(direction)
    across = np.array([-np.sin(angle), -np.cos(angle)])
    if float((ends - starts).mean(axis=0) @ across) < 0:
        turned = [line[::-1] for line in turned]
    return turned, direction
