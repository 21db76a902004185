"""Where traced lines stop: cut back to the end that the network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from defectscope.core.geometry.polylines import polyline_length, polyline_resample
from defectscope.detectors.line_tracer.lattice import STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StopRules", "along", "stopped"]

# What lies on a line this far beyond a place tells whether the line is stronger there, px.
COMPARED_PX = 60
# A line turns at a place by the angle between its last points before and its first points after.
TURN_PX = 6
# Lines with fewer points, 1 px apart, are left as they are.
LEAST_POINTS = 8
# Places are looked up in rows of so many.
ROW = 1024


class StopRules(NamedTuple):
    """When a line is cut.

    Parameters
    ----------
    least_end
        Least probability of an end, on the line.
    near_px
        Ends this near to where the line stops cut it in any case.
    far_px, part
        Longer pieces than this, and than this part of the line, are not cut off.
    weaker
        Pieces whose mean probability is smaller than this part of that of the rest are cut off.
    turn_deg, weaker_turned
        After a turn by this angle, as where a line meets a slip trace, this part is enough.
    """

    least_end: float = 0.25
    near_px: float = 6.0
    far_px: float = 80.0
    part: float = 0.45
    weaker: float = 0.8
    turn_deg: float = 25.0
    weaker_turned: float = 1.1


def stopped(
    line: NDArray[np.float64],
    ends: NDArray[np.float32],
    evidence: NDArray[np.float32],
    rules: StopRules,
) -> NDArray[np.float64]:
    """Return a line without what goes on beyond its ends: along a slip trace, or by smoothing.

    Parameters
    ----------
    line
        (k, 2) points x, y in px.
    ends, evidence
        (h, w) probabilities of the cells: that a line ends there, that one passes.
    rules
        When it is cut.
    """
    count = int(polyline_length(line)) + 1
    if count < LEAST_POINTS:
        return line
    points = polyline_resample(line, count)
    tips, passing = along(ends, points), along(evidence, points)
    first = _first(points, tips, passing, rules)
    last = count - 1 - _first(points[::-1], tips[::-1], passing[::-1], rules)
    if last - first < TURN_PX or (first, last) == (0, count - 1):
        return line
    return points[first : last + 1]


def along(values: NDArray[np.float32], points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (h, w) values of cells at (n, 2) places in px, any number of them."""
    # The centre of the first cell lies half a cell from the corner of the frame.
    places = (points / STRIDE - 0.5).astype(np.float32)
    # OpenCV takes no rows of more than 32 766.
    rows = np.pad(places, ((0, -len(places) % ROW), (0, 0)))
    x, y = np.ascontiguousarray(rows.T).reshape(2, -1, ROW)
    found = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(-1)[: len(places)], np.float32)


def _first(
    points: NDArray[np.float64],
    tips: NDArray[np.float32],
    passing: NDArray[np.float32],
    rules: StopRules,
) -> int:
    """Return the position with which the line begins."""
    reach = int(min(rules.part * len(points), rules.far_px))
    here = tips[1 : reach - 1]
    peaks = (here >= tips[: reach - 2]) & (here > tips[2:reach]) & (here > rules.least_end)
    found = 0
    for k in (np.flatnonzero(peaks) + 1).tolist():
        piece, rest = passing[: k + 1].mean(), passing[k : k + COMPARED_PX].mean()
        before = points[k] - points[max(k - TURN_PX, 0)]
        after = points[min(k + TURN_PX, len(points) - 1)] - points[k]
        turn = abs(np.arctan2(before[0] * after[1] - before[1] * after[0], before @ after))
        turned = turn > np.deg2rad(rules.turn_deg)
        share = rules.weaker_turned if turned else rules.weaker
        if k <= rules.near_px or piece < share * rest:
            found = k
    return _middle(tips, found) if found else 0


def _middle(tips: NDArray[np.float32], peak: int) -> int:
    """Return the centre of what is seen around a peak, which cells of 2 px make flat."""
    # Equally far to both sides: the line often goes on for a few points only.
    reach = min(TURN_PX, peak, len(tips) - 1 - peak)
    near = np.arange(peak - reach, peak + reach + 1)
    return round(float(np.average(near, weights=tips[near])))
