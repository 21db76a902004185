"""Smoothing splines along noisy points: (k, 2) points x, y in px."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["smoothed_curve"]

# Points nearer than this are one: the spline's parameter must grow.
SAME_PX = 1e-3
# What is farther away than this changes nothing that one would see.
REACH_WAVELENGTHS = 2


def smoothed_curve(
    points: ArrayLike,
    wavelength_px: float,
    weights: ArrayLike | None = None,
    step_px: float = 1.0,
    count: int | None = None,
) -> NDArray[np.float64]:
    """Return equally spaced points on a cubic smoothing spline.

    It minimises the weighted squares of the distances plus a penalty on the second derivative, so
    chosen that bends of `wavelength_px` are halved. A curve that ends where it begins stays closed.

    Parameters
    ----------
    points
        (k, 2) in the order of the line.
    wavelength_px
        Shorter bends are taken for noise; 0 keeps every point.
    weights
        (k,) of the points.
    step_px
        Distance of neighbouring points of the result at most.
    count
        Number of points instead (P1 uses 50).

    Returns
    -------
    (n, 2) float64

    Notes
    -----
    The spline is found on the points themselves as the Whittaker smoother (Eilers, Analytical
    Chemistry 75, 2003) with divided differences, which is the smoothing spline of Reinsch (1967)
    up to the course between two points.
    """
    p = np.asarray(points, float).reshape(-1, 2)
    chords = np.hypot(*np.diff(p, axis=0).T)
    keep = np.concatenate([[True], chords > SAME_PX])[: len(p)]
    p = p[keep]
    w = np.ones(len(p)) if weights is None else np.asarray(weights, float)[keep]
    is_closed = len(p) >= 4 and bool((p[0] == p[-1]).all())
    if len(p) >= 4 and wavelength_px > 0:
        smoothed = _smoothed_round if is_closed else _smoothed
        p = smoothed(p, w / w.mean(), wavelength_px)
    length = polyline_length(p)
    number = count if count is not None else max(2, int(np.ceil(length / step_px)) + 1)
    if len(p) < 2 or length <= 0:
        return np.repeat(p[:1], number, axis=0)
    curve = _between(p, number)
    if is_closed:
        curve[-1] = curve[0]
    return curve


def _smoothed_round(
    p: NDArray[np.float64], w: NDArray[np.float64], wavelength_px: float
) -> NDArray[np.float64]:
    """Smooth a closed curve, with what follows its end and precedes its begin as one course."""
    round_px = polyline_length(p)
    count = len(p) - 1
    # Farther than this the ends of what is smoothed are not felt.
    more = math.ceil(REACH_WAVELENGTHS * wavelength_px / round_px * count)
    places = np.arange(-more, count + more) % count
    found = _smoothed(p[places], w[places], wavelength_px)[more : more + count]
    return np.concatenate([found, found[:1]])


def _smoothed(
    p: NDArray[np.float64], w: NDArray[np.float64], wavelength_px: float
) -> NDArray[np.float64]:
    from scipy.linalg import solveh_banded

    h = np.maximum(np.hypot(*np.diff(p, axis=0).T), SAME_PX)
    # Second divided differences: rows of a, b, c at three neighbours, as large as f'' * sqrt(step).
    mean = (h[:-1] + h[1:]) / 2
    a, c = 1 / (h[:-1] * mean), 1 / (h[1:] * mean)
    b = -(a + c)
    # Halved where strength * omega^4 = 1, for points about h apart.
    omega = 2 * np.pi / wavelength_px
    strength = 1 / (omega**4 * float(np.mean(h)))
    r = strength * mean
    n = len(p)
    bands = np.zeros((3, n))
    bands[2] = w
    bands[2, :-2] += r * a * a
    bands[2, 1:-1] += r * b * b
    bands[2, 2:] += r * c * c
    bands[1, 1:-1] += r * a * b
    bands[1, 2:] += r * b * c
    bands[0, 2:] += r * a * c
    return np.asarray(solveh_banded(bands, w[:, None] * p))


def _between(p: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return equally spaced points on a cubic through all points."""
    if len(p) < 3:
        return polyline_resample(p, number)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(p, axis=0).T))])
    dense = np.linspace(0, arc[-1], max(4 * number, 4 * len(p)))
    return polyline_resample(_natural_spline(arc, p, dense), number)


def _natural_spline(
    x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the cubic spline through (k, d) points that is straight at both ends.

    ``scipy.interpolate.CubicSpline`` gives the same, and spends a millisecond on every line,
    where a frame of a hundred lines has a tenth of a second.
    """
    from scipy.linalg import solveh_banded

    h = np.diff(x)
    slope = np.diff(y, axis=0) / h[:, None]
    bands = np.zeros((2, len(h) - 1))
    bands[0, 1:], bands[1] = h[1:-1], 2 * (h[:-1] + h[1:])
    # Second derivatives at the points; none at the ends.
    bend = np.zeros_like(y)
    wanted = 6 * np.diff(slope, axis=0)
    # LAPACK's solver of such bands knows no single equation.
    bend[1:-1] = solveh_banded(bands, wanted) if len(h) > 2 else wanted / bands[1]
    k = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(h) - 1)
    step, left, right = h[k][:, None], (at - x[k])[:, None], (x[k + 1] - at)[:, None]
    curved = bend[k] * right * (right**2 - step**2) + bend[k + 1] * left * (left**2 - step**2)
    return np.asarray(y[k] + slope[k] * left + curved / (6 * step))
