"""Polylines: (k, 2) points x, y in px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["polyline_box", "polyline_length", "polyline_resample"]


def polyline_length(points: ArrayLike) -> float:
    """Return the length in px."""
    p = np.asarray(points, float).reshape(-1, 2)
    return float(np.hypot(*np.diff(p, axis=0).T).sum()) if len(p) > 1 else 0.0


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
