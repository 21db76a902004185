"""Polylines: (k, 2) points x, y in px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["polyline_box", "polyline_inside", "polyline_length", "polyline_resample"]


def polyline_length(points: ArrayLike) -> float:
    """Return the length in px."""
    p = np.asarray(points, float).reshape(-1, 2)
    way = p[1:] - p[:-1]
    return float(np.hypot(way[:, 0], way[:, 1]).sum())


def polyline_resample(points: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return `count` points equally spaced along the line (P1 uses 50)."""
    p = np.asarray(points, float).reshape(-1, 2)
    if len(p) < 2:
        return np.repeat(p[:1], count, axis=0)
    position = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(p, axis=0).T))])
    wanted = np.linspace(0.0, position[-1], count)
    return np.stack([np.interp(wanted, position, p[:, 0]), np.interp(wanted, position, p[:, 1])], 1)


def polyline_box(points: ArrayLike, margin: float = 0.5) -> tuple[float, float, float, float]:
    """Return the box around a line that is `2 * margin` px wide, so that it is never empty."""
    p = np.asarray(points, float).reshape(-1, 2)
    (x0, y0), (x1, y1) = p.min(axis=0) - margin, p.max(axis=0) + margin
    return float(x0), float(y0), float(x1), float(y1)


def polyline_inside(points: ArrayLike, box: ArrayLike) -> NDArray[np.float64]:
    """Return the longest piece of a line that lies in a box, (0, 2) where none does.

    Parameters
    ----------
    points
        (k, 2) x, y in px.
    box
        ``x_min, y_min, x_max, y_max`` in px; its border is part of it.
    """
    p, limits = np.asarray(points, float).reshape(-1, 2), np.asarray(box, float).reshape(2, 2)
    start, way = p[:-1], np.diff(p, axis=0)
    # Where each segment enters and leaves, as parts of its length; Liang and Barsky, 1984.
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = (limits[:, None] - start) / way
    within = ((start >= limits[0]) & (start <= limits[1]))[None]
    along = np.where(within, [[[-np.inf]], [[np.inf]]], [[[np.inf]], [[-np.inf]]])
    crossings = np.where(way == 0, along, np.sort(crossings, axis=0))
    enter = np.maximum(crossings[0].max(axis=1, initial=0), 0)
    leave = np.minimum(crossings[1].min(axis=1, initial=1), 1)
    pieces: list[list[NDArray[np.float64]]] = []
    ended = True
    for k in np.flatnonzero(enter < leave).tolist():
        if ended or enter[k] > 0 or enter[k - 1] >= leave[k - 1]:
            pieces.append([start[k] + enter[k] * way[k]])
        pieces[-1].append(start[k] + leave[k] * way[k])
        ended = bool(leave[k] < 1)
    return max((np.array(piece) for piece in pieces), key=polyline_length, default=np.zeros((0, 2)))
