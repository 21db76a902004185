"""The grey around lines, straightened: rows along the line, columns across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ribbon", "known_mean", "smoothed_along", "straightened"]

STEP_PX = 0.25
# A place across the line is averaged where at least this part of the line's points has it.
LEAST_SHARE = 0.2
# Places nearer than this to another line show that one, wherever their own line is.
CLEARANCE_PX = 2.0
# Farther away than this a pixel has no part in a cubic spline, to four digits.
SPLINE_MARGIN_PX = 8


@dataclass(frozen=True)
class Ribbon:
    """The grey around one line.

    Parameters
    ----------
    offsets_px
        (m,) signed distance from the line, px; positive on the right of who walks along the
        line, as y points down.
    grey
        (k, m) grey at every point of the line and offset; NaN outside the image, and where
        another line is nearer.
    """

    offsets_px: NDArray[np.float64]
    grey: NDArray[np.float64]

    def averaged(self) -> NDArray[np.float64]:
        """Return the (m,) mean along the line, NaN where too little of the line is known."""
        enough = np.isfinite(self.grey).mean(axis=0) >= LEAST_SHARE
        return np.where(enough, known_mean(self.grey, axis=0), np.nan)

    def shifted(self, shift_px: NDArray[np.float64]) -> Ribbon:
        """Return the ribbon around a line that lies (k,) `shift_px` further to the right."""
        place = np.arange(len(self.offsets_px)) + shift_px[:, None] / STEP_PX
        low = np.floor(place).astype(np.intp)
        part = place - low
        inside = (low >= 0) & (low + 1 < len(self.offsets_px))
        first = np.clip(low, 0, len(self.offsets_px) - 2)
        rows = np.arange(len(self.grey))[:, None]
        grey = (1 - part) * self.grey[rows, first] + part * self.grey[rows, first + 1]
        return replace(self, grey=np.where(inside, grey, np.nan))

    def within(self, reach_px: float) -> Ribbon:
        """Return the part that lies within a distance of the line."""
        near = np.abs(self.offsets_px) <= reach_px + STEP_PX / 2
        return Ribbon(self.offsets_px[near], self.grey[:, near])


def straightened(
    pixels: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64]],
    position: int,
    reach_px: float,
) -> Ribbon:
    """Sample the grey perpendicular to a line, between pixels by cubic interpolation.

    Parameters
    ----------
    pixels
        (H, W) float32.
    lines
        (k, 2) points x, y of every line of the image, about 1 px apart.
    position
        Which of them to sample; the others are only kept clear of.
    reach_px
        How far to sample on either side.
    """
    line = lines[position]
    count = int(np.ceil(reach_px / STEP_PX))
    offsets = STEP_PX * np.arange(-count, count + 1)
    tangents = np.gradient(line, axis=0)
    tangents /= np.maximum(np.hypot(*tangents.T), 1e-12)[:, None]
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    places = line[:, None, :] + offsets[:, None] * normals[:, None, :]
    grey = _grey_at(pixels, places)
    others = [other for k, other in enumerate(lines) if k != position]
    grey[_near_others(places, np.abs(offsets), others, reach_px)] = np.nan
    return Ribbon(np.asarray(offsets, np.float64), grey)


def _grey_at(pixels: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the grey at places x, y by cubic splines; NaN outside the image."""
    from scipy.ndimage import map_coordinates

    size = np.array(pixels.shape[::-1])
    inside = ((places >= 0) & (places <= size)).all(axis=-1)
    grey = np.full(places.shape[:-1], np.nan)
    if inside.any():
        wanted = places[inside]
        # Splines need no more of the image than what lies around.
        low = np.maximum(np.floor(wanted.min(axis=0)).astype(int) - SPLINE_MARGIN_PX, 0)
        high = np.minimum(np.ceil(wanted.max(axis=0)).astype(int) + SPLINE_MARGIN_PX, size)
        part = pixels[low[1] : high[1], low[0] : high[0]].astype(np.float64)
        # Indices count from the centre of the first pixel.
        rows_columns = (wanted - low - 0.5)[:, ::-1].T
        grey[inside] = map_coordinates(part, rows_columns, order=3, mode="nearest")
    return grey


def _near_others(
    places: NDArray[np.float64],
    distance: NDArray[np.float64],
    others: Sequence[NDArray[np.float64]],
    reach_px: float,
) -> NDArray[np.bool_]:
    """Return which (k, m) places are nearer to another line than to their own."""
    from scipy.spatial import cKDTree

    flat = places.reshape(-1, 2)
    low, high = flat.min(axis=0) - reach_px, flat.max(axis=0) + reach_px
    points = np.concatenate([np.zeros((0, 2)), *others])
    points = points[((points >= low) & (points <= high)).all(axis=1)]
    if not len(points):
        return np.zeros(places.shape[:2], bool)
    found = np.asarray(cKDTree(points).query(flat, distance_upper_bound=reach_px)[0])
    limit = np.maximum(distance, CLEARANCE_PX)
    return np.asarray(found.reshape(places.shape[:2]) < limit)


def known_mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the mean along an axis of what is not NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def smoothed_along(values: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    """Return (k, ...) values smoothed along the first axis by a Gaussian; NaN do not count."""
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(values)
    total, weight = (
        gaussian_filter1d(part, sigma_px, axis=0, mode="nearest")
        for part in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.asarray(np.where(weight > 0.05, total / np.maximum(weight, 1e-9), np.nan))
