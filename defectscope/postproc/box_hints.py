"""What boxes say beforehand: which are neighbours, and which ellipses could be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.boxes import box_areas, clip_boxes
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.postproc.crops import SMALLEST_MARGIN_PX
from defectscope.postproc.ellipse_fit import Ellipse

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["agreeing_with_boxes", "inscribed_ellipse", "neighbouring_boxes"]

# A fit that shares less than this with its box has found something else.
LEAST_BOX_OVERLAP = 0.25
# Where boxes share more than this of the smaller one, they hold one defect twice, or a dot lies
# inside a ring: they must not part it.
NESTED_SHARE = 0.6
SMALLEST_AXIS_PX = 1.0


def neighbouring_boxes(
    boxes: NDArray[np.float32], measured: NDArray[np.bool_], margin: float
) -> list[list[int]]:
    """Return, for each box, which others reach into its enlarged crop and compete for it.

    Parameters
    ----------
    boxes
        (n, 4) boxes.
    measured
        (n,) bool: boxes of defects that are segmented; others neither have nor are neighbours.
    margin
        Enlargement on each side, as a fraction of that side.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    grow = np.maximum(margin * sides, SMALLEST_MARGIN_PX)
    low, high = boxes[:, :2] - grow, boxes[:, 2:] + grow
    meet = measured[:, None] & measured
    common = np.ones(meet.shape, np.float32)
    for axis in (0, 1):
        first, last = boxes[:, axis], boxes[:, axis + 2]
        meet &= (high[:, axis, None] > first) & (last > low[:, axis, None])
        shared = np.minimum(last[:, None], last) - np.maximum(first[:, None], first)
        common *= np.maximum(shared, 0)
    areas = box_areas(boxes)
    meet &= common < NESTED_SHARE * np.minimum(areas[:, None], areas)
    return [np.flatnonzero(row).tolist() for row in meet]


def agreeing_with_boxes(
    ellipses: NDArray[np.float64], boxes: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which ellipses are what their boxes meant; NaN never is."""
    x, y, _, minor, _ = ellipses.T
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0]) & (minor >= SMALLEST_AXIS_PX)
    # A detector's box ends at the rim; the ellipse may go on beyond it.
    a, b = clip_boxes(ellipse_boxes(*ellipses.T), shape), clip_boxes(boxes, shape)
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    common = np.prod(np.clip(sides, 0, None), axis=1)
    union = box_areas(a) + box_areas(b) - common
    agrees: NDArray[np.bool_] = inside & (common >= LEAST_BOX_OVERLAP * union)
    return agrees


def inscribed_ellipse(box: NDArray[np.float32]) -> Ellipse:
    """Return the ellipse with the sides of a box as axes."""
    x0, y0, x1, y1 = (float(v) for v in box)
    width, height = x1 - x0, y1 - y0
    centre = (x0 + x1) / 2, (y0 + y1) / 2
    if width >= height:
        return Ellipse(*centre, width, height, 0.0)
    return Ellipse(*centre, height, width, 90.0)
