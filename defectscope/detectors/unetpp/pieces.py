"""From the masks of one tile to pieces of lines: the branches of their skeletons."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.skeletons import longest_path
from defectscope.core.geometry.smoothing import smoothed_curve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from defectscope.core.masks import Mask

__all__ = ["Piece", "pieces_of"]

STRUCTURE = np.ones((3, 3), int)
# Shorter branches are thorns of the skeleton.
LEAST_PX = 12.0
# A branch begins outside of what is this near to a longer one.
APART_PX = 3
# Bends that are shorter than this are the steps of pixels.
SMOOTHING_PX = 7.0
# A course that turns by more than this between so many points before and after follows two lines.
MOST_TURN_DEG, TURN_POINTS = 100.0, 12


class Piece(NamedTuple):
    """What one output of one tile shows of a line.

    Parameters
    ----------
    points
        (k, 2) x, y, about 1 px apart.
    score
        Mean probability of the mask.
    width_px
        Of the mask there.
    source
        Number of the mask that it comes from.
    cut
        Whether its first and its last end lie where the tile ends, and the frame does not.
    """

    points: NDArray[np.float64]
    score: float
    width_px: float
    source: int
    cut: tuple[bool, bool] = (False, False)


def pieces_of(mask: Mask, score: float, source: int, least_area_px: int) -> list[Piece]:
    """Return the pieces of lines that a mask shows, the longest of each part first.

    A mask may show a line with a gap in it, or another line beside the one that its output is for:
    what belongs together is found where the pieces of all masks are seen together.

    Parameters
    ----------
    mask
        In px of the frame.
    score, source
        Of the mask.
    least_area_px
        Smaller parts are dropped.
    """
    from scipy import ndimage
    from skimage.morphology import skeletonize

    # A rim of nothing: a mask that touches the edges of its crop must not be cut there.
    labels, _ = ndimage.label(np.pad(mask.bitmap, 1), STRUCTURE)
    found = []
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        part = np.pad(labels[window] == number, 1)
        if np.count_nonzero(part) < least_area_px:
            continue
        corner = np.array([mask.x + window[1].start, mask.y + window[0].start]) - 1.5
        skeleton = np.asarray(skeletonize(part, method="lee"), bool)
        width_px = float(part.sum()) / max(1.0, float(skeleton.sum()))
        for path in _branches(skeleton):
            points = path[:, ::-1] + corner
            count = max(2, round(polyline_length(points)) + 1)
            course = smoothed_curve(points, SMOOTHING_PX, count=count)
            found += [Piece(part, score, width_px, source) for part in _unfolded(course)]
    return found


def _unfolded(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return a course in parts that do not turn back: there it goes over to another line."""
    if len(points) < 2 * TURN_POINTS + 2:
        return [points]
    before = points[TURN_POINTS:-TURN_POINTS] - points[: -2 * TURN_POINTS]
    after = points[2 * TURN_POINTS :] - points[TURN_POINTS:-TURN_POINTS]
    lengths = np.hypot(*before.T) * np.hypot(*after.T)
    cosines = (before * after).sum(axis=1) / np.maximum(lengths, 1e-9)
    sharpest = int(cosines.argmin())
    if cosines[sharpest] > np.cos(np.radians(MOST_TURN_DEG)):
        return [points]
    fold = sharpest + TURN_POINTS
    parts = [part for part in (points[: fold + 1], points[fold:]) if len(part) > LEAST_PX]
    return [whole for part in parts for whole in _unfolded(part)]


def _branches(skeleton: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Yield the longest way through a skeleton, then those through what is left."""
    from scipy import ndimage

    while True:
        path = longest_path(skeleton)
        if len(path) < 2 or polyline_length(path) < LEAST_PX:
            return
        yield path
        gone = np.zeros_like(skeleton)
        gone[path[:, 0], path[:, 1]] = True
        skeleton = skeleton & ~ndimage.binary_dilation(gone, STRUCTURE, iterations=APART_PX)
        labels, count = ndimage.label(skeleton, STRUCTURE)
        if not count:
            return
        skeleton = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
