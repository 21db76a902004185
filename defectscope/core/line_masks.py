"""Masks of lines: drawn from their course, compared, and told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.polylines import polyline_length, polyline_resample
from defectscope.core.masks import Mask, mask_intersection

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dice_loss", "mask_of_line", "unique_masks"]

# cv2 takes sub-pixel coordinates as integers with this many fractional bits.
SHIFT = 4
# Distances from a line are those from places on it this far from each other.
STEP_PX = 0.25


def mask_of_line(line: NDArray[np.float64], width_px: int) -> Mask:
    """Return the pixels whose centres lie within half of a width from a line.

    Parameters
    ----------
    line
        (k, 2) points x, y, px; nothing comes of no point.
    width_px
        Width; 1 gives the pixels that the line runs through, without a gap.
    """
    import cv2
    from scipy.spatial import cKDTree

    if not len(line):
        return Mask(0, 0, np.zeros((0, 0), bool))
    # Of sub-pixel points cv2 draws another width than is asked for: too much, and then less.
    drawn_px = 1 if width_px == 1 else width_px + 2
    x0, y0 = (int(v) - drawn_px - 1 for v in np.floor(line.min(axis=0)))
    x1, y1 = (int(v) + drawn_px + 2 for v in np.ceil(line.max(axis=0)))
    picture = np.zeros((y1 - y0, x1 - x0), np.uint8)
    # Our pixel (0, 0) has its centre at 0.5; cv2 puts it at 0.
    vertices = line if len(line) > 1 else np.repeat(line, 2, axis=0)
    fixed = np.round((vertices - [x0, y0] - 0.5) * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(picture, [fixed], False, (1,), drawn_px, cv2.LINE_8, SHIFT)
    if width_px > 1:
        rows, columns = np.nonzero(picture)
        centres = np.stack([columns + x0 + 0.5, rows + y0 + 0.5], axis=1)
        samples = max(2, int(polyline_length(line) / STEP_PX) + 2)
        tree = cKDTree(polyline_resample(vertices, samples))
        apart, _ = tree.query(centres, distance_upper_bound=width_px / 2)
        far = ~np.isfinite(apart)
        picture[rows[far], columns[far]] = 0
    return Mask(x0, y0, picture.astype(bool)).trimmed()


def dice_loss(a: Mask, b: Mask) -> float:
    """Return 1 - 2·|a ∩ b| / (|a| + |b|); 1 where both are empty."""
    both = a.area_px + b.area_px
    return 1 - 2 * mask_intersection(a, b) / both if both else 1.0


def unique_masks(
    masks: Sequence[Mask], scores: Sequence[float], least_area_px: int, same_below: float
) -> list[int]:
    """Return the positions of masks that stay when empty, tiny and repeated ones go (P1).

    Parameters
    ----------
    masks, scores
        Of masks that are the same, the one with the best score stays; of equals, the larger.
    least_area_px
        Smaller ones go.
    same_below
        Dice loss below which two masks are the same line.
    """
    areas = [mask.area_px for mask in masks]
    enough = [k for k, area in enumerate(areas) if area >= max(1, least_area_px)]
    kept: list[int] = []
    for k in sorted(enough, key=lambda k: (-scores[k], -areas[k], k)):
        if all(dice_loss(masks[k], masks[other]) >= same_below for other in kept):
            kept.append(k)
    return sorted(kept)
