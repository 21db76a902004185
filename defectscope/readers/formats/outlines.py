"""Masks as polygons, and polygons as masks, without loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from defectscope.core.errors import FormatError
from defectscope.core.masks import Mask, mask_from_polygon

__all__ = ["crossed_polygons", "mask_polygons", "polygon_box", "united"]

Points = NDArray[np.float64]
# Filling takes 16 bytes a pixel; no defect is larger than a whole frame of 4096 x 8192 px.
LARGEST_MASK_PX = 2**25


def mask_polygons(mask: Mask) -> tuple[list[Points], list[Points]]:
    """Return the outer polygons and the holes of a mask, the largest first.

    They pass half-way between the centres of pixels inside and outside, so that filling them
    gives the mask back, and their box is that of the mask. Pixels that touch at a corner only
    belong to different polygons.
    """
    from skimage.measure import find_contours

    padded = np.pad(mask.bitmap.astype(float), 1)
    outer: list[tuple[float, Points]] = []
    holes: list[tuple[float, Points]] = []
    for contour in find_contours(padded, 0.5):
        # Rows and columns of pixel centres in the padded bitmap become x and y in the frame.
        points = contour[:-1, ::-1] + np.array([mask.x - 0.5, mask.y - 0.5])
        area = signed_area(points)
        (outer if area > 0 else holes).append((abs(area), without_straight_vertices(points)))
    return _by_size(outer), _by_size(holes)


def _by_size(sized: list[tuple[float, Points]]) -> list[Points]:
    return [points for _, points in sorted(sized, key=lambda item: -item[0])]


def signed_area(points: Points) -> float:
    """Return the area of a polygon, with the sign of its sense of rotation."""
    x, y = points.T
    return float((x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def without_straight_vertices(points: Points) -> Points:
    """Return a closed polygon without the vertices at which it goes straight on."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    bends: Points = points[turns != 0]
    return bends


def polygon_box(polygons: Iterable[Points]) -> tuple[float, float, float, float]:
    """Return the box of all vertices: x_min, y_min, x_max, y_max."""
    points = np.concatenate(list(polygons))
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def united(polygons: Sequence[Points], shape: tuple[int, int], where: str = "") -> Mask:
    """Return the mask of everything inside any of the polygons.

    Raises
    ------
    FormatError
        It is larger than any defect; `where` names the place in the message.
    """
    return _combined([_filled(points, shape, where) for points in polygons], np.logical_or)


def crossed_polygons(polygons: Sequence[Points], shape: tuple[int, int], where: str = "") -> Mask:
    """Return the mask of what lies inside an odd number of polygons: inner ones are holes.

    Raises
    ------
    FormatError
        It is larger than any defect; `where` names the place in the message.
    """
    return _combined([_filled(points, shape, where) for points in polygons], np.logical_xor)


def _filled(points: Points, shape: tuple[int, int], where: str) -> Mask:
    low, high = np.clip([points.min(axis=0), points.max(axis=0)], 0, shape[::-1])
    if np.prod(high - low) > LARGEST_MASK_PX:
        width, height = high - low
        raise FormatError(
            f"{where}{': ' if where else ''}a polygon covers {width:.0f} x {height:.0f} px; masks "
            f"of more than {LARGEST_MASK_PX} pixels cannot be read"
        )
    return mask_from_polygon(points, shape)


def _combined(parts: Sequence[Mask], join: np.ufunc) -> Mask:
    if len(parts) == 1:
        return parts[0]
    filled = [part for part in parts if part.area_px]
    if not filled:
        return Mask(0, 0, np.zeros((0, 0), bool))
    corners = np.array([part.box for part in filled])
    (x0, y0), (x1, y1) = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    bitmap = np.zeros((y1 - y0, x1 - x0), bool)
    for part in filled:
        left, top, right, bottom = part.box
        window = bitmap[top - y0 : bottom - y0, left - x0 : right - x0]
        join(window, part.bitmap, out=window)
    return Mask(int(x0), int(y0), bitmap).trimmed()
