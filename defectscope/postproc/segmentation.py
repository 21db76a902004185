"""Which pixels of crops belong to the defects in their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np

from defectscope.postproc.crops import OUTER_ZONE, Crop, Crops
from defectscope.postproc.floods import (
    CORE,
    cores,
    enclosed_by_crest,
    flood_distance,
    flood_grey_values,
    rim,
)
from defectscope.postproc.local_contrast import crest_level, plateau_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.postproc.stacking import Stacking

__all__ = ["Engine", "Region", "segment"]

Engine = Literal["skimage", "opencv"]

# The edge of a filled shape blurred by the lens lies at half its height; that of a thin line,
# which the blur makes wider and lower, nearer to where a Gaussian is steepest: exp(-1/2).
RING_EDGE_SHIFT = float(np.exp(-0.5)) - 0.5
OUTSIDE = 2


class Region(NamedTuple):
    """A segmented defect.

    Parameters
    ----------
    crop
        Position of its crop in the stack.
    label
        (h, w) bool, without holes, in the crop.
    level
        Signal of the defect: of its plateau, or of the crest of a ring.
    threshold
        Signal at its edge.
    """

    crop: int
    label: NDArray[np.bool_]
    level: float
    threshold: float


class _Raised(NamedTuple):
    """Stacked pixels above the levels of their edges."""

    pixels: NDArray[np.uint8]
    inner: NDArray[np.bool_]
    levels: list[float]
    thresholds: list[float]


def segment(
    crops: Crops, rings: Sequence[bool], engine: Engine, edge_level: float
) -> Iterator[Region]:
    """Yield the defects of stacked crops, without those in which nothing stands out.

    Parameters
    ----------
    crops
        The surroundings of the boxes.
    rings
        Of each, whether the defect may be an open ellipse: its inside is counted in, and gaps
        are closed.
    engine
        ``skimage``: flood the distance transform within the thresholded pixels, and close rings
        by a watershed on their crest; ``opencv``: the recipe of OpenCV's tutorial, which P2 and
        P3 follow.
    edge_level
        Where the edge lies between background (0) and plateau (1).
    """
    raised = _raised(crops, rings, engine, edge_level)
    above = raised.pixels.view(np.bool_)
    # Where nobody competes, the flood of a blob with one marker is the blob itself.
    labels = _without_holes(above & (crops.radius < OUTER_ZONE), crops.stacking)
    mine = above & raised.inner
    alone = _in_one_piece(labels, crops.stacking) & (crops.stacking.count(mine) > 0)
    for k, place in enumerate(crops.stacking.places):
        level, threshold = raised.levels[k], raised.thresholds[k]
        if not level > 0:
            continue
        label: NDArray[np.bool_] | None
        if engine == "opencv" or k in crops.other_radii or not alone[k]:
            label = _flooded(crops[k], raised, place, engine, level)
        else:
            label = labels[place]
        if label is not None:
            yield Region(k, label, level, threshold)


def _without_holes(labels: NDArray[np.bool_], stacking: Stacking) -> NDArray[np.bool_]:
    # What a flood from outside, through neighbours of pixels, does not reach is a hole.
    wide = stacking.apart(labels.view(np.uint8))
    cv2.floodFill(wide, None, (0, 0), OUTSIDE)
    return stacking.together(wide != OUTSIDE)


def _in_one_piece(labels: NDArray[np.bool_], stacking: Stacking) -> NDArray[np.bool_]:
    """Return which of the stacked labels have one part, not several and not none."""
    _, parts = cv2.connectedComponents(stacking.apart(labels.view(np.uint8)), connectivity=8)
    parts = stacking.together(parts)
    largest = np.maximum.reduceat(parts.max(axis=1), stacking.tops)
    total = np.add.reduceat(parts.sum(axis=1, dtype=np.int64), stacking.tops)
    return np.asarray((largest > 0) & (total == largest * stacking.count(labels)))


def _flooded(
    crop: Crop, raised: _Raised, place: tuple[slice, slice], engine: Engine, level: float
) -> NDArray[np.bool_] | None:
    pixels = raised.pixels[place]
    mine, others = cores(crop, pixels, raised.inner[place])
    if mine is None:
        return None
    if engine == "opencv":
        return _own_part(flood_grey_values(crop, pixels, mine, others, level), mine)
    return _own_part(flood_distance(crop, pixels, mine, others), mine)


def _raised(crops: Crops, rings: Sequence[bool], engine: Engine, edge_level: float) -> _Raised:
    """Return what lies above the edges, without holes, and without what hangs on by a thread."""
    levels, hollows = plateau_levels(crops), [0.0] * len(rings)
    enclosed: dict[int, NDArray[np.bool_]] = {}
    for k in range(len(rings)):
        if rings[k] and engine == "skimage":
            crop = crops[k]
            enclosed[k] = enclosed_by_crest(crop)
            levels[k], hollows[k] = crest_level(crop, rim(enclosed[k]))
    thresholds = [
        level * (edge_level + RING_EDGE_SHIFT * hollow)
        for level, hollow in zip(levels, hollows, strict=True)
    ]
    above = (crops.signal > crops.stacking.a_row(thresholds)) & crops.stacking.filled
    for k, inside in enclosed.items():
        above[crops.stacking.places[k]] |= inside
    inner = crops.radius < CORE
    pixels = _opened(above, inner, crops)
    return _Raised(pixels, inner, levels, thresholds)


def _opened(above: NDArray[np.bool_], inner: NDArray[np.bool_], crops: Crops) -> NDArray[np.uint8]:
    """Fill holes, and cut off what hangs on by a thread: P2's opening, wider on large defects."""
    filled = _without_holes(above, crops.stacking).view(np.uint8)
    opened = np.zeros_like(filled)
    for k, place in enumerate(crops.stacking.places):
        kernel = _ellipse_kernel(max(3, int(crops.short_half_px[k] / 3) | 1))
        opened[place] = cv2.morphologyEx(filled[place], cv2.MORPH_OPEN, kernel)
    # A defect of two pixels' width must not vanish.
    left = crops.stacking.count(opened.view(np.bool_) & inner)
    for k in (left == 0).nonzero()[0].tolist():
        place = crops.stacking.places[k]
        opened[place] = filled[place]
    return opened


@lru_cache(maxsize=256)
def _ellipse_kernel(width: int) -> Any:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))


def _own_part(label: NDArray[np.bool_], mine: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Keep the connected part with most of the core, and fill the holes the flood left in it."""
    contours, _ = cv2.findContours(label.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = np.zeros(label.shape, np.int32)
    for k in range(len(contours)):
        cv2.drawContours(parts, contours, k, k + 1, cv2.FILLED)
    shares = np.bincount(parts[mine], minlength=len(contours) + 1)
    shares[0] = 0
    best = int(shares.argmax())
    return parts == best if shares[best] else None
