"""Which pixels of a crop belong to the defect in the box: two watershed engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np
from skimage.segmentation import watershed

from defectscope.postproc.local_contrast import (
    OUTER_ZONE,
    Crop,
    crest_level,
    plateau_level,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Engine", "Region", "segment"]

Engine = Literal["skimage", "opencv"]

# Half the inscribed ellipse: the part of a box that surely shows its own defect.
CORE = 0.5
# Share of the largest distance to the background that is surely object (OpenCV's tutorial).
SURE_OBJECT = 0.7
# The edge of a filled shape blurred by the lens lies at half its height; that of a thin line,
# which the blur makes wider and lower, nearer to where a Gaussian is steepest: exp(-1/2).
RING_EDGE_SHIFT = float(np.exp(-0.5)) - 0.5
# How strongly a gap in a ring is closed where the box says the ring should be.
GAP_CLOSING = 0.2
MOAT_PX = 1.5
MINE, OTHER, BACKGROUND = 1, 2, 3
THREE = np.ones((3, 3), np.uint8)


class Region(NamedTuple):
    """A segmented defect.

    Parameters
    ----------
    label
        (h, w) bool, without holes, in the crop.
    level
        Signal of the defect: of its plateau, or of the crest of a ring.
    threshold
        Signal at its edge.
    """

    label: NDArray[np.bool_]
    level: float
    threshold: float


def segment(crop: Crop, ring: bool, engine: Engine, edge_level: float) -> Region | None:
    """Return the pixels of the defect in a box, or None where nothing stands out.

    Parameters
    ----------
    crop
        The surroundings of the box.
    ring
        Whether the defect may be an open ellipse: its inside is counted in, and gaps are closed.
    engine
        ``skimage``: flood the distance transform within the thresholded pixels, and close rings
        by a watershed on their crest; ``opencv``: the recipe of OpenCV's tutorial, which P2 and
        P3 follow.
    edge_level
        Where the edge lies between background (0) and plateau (1).
    """
    enclosed, hollow = None, 0.0
    if ring and engine == "skimage":
        enclosed = _enclosed_by_crest(crop)
        level, hollow = crest_level(crop, _rim(enclosed))
    else:
        level = plateau_level(crop)
    if not level > 0:
        return None
    threshold = level * (edge_level + RING_EDGE_SHIFT * hollow)
    above = crop.signal > threshold
    if enclosed is not None:
        above |= enclosed
    pixels = _opened(_filled(above.view(np.uint8)), crop)
    mine, others = _cores(crop, pixels)
    if mine is None:
        return None
    if engine == "opencv":
        flooded = _flood_opencv(crop, pixels, mine, others, level)
    else:
        flooded = _flood_skimage(crop, pixels, mine, others)
    label = _own_part(flooded, mine)
    return None if label is None else Region(label, level, threshold)


def _enclosed_by_crest(crop: Crop) -> NDArray[np.bool_]:
    """Return what a ring encloses: floods from inside and outside meet on its crest."""
    markers = np.where(crop.radius > OUTER_ZONE, OTHER, 0).astype(np.int32)
    if crop.other_radius is not None:
        markers[crop.other_radius < CORE] = OTHER
    markers[crop.core] = MINE
    dam = GAP_CLOSING * float(np.ptp(crop.signal)) * np.exp(-(((crop.radius - 1) / 0.3) ** 2))
    # A moat of a pixel or two is enough for the flood from outside; the corners only cost time.
    moat = OUTER_ZONE + MOAT_PX / max(crop.short_half_px, 1.0)
    flooded = watershed(crop.signal + dam, markers, mask=crop.radius < moat)
    enclosed: NDArray[np.bool_] = flooded == MINE
    return enclosed


def _rim(label: NDArray[np.bool_]) -> NDArray[np.bool_]:
    gradient = cv2.morphologyEx(label.view(np.uint8), cv2.MORPH_GRADIENT, THREE)
    return np.asarray(gradient, np.bool_)


def _filled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    contours, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(pixels)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled


def _opened(pixels: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Cut off what hangs on by a thread: P2's 3x3 opening, wider on large defects."""
    width = max(3, int(crop.short_half_px / 3) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    opened = np.asarray(cv2.morphologyEx(pixels, cv2.MORPH_OPEN, kernel), np.uint8)
    # A defect of two pixels' width must not vanish.
    return opened if opened[crop.radius < CORE].any() else pixels


def _cores(
    crop: Crop, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """Return where this box's defect surely is, and where other boxes' are (None: nowhere)."""
    above = pixels.view(np.bool_)
    others = None
    nearer = above
    if crop.other_radius is not None:
        nearer = above & (crop.radius <= crop.other_radius)
        others = above & ~nearer & (crop.other_radius < CORE)
    mine = nearer & (crop.radius < CORE)
    if not mine.any():
        mine = nearer & (crop.radius < 1)
        if not mine.any():
            return None, others
    return mine, others


def _flood_skimage(
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
    flooded: NDArray[np.bool_] = watershed(-distance, markers, mask=above) == MINE
    return flooded & zone


def _share_a_blob(
    pixels: NDArray[np.uint8], mine: NDArray[np.bool_], others: NDArray[np.bool_]
) -> bool:
    _, parts = cv2.connectedComponents(pixels, connectivity=4)
    return not set(parts[mine].tolist()).isdisjoint(parts[others].tolist())


def _flood_opencv(
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


def _own_part(label: NDArray[np.bool_], mine: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Keep the connected part with most of the core, and fill the holes the flood left in it."""
    contours, _ = cv2.findContours(label.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    parts = np.zeros(label.shape, np.int32)
    for k in range(len(contours)):
        cv2.drawContours(parts, contours, k, k + 1, cv2.FILLED)
    shares = np.bincount(parts[mine], minlength=len(contours) + 1)
    shares[0] = 0
    best = int(shares.argmax())
    return parts == best if shares[best] else None
