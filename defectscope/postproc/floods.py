"""Which pixels of one crop belong to the defect in its box, when others compete: two engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from defectscope.postproc.crops import OUTER_ZONE, Crop
from defectscope.postproc.flooding import flood

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CORE", "cores", "enclosed_by_crest", "flood_distance", "flood_grey_values", "rim"]

# Half the inscribed ellipse: the part of a box that surely shows its own defect.
CORE = 0.5
# Share of the largest distance to the background that is surely object (OpenCV's tutorial).
SURE_OBJECT = 0.7
# How strongly a gap in a ring is closed where the box says the ring should be.
GAP_CLOSING = 0.2
MOAT_PX = 1.5
MINE, OTHER, BACKGROUND = 1, 2, 3
THREE = np.ones((3, 3), np.uint8)


def enclosed_by_crest(crop: Crop) -> NDArray[np.bool_]:
    """Return what a ring encloses: floods from inside and outside meet on its crest."""
    markers = np.where(crop.radius > OUTER_ZONE, OTHER, 0).astype(np.int32)
    if crop.other_radius is not None:
        markers[crop.other_radius < CORE] = OTHER
    markers[crop.core] = MINE
    dam = GAP_CLOSING * float(np.ptp(crop.signal)) * np.exp(-(((crop.radius - 1) / 0.3) ** 2))
    # A moat of a pixel or two is enough for the flood from outside; the corners only cost time.
    moat = OUTER_ZONE + MOAT_PX / max(crop.short_half_px, 1.0)
    flooded = flood(crop.signal + dam, markers, crop.radius < moat)
    enclosed: NDArray[np.bool_] = flooded == MINE
    return enclosed


def rim(label: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels on both sides of the edge of a label."""
    gradient = cv2.morphologyEx(label.view(np.uint8), cv2.MORPH_GRADIENT, THREE)
    return np.asarray(gradient, np.bool_)


def cores(
    crop: Crop, pixels: NDArray[np.uint8], inner: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """Return where this box's defect surely is, and where other boxes' are (None: nowhere)."""
    above = pixels.view(np.bool_)
    others = None
    nearer = above
    if crop.other_radius is not None:
        nearer = above & (crop.radius <= crop.other_radius)
        others = above & ~nearer & (crop.other_radius < CORE)
    mine = nearer & inner
    if not mine.any():
        mine = nearer & (crop.radius < 1)
        if not mine.any():
            return None, others
    return mine, others


def flood_distance(
    crop: Crop,
    pixels: NDArray[np.uint8],
    mine: NDArray[np.bool_],
    others: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:
    """Flood the thresholded pixels; the cores of boxes that share a blob compete for it."""
    above = pixels.view(np.bool_)
    zone = crop.radius < OUTER_ZONE
    # The flood of a blob with one marker is the blob itself.
    if others is None or not _share_a_blob(pixels, mine, others):
        return above & zone
    distance = cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_5)
    markers = np.where(mine, MINE, np.where(others, OTHER, 0)).astype(np.int32)
    flooded: NDArray[np.bool_] = flood(-distance, markers, above) == MINE
    return flooded & zone


def _share_a_blob(
    pixels: NDArray[np.uint8], mine: NDArray[np.bool_], others: NDArray[np.bool_]
) -> bool:
    _, parts = cv2.connectedComponents(pixels, connectivity=4)
    return not set(parts[mine].tolist()).isdisjoint(parts[others].tolist())


def flood_grey_values(
    crop: Crop,
    pixels: NDArray[np.uint8],
    mine: NDArray[np.bool_],
    others: NDArray[np.bool_] | None,
    level: float,
) -> NDArray[np.bool_]:
    """Flood the grey values between sure object and sure background, as OpenCV's tutorial does."""
    sure_background = (cv2.dilate(pixels, THREE, iterations=3) == 0) | (crop.radius > OUTER_ZONE)
    markers = np.where(sure_background, BACKGROUND, 0).astype(np.int32)
    distance = cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_5)
    markers[mine & (distance >= SURE_OBJECT * distance[mine].max())] = MINE
    if others is not None:
        markers[others] = OTHER
    # The tutorial floods the raw grey values, and stops at the inner edge of a hollow defect.
    relief = np.minimum(crop.signal, np.float32(level))
    relief[np.asarray(cv2.erode(pixels, THREE), np.bool_)] = level
    relief -= relief.min()
    grey = cv2.convertScaleAbs(relief, alpha=255 / max(float(relief.max()), 1e-12))
    # cv2.watershed overwrites the outermost pixels of what it is given.
    grey = cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    basins = np.asarray(cv2.copyMakeBorder(markers, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.int32)
    cv2.watershed(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), basins)
    basins = basins[1:-1, 1:-1]
    own = basins == MINE
    # The line between two basins is one pixel wide; where it is raised it is the defect's.
    line = (basins == -1) & pixels.view(np.bool_)
    flooded: NDArray[np.bool_] = own | (line & (cv2.dilate(own.view(np.uint8), THREE) > 0))
    return flooded
