"""The pixels near lines, and where each lies as seen from its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from defectscope.generators.line_columns import columns_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.line_courses import Course

__all__ = ["Band", "band_around"]

# Pixels whose nearest point turns out to be farther away than this, in points, are asked again,
# so often at most.
FAR_POINTS = 1.5
MOST_REPEATS = 4


@dataclass(frozen=True)
class Band:
    """The pixels near lines, line by line; arrays of length p.

    Parameters
    ----------
    pixel, line
        Position in the flattened frame, and of the line in its course.
    place
        Nearest place of the line, counted in points of the course.
    across, beyond
        Signed distance from the centre line, and distance beyond the line's end, px.
    width, level, along
        Width, px, and relative strength there, and distance along the line, px.
    """

    pixel: NDArray[np.intp]
    line: NDArray[np.intp]
    place: NDArray[np.float64]
    across: NDArray[np.float64]
    beyond: NDArray[np.float64]
    width: NDArray[np.float64]
    level: NDArray[np.float64]
    along: NDArray[np.float64]


def band_around(course: Course, lines: range, shape: tuple[int, int]) -> Band:
    """Return the pixels of a frame of `shape` (height, width) near some lines of a course."""
    pixel, sample = _near(course, lines, shape)
    rows, columns = np.divmod(pixel, shape[1])
    x, y = columns + 0.5, rows + 0.5
    line = course.line[sample]
    step, start, stop = course.step[line], course.first[line], course.first[line + 1] - 1
    ahead, side = _seen_from(course, sample, x, y)
    foot = sample + ahead / step
    place = np.minimum(np.maximum(foot, start), stop)
    # Beyond an end, the nearest point is the end itself.
    far = np.flatnonzero(np.abs(place - sample) > np.where(foot == place, FAR_POINTS, 0))
    for _ in range(MOST_REPEATS):
        if not len(far):
            break
        # On a circle the nearest point is this much farther on than along the tangent.
        bent = np.maximum(1 - course.bend[sample[far]] * side[far], 0.5)
        moved = sample[far] + ahead[far] / step[far] / bent
        sample[far] = np.rint(np.clip(moved, start[far], stop[far])).astype(np.intp)
        ahead[far], side[far] = _seen_from(course, sample[far], x[far], y[far])
        foot[far] = sample[far] + ahead[far] / step[far]
        place[far] = np.clip(foot[far], start[far], stop[far])
        limit = np.where(foot[far] == place[far], FAR_POINTS, 0)
        far = far[np.abs(place[far] - sample[far]) > limit]

    # As on the circle through the line at the nearest point.
    bend, slope, shift = (np.take(v, sample) for v in (course.bend, course.slope, course.shift))
    across = side - 0.5 * bend * ahead * ahead / np.maximum(1 - bend * side, 0.5)
    across = (across - shift - slope * ahead) / np.sqrt(1 + slope * slope)
    return Band(
        pixel, line, place, across, np.abs(foot - place) * step,
        np.take(course.width, sample), np.take(course.level, sample), (place - start) * step,
    )  # fmt: skip


def _near(
    course: Course, lines: range, shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels within reach of each line, and about the nearest point of each."""
    gentle, axis, sense = course.gentle
    chosen = lines.start + np.flatnonzero(gentle[lines.start : lines.stop])
    found: dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
    if len(chosen):
        pixel, sample, counts = columns_near(course, chosen, axis[chosen], sense[chosen], shape)
        if len(chosen) == len(lines):
            return pixel, sample
        ends = np.cumsum(counts)[:-1]
        parts = zip(np.split(pixel, ends), np.split(sample, ends), strict=True)
        found.update(zip(chosen.tolist(), parts, strict=True))
    for k in lines:
        if k in found:
            continue
        own = slice(course.first[k], course.first[k + 1])
        pixel, sample = _by_distance(course.points[own], course.reach[own], shape)
        found[k] = pixel, sample + own.start
    pixels, samples = zip(*(found[k] for k in lines), strict=True)
    return np.concatenate(pixels), np.concatenate(samples)


def _seen_from(
    course: Course, sample: NDArray[np.intp], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far places lie ahead of points of the course and to their side."""
    x0, y0, tx, ty = (np.take(values, sample) for values in course.frames)
    dx, dy = x - x0, y - y0
    return dx * tx + dy * ty, dy * tx - dx * ty


def _by_distance(
    points: NDArray[np.float64], reach: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels of a frame within `reach` of a path, and the nearest point of each.

    The nearest point is found on the grid, so that it may be off by a point or two.
    """
    widest = float(reach.max())
    pad = int(np.ceil(widest)) + 2
    height, width = shape
    low, high = np.floor(points.min(axis=0)), np.floor(points.max(axis=0))
    # Points outside the frame matter to the pixels at its rim as far as the line reaches.
    x0, y0 = np.maximum(low - pad, -pad).astype(int).tolist()
    x1, y1 = np.minimum(high + pad + 1, [width + pad, height + pad]).astype(int).tolist()
    columns, rows = (np.floor(points).astype(np.intp) - [x0, y0]).T
    here = np.flatnonzero((columns >= 0) & (rows >= 0) & (columns < x1 - x0) & (rows < y1 - y0))
    if not len(here):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    columns, rows = columns[here], rows[here]
    free = np.ones((y1 - y0, x1 - x0), np.uint8)
    free[rows, columns] = 0
    distance, label = cv2.distanceTransformWithLabels(
        free, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Labels count the pixels that points lie in.
    point_of = np.zeros(len(here) + 1, np.intp)
    point_of[label[rows, columns]] = here
    # A little more, for distances are from the centres of the pixels that the points lie in.
    near = np.flatnonzero(distance <= widest + 0.7)
    near_rows, near_columns = np.divmod(near, x1 - x0)
    near_rows += y0
    near_columns += x0
    sample = np.take(point_of, np.take(label, near))
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        in_width = (near_columns >= 0) & (near_columns < width)
        inside = np.flatnonzero(in_width & (near_rows >= 0) & (near_rows < height))
        near_rows, near_columns, sample = near_rows[inside], near_columns[inside], sample[inside]
    return near_rows * width + near_columns, sample
