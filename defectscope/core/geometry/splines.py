"""Cubic splines through support points: (k, 2) points x, y in px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.polylines import polyline_resample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["spline_through"]

# The spline is measured in chords this many times shorter than the points asked for.
OVERSAMPLING = 4
# Support points nearer than this are one: the spline's parameter must grow.
SAME_PX = 1e-6


def spline_through(support: ArrayLike, step_px: float = 1.0) -> NDArray[np.float64]:
    """Return equally spaced points on the natural cubic spline through support points.

    The parameter of the spline is the distance along the chords, so that support points at
    uneven distances, as a hand sets them, make no loops. Two points give a straight line.

    Parameters
    ----------
    support
        (m, 2) support points x, y, in the order of the line.
    step_px
        Largest distance of neighbouring points along the line.

    Returns
    -------
    (k, 2) points; the first and last are the first and last support points.

    Raises
    ------
    ValueError
        The points span no length.
    """
    from scipy.interpolate import CubicSpline

    points = np.asarray(support, float).reshape(-1, 2)
    chords = np.hypot(*np.diff(points, axis=0).T)
    points = points[np.concatenate([[True], chords > SAME_PX])]
    if len(points) < 2:
        raise ValueError("a spline needs support points at two places or more")
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    if len(points) > 2:
        # Of every chord at least a few: the spline bends between two support points.
        count = max(int(np.ceil(OVERSAMPLING * arc[-1] / step_px)), OVERSAMPLING * len(points)) + 1
        wanted = np.unique(np.concatenate([np.linspace(0.0, arc[-1], count), arc]))
        points = np.asarray(CubicSpline(arc, points, bc_type="natural")(wanted))
        arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    return polyline_resample(points, max(int(np.ceil(arc[-1] / step_px)) + 1, 2))
