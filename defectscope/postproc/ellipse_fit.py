"""Ellipses of segmented defects, to a fraction of a pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np

from defectscope.core.geometry.angles import undirected_deg
from defectscope.core.geometry.ellipses import distances_of_edges, ellipse_from_moments
from defectscope.postproc.edges import Labelled, edge_points
from defectscope.postproc.grey_levels import quantile
from defectscope.postproc.stacking import Stacking

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ellipse", "Fit", "fit_to_edges", "fit_to_moments"]

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


def fit_to_edges(labelled: Sequence[Labelled], cut_by_rim: Sequence[bool]) -> list[Ellipse | None]:
    """Fit an ellipse to the edge that is seen of each defect; leave out what does not lie on it.

    The direct least-squares fit (Fitzgibbon, Pilu and Fisher 1999, as ``cv2.fitEllipseDirect``)
    always gives an ellipse. It is repeated without the points that are off, so that a tail of
    the texture, or a neighbour, pulls it nowhere.

    Parameters
    ----------
    labelled
        The defects.
    cut_by_rim
        Of each, whether its ellipse may reach out of the label, because the frame ends there.

    Returns
    -------
    list of Ellipse or None
        In px of each label's own array; None where there are too few points.
    """
    points, seen, counts = edge_points(labelled)
    owners = np.repeat(np.arange(len(counts)), counts)
    visible = np.bincount(owners[seen], minlength=len(counts))
    partly = (visible < counts) & (visible > counts / 2)
    ellipses = _robust_fits(points[seen | ~partly[owners]], np.where(partly, visible, counts))
    beyond = [
        k
        for k in partly.nonzero()[0].tolist()
        if not cut_by_rim[k] and _reaches_beyond(ellipses[k], labelled[k].label)
    ]
    for k, ellipse in zip(
        beyond, _robust_fits(points[np.isin(owners, beyond)], counts[beyond]), strict=True
    ):
        ellipses[k] = ellipse
    return ellipses


def _reaches_beyond(ellipse: Ellipse | None, label: NDArray[np.bool_]) -> bool:
    if ellipse is None:
        return False
    largest = MOST_EXTRAPOLATION * np.count_nonzero(label)
    return not math.pi / 4 * ellipse.major * ellipse.minor <= largest


def fit_to_moments(label: NDArray[np.bool_]) -> Ellipse | None:
    """Return the ellipse with the same second moments as the label."""
    if not label.any():
        return None
    return Ellipse(*ellipse_from_moments(label.astype(np.float64)))


def _robust_fits(points: NDArray[np.float32], counts: NDArray[np.int64]) -> list[Ellipse | None]:
    """Fit, and fit again without the points that lie off the edge, until all that are left fit.

    Parameters
    ----------
    points
        (k, 2) points of several edges, one after the other.
    counts
        (n,) number of points of each.
    """
    ellipses = [
        _direct_fit(own) if len(own) >= FEWEST_POINTS else None
        for own in Stacking.split(points, counts)
    ]
    used = counts.tolist()
    active = np.array([ellipse is not None for ellipse in ellipses], bool)
    owners = np.repeat(np.arange(len(counts)), counts)
    for _ in range(MOST_REFITS):
        fitted = [e for e, on in zip(ellipses, active.tolist(), strict=True) if on and e]
        if not fitted:
            break
        # All at once: a call of numpy costs more than the points of one edge.
        own, of_each = points[active[owners]], counts[active]
        distances = np.abs(distances_of_edges(own, fitted, of_each))
        spreads = [
            MAD_TO_SIGMA * quantile(part, 0.5) for part in Stacking.split(distances, of_each)
        ]
        limits = [max(OUTLIER_SIGMA * spread, SMALLEST_TOLERANCE_PX) for spread in spreads]
        near = distances < np.repeat(limits, of_each)
        left = np.add.reduceat(near, np.cumsum(of_each) - of_each, dtype=np.int64)
        for k, part in zip(
            active.nonzero()[0].tolist(), Stacking.split(own[near], left), strict=True
        ):
            if len(part) == used[k] or len(part) < FEWEST_POINTS:
                active[k] = False
            else:
                ellipses[k], used[k] = _direct_fit(part), len(part)
                active[k] = ellipses[k] is not None
    return ellipses


def _direct_fit(points: NDArray[np.float32]) -> Ellipse | None:
    (x, y), (first, second), turn = cv2.fitEllipseDirect(points)
    # OpenCV turns clockwise as seen, from +x to the first axis.
    if first >= second:
        ellipse = Ellipse(x, y, first, second, float(undirected_deg(-turn)))
    else:
        ellipse = Ellipse(x, y, second, first, float(undirected_deg(-turn - 90.0)))
    return ellipse if all(map(math.isfinite, ellipse)) and ellipse.minor > 0 else None
