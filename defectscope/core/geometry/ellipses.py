"""Ellipses: centre, full axes in px, angle in degrees counter-clockwise as seen from +x."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.geometry.angles import undirected_deg

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "distances_of_edges",
    "ellipse_area",
    "ellipse_boxes",
    "ellipse_from_moments",
    "ellipse_points",
]


def ellipse_area(major: ArrayLike, minor: ArrayLike) -> NDArray[np.float64]:
    """Return the area πab of ellipses with full axes `major` and `minor` (P3)."""
    area: NDArray[np.float64] = np.pi / 4 * np.asarray(major, float) * np.asarray(minor, float)
    return area


def ellipse_boxes(
    x: ArrayLike, y: ArrayLike, major: ArrayLike, minor: ArrayLike, angle_deg: ArrayLike
) -> NDArray[np.float64]:
    """Return the (n, 4) tight boxes of ellipses."""
    angle = np.deg2rad(np.asarray(angle_deg, float))
    a, b = np.asarray(major, float) / 2, np.asarray(minor, float) / 2
    half_x = np.hypot(a * np.cos(angle), b * np.sin(angle))
    half_y = np.hypot(a * np.sin(angle), b * np.cos(angle))
    centre_x, centre_y = np.asarray(x, float), np.asarray(y, float)
    corners = (centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y)
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(c) for c in corners)), axis=-1)


def ellipse_points(
    x: float, y: float, major: float, minor: float, angle_deg: float, count: int = 64
) -> NDArray[np.float64]:
    """Return (count, 2) points x, y on an ellipse, for drawing and for polygons."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    u, v = major / 2 * np.cos(t), minor / 2 * np.sin(t)
    angle = np.deg2rad(angle_deg)
    # y points down, so that counter-clockwise as seen is a negative rotation here.
    return np.stack(
        [x + u * np.cos(angle) + v * np.sin(angle), y - u * np.sin(angle) + v * np.cos(angle)],
        axis=1,
    )


def distances_of_edges(
    points: NDArray[Any], ellipses: Sequence[tuple[float, ...]], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how far points lie outside ellipses of their own (negative: inside), in px.

    Measured along the line to the centre: exact on a circle, and near an ellipse at most
    major/minor times the shortest distance.

    Parameters
    ----------
    points
        (k, 2) points x, y of several edges, one after the other.
    ellipses
        n of x, y, major, minor, angle_deg.
    counts
        (n,) number of points of each.
    """
    table = [
        (x, y, 2 / major, 2 / minor, math.cos(turn), math.sin(turn), -minor / 2)
        for x, y, major, minor, angle_deg in ellipses
        for turn in (math.radians(angle_deg),)
    ]
    x, y, per_major, per_minor, cos, sin, centre = np.repeat(np.array(table).T, counts, axis=1)
    dx, dy = points[:, 0] - x, points[:, 1] - y
    radius = np.hypot((cos * dx - sin * dy) * per_major, (sin * dx + cos * dy) * per_minor)
    # At the centre itself, where this is not defined, the nearest edge is half a minor axis away.
    distances: NDArray[np.float64] = centre.copy()
    np.divide(np.hypot(dx, dy) * (radius - 1), radius, out=distances, where=radius > 0)
    return distances


def ellipse_from_moments(
    weights: NDArray[np.float64],
) -> tuple[float, float, float, float, float]:
    """Return x, y, major, minor, angle_deg of the ellipse with the second moments of an image.

    Parameters
    ----------
    weights
        (h, w) non-negative weights with a positive sum; a bool mask gives the ellipse of the
        same second moments, which for a filled ellipse is that ellipse.

    Notes
    -----
    A pixel is a square, not a point: each adds 1/12 px² to both variances, as in
    scikit-image's ``regionprops``.
    """
    total = weights.sum()
    rows, columns = np.arange(weights.shape[0]) + 0.5, np.arange(weights.shape[1]) + 0.5
    by_row, by_column = weights.sum(axis=1), weights.sum(axis=0)
    y, x = by_row @ rows / total, by_column @ columns / total
    var_y = by_row @ (rows - y) ** 2 / total + 1 / 12
    var_x = by_column @ (columns - x) ** 2 / total + 1 / 12
    cov = (rows - y) @ weights @ (columns - x) / total
    mean, half = (var_x + var_y) / 2, np.hypot((var_x - var_y) / 2, cov)
    angle = undirected_deg(0.5 * np.degrees(np.arctan2(-2 * cov, var_x - var_y)))
    major, minor = 4 * np.sqrt(mean + half), 4 * np.sqrt(max(mean - half, 0.0))
    return float(x), float(y), float(major), float(minor), float(angle)
