"""Which finds are letters of captions that were burnt into frames.

A defect is as sharp as the microscope and its camera make it; the strokes of a caption go from
black to white from one pixel to the next. In frames 126, 480 and 888 of an in-situ video (Shen et
al., doi:10.18126/n9dj-5mk0) the steepest twentieth of a loop's pixels rise by 0.33 of the grey
range at most, those of letters by 0.47 at least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import cv2
import numpy as np

from defectscope.core.geometry.boxes import clip_boxes
from defectscope.detectors.learning.bars import on_plain_areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Edges", "edges_of", "in_captions"]

# Rise within 3 x 3 px, in parts of the frame's grey range, of letters, and how many of a box's
# pixels are as steep.
LETTER_RISE, STEEP_SHARE = 0.45, 0.05
# Where all finds are sharp, so is the picture: letters are this many times as steep as the median.
OUTSTANDING = 2.0
# Letters that a codec or a resize blurred rise no more than the sharpest loops do. These give
# themselves away by their neighbours: at least three in a row on one base line. In the frames two
# loops are as sharp as this.
SOFT_RISE, SOFT_OUTSTANDING, IN_ROW = 0.33, 1.6, 3
# In a row, in heights of the taller of two boxes: how far apart, and how much the bottoms differ;
# and how many times as tall it may be.
APART, OFF_LINE, TALLER = 6.0, 0.25, 2.0
# What is darkest and brightest, in parts of the pixels; every fourth row and third column tell.
DARKEST, BRIGHTEST = 0.0005, 0.9995
ROWS, COLUMNS = 4, 3


def in_captions(pixels: NDArray[Any], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which boxes hold letters.

    Parameters
    ----------
    pixels
        (H, W) of uint8, uint16 or float32.
    boxes
        (n, 4) ``x_min, y_min, x_max, y_max`` in px.

    Returns
    -------
    (n,) True where the edges in a box are both too sharp for what a camera sees in this grey range,
    and much sharper than those in the other boxes, or where several boxes in a row are nearly so,
    or one is that lies on a letter;
    never where most boxes are. And wherever a box lies on a bar or another plain area.
    """
    return edges_of(pixels, boxes).letters()


class Edges(NamedTuple):
    """What tells letters from defects, of each box of a frame.

    Parameters
    ----------
    corners
        (n, 4) whole px, within the frame.
    steep, soft
        (n,) whether enough pixels rise as those of letters do, and as those of blurred ones.
    rises
        (n,) of the steepest pixels.
    plain
        (n,) whether it lies on a bar or another plain area.
    """

    corners: NDArray[np.intp]
    steep: NDArray[np.bool_]
    soft: NDArray[np.bool_]
    rises: NDArray[np.float64]
    plain: NDArray[np.bool_]

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Return those of some boxes."""
        return type(self)._make(values[chosen] for values in self)

    def letters(self) -> NDArray[np.bool_]:
        """Return which boxes hold letters, all of them seen side by side."""
        letters, soft = self.steep.copy(), self.soft.copy()
        if letters.any() or soft.sum() >= IN_ROW:
            letters &= self.rises > OUTSTANDING * np.median(self.rises)
            soft &= self.rises > SOFT_OUTSTANDING * np.median(self.rises)
            letters[soft] |= _in_rows(self.corners[soft])
            # What is nearly so sharp and lies on a letter is a part of it.
            letters[soft] |= _touching(self.corners[soft], self.corners[letters])
        return letters | self.plain


def edges_of(pixels: NDArray[Any], boxes: NDArray[np.floating]) -> Edges:
    """Return what :func:`in_captions` judges boxes by, for who asks of several choices of them.

    Parameters
    ----------
    pixels, boxes
        As there.
    """
    corners = np.round(clip_boxes(boxes, (pixels.shape[0], pixels.shape[1]))).astype(np.intp)
    none = np.zeros(len(boxes), bool)
    nothing = Edges(corners, none, none, np.zeros(len(boxes)), none)
    if not len(boxes):
        return nothing
    some = pixels[::ROWS, ::COLUMNS] if min(pixels.shape) > ROWS * COLUMNS else pixels
    darkest, brightest = (_ranked(some, part) for part in (DARKEST, BRIGHTEST))
    if brightest <= darkest:
        return nothing
    window = np.ones((3, 3), np.uint8)
    rise = cv2.subtract(cv2.dilate(pixels, window), cv2.erode(pixels, window))
    steep, soft = (
        _steep(rise >= least * (brightest - darkest), corners) for least in (LETTER_RISE, SOFT_RISE)
    )
    rises = nothing.rises
    if steep.any() or soft.sum() >= IN_ROW:
        parts = (rise[top:bottom, left:right] for left, top, right, bottom in corners)
        rises = np.array([_ranked(part, 1 - STEEP_SHARE) if part.size else 0.0 for part in parts])
    plain = on_plain_areas(pixels, rise, corners, (darkest, brightest))
    return Edges(corners, steep, soft, rises, plain)


def _steep(steep: NDArray[np.bool_], corners: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return in which boxes enough pixels are steep."""
    x0, y0, x1, y1 = corners.T
    counts = cv2.integral(steep.view(np.uint8))
    inside = counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0]
    return np.asarray(inside > STEEP_SHARE * np.maximum((x1 - x0) * (y1 - y0), 1), bool)


def _in_rows(corners: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which boxes stand beside others of about their height on one base line."""
    x0, y0, x1, y1 = corners.T
    height = y1 - y0
    taller = np.maximum.outer(height, height)
    near = np.abs(np.subtract.outer(x0 + x1, x0 + x1)) <= 2 * APART * taller
    near &= np.abs(np.subtract.outer(y1, y1)) <= OFF_LINE * taller
    near &= taller <= TALLER * np.minimum.outer(height, height)
    return np.asarray(near.sum(axis=1) >= IN_ROW, bool)


def _touching(corners: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which boxes have a part in common with any of the others."""
    low = np.maximum(corners[:, None, :2], others[None, :, :2])
    high = np.minimum(corners[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.any(np.all(low < high, axis=2), axis=1), bool)


def _ranked(values: NDArray[Any], part: float) -> float:
    """Return the value that this part of all are smaller than; np.quantile takes far longer."""
    rank = int(part * (values.size - 1))
    return float(np.partition(values, rank, axis=None)[rank])
