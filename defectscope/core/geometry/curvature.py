"""Curvature and direction of curves: (k, 2) points x, y in px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.angles import undirected_deg

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["chord_angle_deg", "curvatures"]


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


def chord_angle_deg(points: ArrayLike) -> float:
    """Return the direction of the way from the first to the last point, in [0, 180) degrees.

    Counter-clockwise as seen, from +x; a closed curve has none (NaN).
    """
    p = np.asarray(points, float).reshape(-1, 2)
    dx, dy = p[-1] - p[0] if len(p) else (0.0, 0.0)
    if dx == 0 and dy == 0:
        return float("nan")
    return float(undirected_deg(np.degrees(np.arctan2(-dy, dx))))
