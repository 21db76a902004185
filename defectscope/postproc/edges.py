"""Edges of segmented defects at sub-pixel positions, of all the defects of a frame at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.postproc.stacking import Stacking

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Edges", "Labelled", "edge_points"]


class Labelled(NamedTuple):
    """The pixels of a defect, and what they show.

    Parameters
    ----------
    signal
        (h, w) values that are above `threshold` inside.
    label
        (h, w) bool.
    threshold
        Value at the edge.
    box
        x_min, y_min, x_max, y_max of the label in (h, w), half open.
    """

    signal: NDArray[np.float32]
    label: NDArray[np.bool_]
    threshold: float
    box: tuple[int, int, int, int]


class Edges(NamedTuple):
    """Points on the edges of several labels, one label after the other.

    Parameters
    ----------
    points
        (k, 2) float32 x, y in px of each label's own array; pixel (0, 0) has its centre at
        (0.5, 0.5). Interpolated between the two values, which gives the same points as marching
        squares.
    seen
        (k,) bool: whether the signal itself crosses the threshold there. Where it does not, the
        label ends for another reason (a neighbour, a cut-off tail, a closed gap), and the point
        is midway.
    counts
        (n,) number of points of each label.
    """

    points: NDArray[np.float32]
    seen: NDArray[np.bool_]
    counts: NDArray[np.int64]


def edge_points(labelled: Sequence[Labelled]) -> Edges:
    """Return where the edges of labels cross the lines between neighbouring pixel centres."""
    places = [_with_rim(one) for one in labelled]
    corners = np.array([(x0, y0) for x0, y0, _, _ in places], np.intp).reshape(-1, 2)
    ends = np.array([(x1, y1) for _, _, x1, y1 in places], np.intp).reshape(-1, 2)
    stacking = Stacking(*(ends - corners).T[::-1])
    signal, inside = np.zeros(stacking.shape, np.float32), np.zeros(stacking.shape, bool)
    for one, (x0, y0, x1, y1), place in zip(labelled, places, stacking.places, strict=True):
        signal[place] = one.signal[y0:y1, x0:x1]
        inside[place] = one.label[y0:y1, x0:x1]
    y, x, to_right = _crossings(inside, stacking)
    owner = stacking.owners[y]
    thresholds = np.array([one.threshold for one in labelled], np.float32)[owner]
    a = signal[y, x] - thresholds
    b = signal[y + ~to_right, x + to_right] - thresholds
    above = a > 0
    seen = (above == inside[y, x]) & (above != (b > 0))
    step = np.where(seen, a / np.where(seen, a - b, 1), np.float32(0.5))
    pixels = np.stack([x, y - stacking.tops[owner]], axis=1) + corners[owner]
    points = pixels.astype(np.float32) + np.float32(0.5)
    points[to_right, 0] += step[to_right]
    points[~to_right, 1] += step[~to_right]
    order = np.argsort(owner, kind="stable")
    return Edges(points[order], seen[order], np.bincount(owner, minlength=len(places)))


def _crossings(
    inside: NDArray[np.bool_], stacking: Stacking
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return y, x of pixels whose neighbour is on the other side, and whether it is the right one.

    The other neighbours are those below.
    """
    widths, owners = stacking.widths, stacking.owners
    right_y, right_x = np.nonzero(inside[:, 1:] != inside[:, :-1])
    real = right_x + 1 < widths[owners[right_y]]
    right_y, right_x = right_y[real], right_x[real]
    below_y, below_x = np.nonzero(inside[1:] != inside[:-1])
    real = owners[below_y] == owners[below_y + 1]
    below_y, below_x = below_y[real], below_x[real]
    y, x = np.concatenate([right_y, below_y]), np.concatenate([right_x, below_x])
    return y, x, np.arange(len(y)) < len(right_y)


def _with_rim(one: Labelled) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = one.box
    height, width = one.label.shape
    return max(0, x0 - 1), max(0, y0 - 1), min(width, x1 + 1), min(height, y1 + 1)
