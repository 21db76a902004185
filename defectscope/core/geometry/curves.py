"""Distances between curves: (k, 2) points x, y in px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["distances_to_curve", "mean_curve_distance"]

# P1 describes each spline by this many points.
POINTS = 50


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
    p = np.asarray(points, float).reshape(-1, 1, 2)
    c = np.asarray(curve, float).reshape(-1, 2)
    start, step = (c[:-1], np.diff(c, axis=0)) if len(c) > 1 else (c, np.zeros((1, 2)))
    length2 = (step**2).sum(axis=1)
    share = ((p - start) * step).sum(axis=2) / np.where(length2 > 0, length2, 1)
    foot = start + np.clip(share, 0, 1)[..., None] * step
    return np.asarray(np.sqrt(((p - foot) ** 2).sum(axis=2).min(axis=1)))


def mean_curve_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Return the mean distance of the shorter of two curves from the longer one, px.

    Measured at 50 equally spaced points (P1). A curve that lies on a part of the other is at
    distance 0: what is missing is a matter of length.
    """
    shorter, longer = sorted((a, b), key=polyline_length)
    return float(distances_to_curve(polyline_resample(shorter, POINTS), longer).mean())
