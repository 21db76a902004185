"""Distances between curves: (k, 2) points x, y in px."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "distance_side_by_side",
    "distances_to_curve",
    "mean_curve_distance",
    "normal_displacement",
    "two_way_distance",
]

# P1 describes each spline by this many points.
POINTS = 50


def _feet(p: NDArray[np.float64], curve: ArrayLike) -> NDArray[np.float64]:
    """Return the (n, 2) place of a polyline that is nearest to each of (n, 2) points."""
    c = np.asarray(curve, float).reshape(-1, 2)
    start, step = (c[:-1], np.diff(c, axis=0)) if len(c) > 1 else (c, np.zeros((1, 2)))
    length2 = (step**2).sum(axis=1)
    share = ((p[:, None] - start) * step).sum(axis=2) / np.where(length2 > 0, length2, 1)
    feet = start + np.clip(share, 0, 1)[..., None] * step
    nearest = ((p[:, None] - feet) ** 2).sum(axis=2).argmin(axis=1)
    return np.asarray(feet[np.arange(len(p)), nearest])


def _ended(feet: NDArray[np.float64], curve: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which feet are an end of their polyline: it has ended beside the points of those."""
    return np.asarray((feet == curve[0]).all(axis=1) | (feet == curve[-1]).all(axis=1))


def distances_to_curve(points: ArrayLike, curve: ArrayLike) -> NDArray[np.float64]:
    """Return how far each point lies from the nearest place of a polyline, px.

    Parameters
    ----------
    points
        (n, 2).
    curve
        (k, 2) vertices; one vertex is a place.

    Returns
    -------
    (n,) float64
    """
    p = np.asarray(points, float).reshape(-1, 2)
    return np.asarray(np.hypot(*(p - _feet(p, curve)).T))


def mean_curve_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Return the mean distance of the shorter of two curves from the longer one, px.

    Measured at 50 equally spaced points (P1). A curve that lies on a part of the other is at
    distance 0: what is missing is a matter of length.
    """
    shorter, longer = sorted((a, b), key=polyline_length)
    return float(distances_to_curve(polyline_resample(shorter, POINTS), longer).mean())


def distance_side_by_side(a: ArrayLike, b: ArrayLike) -> float:
    """Return the mean distance of two curves where the shorter lies beside the longer, px.

    Unlike in :func:`mean_curve_distance`, points past the ends of the longer one do not count. It
    is infinite where most lie there: two pieces of one line, end to end, are not side by side,
    however near they are.
    """
    shorter, longer = sorted((a, b), key=polyline_length)
    curve = np.asarray(longer, float).reshape(-1, 2)
    points = polyline_resample(shorter, POINTS)
    feet = _feet(points, curve)
    ended = _ended(feet, curve)
    if ended.mean() >= 0.5:
        return math.inf
    return float(np.hypot(*(points - feet)[~ended].T).mean())


def two_way_distance(a: ArrayLike, b: ArrayLike, points: int = POINTS) -> float:
    """Return the mean distance of two curves from each other, the mean of both ways, px.

    Unlike :func:`mean_curve_distance`, a part is not at distance 0 from the whole.
    """
    there = distances_to_curve(polyline_resample(a, points), b).mean()
    back = distances_to_curve(polyline_resample(b, points), a).mean()
    return float((there + back) / 2)


def normal_displacement(before: ArrayLike, after: ArrayLike) -> float:
    """Return how far a line moved sideways, px: the mean along its normals.

    Where the later line has ended already, nothing is measured; noise of both signs cancels.
    Positive is to the right of who walks along the earlier line, as y points down.

    Parameters
    ----------
    before, after
        (k, 2) and (m, 2) points of the line at two times; neither may be a single point.
    """
    p = polyline_resample(before, POINTS)
    tangent = np.gradient(p, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    later = np.asarray(after, float).reshape(-1, 2)
    feet = _feet(p, later)
    moved = ((feet - p) * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)).sum(axis=1)
    ended = _ended(feet, later)
    return float(moved.mean() if ended.all() else moved[~ended].mean())
