"""Curvature and direction of curves: (k, 2) points x, y in px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.angles import undirected_deg

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["chord_angle_deg", "curvatures", "curvatures_inside"]


def curvatures(points: ArrayLike) -> NDArray[np.float64]:
    """Return the (k,) signed curvature at each point, 1/px.

    From central differences; the two end points get the value of their neighbours, at which there
    is one. Fewer than three points are straight. Positive curves are to the right of who walks
    along the curve, as y points down.
    """
    p = np.asarray(points, float).reshape(-1, 2)
    if len(p) < 3:
        return np.zeros(len(p))
    first, second = p[1:-1] - p[:-2], p[2:] - p[1:-1]
    # Of the circle through three points: twice the sine of the turn over the chord.
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    a, b = np.hypot(*first.T), np.hypot(*second.T)
    c = np.hypot(*(p[2:] - p[:-2]).T)
    product = a * b * c
    inner = np.divide(2 * cross, product, out=np.zeros_like(cross), where=product > 0)
    return np.concatenate([inner[:1], inner, inner[-1:]])


def curvatures_inside(points: ArrayLike, end_px: float) -> NDArray[np.float64]:
    """Return the (n,) signed curvature at the points that are not near the ends, 1/px.

    What smooths an open curve straightens its ends, as nothing beyond them holds it. A closed curve
    has no ends, and all its points count.

    Parameters
    ----------
    points
        (k, 2) in the order of the curve.
    end_px
        How near is near; at most a third of the length, so that the middle third is left.
    """
    p = np.asarray(points, float).reshape(-1, 2)
    bends = curvatures(p)
    if len(p) < 3 or (p[0] == p[-1]).all():
        return bends
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(p, axis=0).T))])
    end = min(end_px, along[-1] / 3)
    inside = (along >= end) & (along <= along[-1] - end)
    # Few points that lie far apart may all lie in the outer thirds.
    return bends[inside] if inside.any() else bends


def chord_angle_deg(points: ArrayLike) -> float:
    """Return the direction of the way from the first to the last point, in [0, 180) degrees.

    Counter-clockwise as seen, from +x; a closed curve has none (NaN).
    """
    p = np.asarray(points, float).reshape(-1, 2)
    dx, dy = p[-1] - p[0] if len(p) else (0.0, 0.0)
    if dx == 0 and dy == 0:
        return float("nan")
    return float(undirected_deg(np.degrees(np.arctan2(-dy, dx))))
