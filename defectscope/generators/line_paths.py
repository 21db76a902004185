"""Dislocation lines as cubic splines: dense points along them, and their part in the frame."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pieces_inside", "spline_paths", "unit_tangents"]

# The spline is measured at this distance; its chords are then short against every bend.
DENSE_STEP_PX = 1.0
DENSE_COUNTS = 64


def spline_paths(support: NDArray[np.float64], step_px: float = 1.0) -> list[NDArray[np.float64]]:
    """Return equally spaced points on the natural cubic splines through support points.

    Parameters
    ----------
    support
        (n, m, 2) support points x, y of n lines, px; the parameter of the spline runs from 0
        at the first to 1 at the last in equal steps.
    step_px
        Largest distance of neighbouring points along the line.

    Returns
    -------
    n arrays (k, 2); the first and last points are the first and last support points.
    """
    if not len(support):
        return []
    longest = np.hypot(*np.moveaxis(np.diff(support, axis=1), -1, 0)).sum(axis=1).max()
    # In steps, so that few sets of weights serve all lengths.
    count = DENSE_COUNTS * int(np.ceil(1.3 * longest / DENSE_STEP_PX / DENSE_COUNTS + 0.1))
    weights = _spline_weights(support.shape[1], count)
    # A sum in a fixed order, where matrix products depend on the processor.
    dense = np.zeros((2, len(support), count))
    for k in range(support.shape[1]):
        dense += support[:, k].T[..., None] * weights[:, k]
    arcs = np.zeros((len(support), count))
    np.cumsum(np.hypot(*np.diff(dense)), axis=1, out=arcs[:, 1:])
    paths = []
    for x, y, arc in zip(*dense, arcs, strict=True):
        steps = max(int(np.ceil(arc[-1] / step_px)), 1)
        wanted = np.arange(steps + 1) * (arc[-1] / steps)
        wanted[-1] = arc[-1]
        path = np.empty((len(wanted), 2))
        path[:, 0], path[:, 1] = np.interp(wanted, arc, x), np.interp(wanted, arc, y)
        paths.append(path)
    return paths


@lru_cache(maxsize=256)
def _spline_weights(support_points: int, count: int) -> NDArray[np.float64]:
    """Return (count, support_points): a spline is linear in its support points.

    These are the natural splines of ``scipy.interpolate.CubicSpline``, written out because
    importing it takes longer than drawing twenty images, in every worker process.
    """
    last = support_points - 1
    levels = np.eye(support_points)
    # Second derivatives times h² / 6 at the knots, zero at both ends: rows of 1, 4, 1, solved from
    # the first to the last and back.
    bends = np.zeros_like(levels)
    bends[1:last] = levels[:-2] - 2 * levels[1:last] + levels[2:]
    pivots = np.full(support_points, 4.0)
    for k in range(2, last):
        pivots[k] -= 1 / pivots[k - 1]
        bends[k] -= bends[k - 1] / pivots[k - 1]
    for k in range(last - 1, 0, -1):
        bends[k] = (bends[k] - bends[k + 1]) / pivots[k]
    place = np.linspace(0, last, count)
    before = np.minimum(place.astype(np.intp), last - 1)
    t = (place - before)[:, None]
    u = 1 - t
    weights = u * levels[before] + t * levels[before + 1]
    weights += (u * u * u - u) * bends[before] + (t * t * t - t) * bends[before + 1]
    return np.asarray(weights, np.float64)


def unit_tangents(points: NDArray[np.float64], first: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the (k, 2) unit tangents at the points of paths that follow each other.

    Parameters
    ----------
    points
        (k, 2) x, y.
    first
        (n + 1,) where the points of each path begin, and where the last ones end.
    """
    tangents = np.empty_like(points)
    tangents[1:-1] = points[2:] - points[:-2]
    begin, end = first[:-1], first[1:] - 1
    tangents[begin] = points[begin + 1] - points[begin]
    tangents[end] = points[end] - points[end - 1]
    lengths = np.hypot(tangents[:, 0], tangents[:, 1])
    return np.asarray(tangents / np.maximum(lengths, 1e-12)[:, None])


def pieces_inside(
    path: NDArray[np.float64], shape: tuple[int, int]
) -> list[tuple[float, float, NDArray[np.float64]]]:
    """Cut a path at the rim of a frame of `shape` (height, width).

    Returns
    -------
    For each piece inside: where it starts and stops, counted in points of the path (not whole
    numbers where the rim cuts it), and its (k, 2) points with those on the rim.
    """
    limits = np.array([shape[1], shape[0]], float)
    within = (path >= 0) & (path <= limits)
    if within.all():
        return [(0.0, float(len(path) - 1), path)]
    inside = within.all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    pieces = []
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        points, start, end = [path[first:stop]], float(first), float(stop - 1)
        if first:
            part = _share_inside(path[first], path[first - 1], limits)
            start -= part
            points.insert(0, (path[first] + part * (path[first - 1] - path[first]))[None])
        if stop < len(path):
            part = _share_inside(path[stop - 1], path[stop], limits)
            end += part
            points.append((path[stop - 1] + part * (path[stop] - path[stop - 1]))[None])
        pieces.append((start, end, np.clip(np.concatenate(points), 0, limits)))
    return pieces


def _share_inside(
    inner: NDArray[np.float64], outer: NDArray[np.float64], limits: NDArray[np.float64]
) -> float:
    """Return which part of the way from a point inside to one outside is inside."""
    share = 1.0
    for axis in (0, 1):
        step = float(outer[axis] - inner[axis])
        rim = 0.0 if outer[axis] < 0 else float(limits[axis])
        if outer[axis] < 0 or outer[axis] > limits[axis]:
            share = min(share, (rim - float(inner[axis])) / step)
    return share
