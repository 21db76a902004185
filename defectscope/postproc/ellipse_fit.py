"""Ellipses of segmented defects, to a fraction of a pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np

from defectscope.core.geometry.ellipses import ellipse_distances, ellipse_from_moments
from defectscope.postproc.grey_levels import quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ellipse", "Fit", "edge_points", "fit_to_edge", "fit_to_moments"]

Fit = Literal["edge", "moments"]

# cv2.fitEllipseDirect needs five points; one more makes it a fit.
FEWEST_POINTS = 6
# Edge points further off than this many standard deviations (from the median) are dropped, but
# never those within half a pixel.
OUTLIER_SIGMA = 2.5
SMALLEST_TOLERANCE_PX = 0.5
MAD_TO_SIGMA = 1.4826
MOST_REFITS = 3
# An ellipse through part of the edge must not invent more area than this beyond the mask.
MOST_EXTRAPOLATION = 1.25


class Ellipse(NamedTuple):
    """Centre, full axes (px) and angle (degrees, counter-clockwise as seen from +x, [0, 180))."""

    x: float
    y: float
    major: float
    minor: float
    angle_deg: float


def edge_points(
    signal: NDArray[np.float32], label: NDArray[np.bool_], threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return where the edge of a label crosses the lines between neighbouring pixel centres.

    Parameters
    ----------
    signal
        (h, w) values that are above `threshold` inside.
    label
        (h, w) bool.
    threshold
        Value at the edge.

    Returns
    -------
    points : (k, 2) array
        x, y in px; pixel (0, 0) has its centre at (0.5, 0.5). Interpolated between the two
        values, which gives the same points as marching squares.
    seen : (k,) bool array
        Whether the signal itself crosses the threshold there. Where it does not, the label ends
        for another reason (a neighbour, a cut-off tail, a closed gap), and the point is midway.
    """
    width = label.shape[1]
    inside = label.ravel()
    to_right = (inside[:-1] != inside[1:]).nonzero()[0]
    to_right = to_right[to_right % width != width - 1]
    below = (inside[:-width] != inside[width:]).nonzero()[0]
    first = np.concatenate([to_right, below])
    second = np.concatenate([to_right + 1, below + width])
    height = signal.ravel()
    a, b = height.take(first) - np.float32(threshold), height.take(second) - np.float32(threshold)
    above = a > 0
    seen = (above == inside.take(first)) & (above != (b > 0))
    step = np.where(seen, a / np.where(seen, a - b, 1), np.float32(0.5))
    rows, columns = np.divmod(first, width)
    points = np.empty((len(first), 2), np.float32)
    points[:, 0], points[:, 1] = columns, rows
    points += np.float32(0.5)
    points[: len(to_right), 0] += step[: len(to_right)]
    points[len(to_right) :, 1] += step[len(to_right) :]
    return points, seen


def fit_to_edge(
    signal: NDArray[np.float32], label: NDArray[np.bool_], threshold: float, cut_by_rim: bool
) -> Ellipse | None:
    """Fit an ellipse to the edge that is seen, and leave out what does not lie on it.

    The direct least-squares fit (Fitzgibbon, Pilu and Fisher 1999, as ``cv2.fitEllipseDirect``)
    always gives an ellipse. It is repeated without the points that are off, so that a tail of
    the texture, or a neighbour, pulls it nowhere.

    Parameters
    ----------
    signal, label, threshold
        As :func:`edge_points` takes them.
    cut_by_rim
        Whether the ellipse may reach out of the label, because the frame ends there.

    Returns
    -------
    Ellipse or None
        None where there are too few points.
    """
    points, seen = edge_points(signal, label, threshold)
    count = np.count_nonzero(seen)
    if count == len(seen) or count <= len(seen) / 2:
        return _robust_fit(points)
    ellipse = _robust_fit(points[seen])
    if ellipse is None or cut_by_rim:
        return ellipse
    largest = MOST_EXTRAPOLATION * np.count_nonzero(label)
    within = math.pi / 4 * ellipse.major * ellipse.minor <= largest
    return ellipse if within else _robust_fit(points)


def fit_to_moments(label: NDArray[np.bool_]) -> Ellipse | None:
    """Return the ellipse with the same second moments as the label."""
    if not label.any():
        return None
    return Ellipse(*ellipse_from_moments(label.astype(np.float64)))


def _robust_fit(points: NDArray[np.float32]) -> Ellipse | None:
    """Fit, and fit again without the points that lie off the edge, until all that are left fit."""
    if len(points) < FEWEST_POINTS:
        return None
    ellipse, count = _direct_fit(points), len(points)
    for _ in range(MOST_REFITS):
        if ellipse is None:
            break
        distance = np.abs(ellipse_distances(points, *ellipse))
        spread = MAD_TO_SIGMA * quantile(distance, 0.5)
        near = points[distance < max(OUTLIER_SIGMA * spread, SMALLEST_TOLERANCE_PX)]
        if len(near) == count or len(near) < FEWEST_POINTS:
            break
        ellipse, count = _direct_fit(near), len(near)
    return ellipse


def _direct_fit(points: NDArray[np.float32]) -> Ellipse | None:
    (x, y), (first, second), turn = cv2.fitEllipseDirect(points)
    # OpenCV turns clockwise as seen, from +x to the first axis.
    if first >= second:
        ellipse = Ellipse(x, y, first, second, -turn % 180.0)
    else:
        ellipse = Ellipse(x, y, second, first, (-turn - 90.0) % 180.0)
    return ellipse if all(map(math.isfinite, ellipse)) and ellipse.minor > 0 else None
