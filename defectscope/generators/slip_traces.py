"""Slip traces: weak straight lines where glide planes meet the surfaces; they are no defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["paint_trace"]

# A trace loses its contrast over this distance at either end, px.
FADE_PX = 12.0
# Distance over which its contrast varies, and relative standard deviation.
VARIATION_PX = 30.0
VARIATION = 0.35


def paint_trace(
    canvas: NDArray[np.float32],
    ends: NDArray[np.float64],
    grey: float,
    width_px: float,
    rng: np.random.Generator,
) -> None:
    """Paint one straight line in place.

    Parameters
    ----------
    canvas
        (H, W) float32 in [0, 1].
    ends
        (2, 2) ends x, y; they may lie outside the frame.
    grey
        What is added at the middle of the line: negative is dark.
    width_px
        Full width at half maximum of its Gaussian profile.
    """
    length = float(np.hypot(*(ends[1] - ends[0])))
    knots = rng.standard_normal(int(length / VARIATION_PX) + 2)
    if length < 1:
        return
    steep = abs(ends[1, 1] - ends[0, 1]) > abs(ends[1, 0] - ends[0, 0])
    # Stepping along the longer side gives every pixel near the line once.
    picture = canvas.T if steep else canvas
    points = ends[:, ::-1] if steep else ends
    direction = (points[1] - points[0]) / length
    reach = 1.6 * width_px / abs(direction[0]) + 1
    low, high = sorted(points[:, 0].tolist())
    columns = np.arange(max(int(low), 0), min(int(high) + 1, picture.shape[1]))
    centre = points[0, 1] + (columns + 0.5 - points[0, 0]) * direction[1] / direction[0]
    spread = np.arange(-int(reach), int(reach) + 1)
    other = np.floor(centre).astype(np.intp)[:, None] + spread
    inside = np.flatnonzero((other >= 0) & (other < picture.shape[0]))
    other, main = np.take(other, inside), np.take(columns, inside // len(spread))
    dx, dy = main + 0.5 - points[0, 0], other + 0.5 - points[0, 1]
    along = dx * direction[0] + dy * direction[1]
    across = dx * direction[1] - dy * direction[0]
    level = 1 + VARIATION * np.interp(along, np.linspace(0, length, len(knots)), knots)
    faded = np.minimum(along, length - along) / min(FADE_PX, length / 2)
    level *= np.minimum(np.maximum(faded, 0), 1)
    added = grey * level * np.exp2(-((2 * across / width_px) ** 2))
    picture[other, main] = np.minimum(np.maximum(picture[other, main] + added, 0), 1)
