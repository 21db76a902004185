"""Which finds are letters of captions that were burnt into frames.

A defect is as sharp as the microscope and its camera make it; the strokes of a caption go from
black to white from one pixel to the next. In frames 126, 480 and 888 of an in-situ video (Shen et
al., doi:10.18126/n9dj-5mk0) the steepest twentieth of a loop's pixels rise by 0.33 of the grey
range at most, those of letters by 0.47 at least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.core.geometry.boxes import clip_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["in_captions"]

# Rise within 3 x 3 px, in parts of the frame's grey range, of letters, and how many of a box's
# pixels are as steep.
LETTER_RISE, STEEP_SHARE = 0.45, 0.05
# Where all finds are sharp, so is the picture: letters are this many times as steep as the median.
OUTSTANDING = 2.0
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
    and much sharper than those in the other boxes; never where most boxes are so.
    """
    nothing = np.zeros(len(boxes), bool)
    if not len(boxes):
        return nothing
    some = pixels[::ROWS, ::COLUMNS] if min(pixels.shape) > ROWS * COLUMNS else pixels
    darkest, brightest = (_ranked(some, part) for part in (DARKEST, BRIGHTEST))
    if brightest <= darkest:
        return nothing
    window = np.ones((3, 3), np.uint8)
    rise = cv2.subtract(cv2.dilate(pixels, window), cv2.erode(pixels, window))
    steep = (rise >= LETTER_RISE * (brightest - darkest)).astype(np.uint8)
    corners = np.round(clip_boxes(boxes, (pixels.shape[0], pixels.shape[1]))).astype(np.intp)
    x0, y0, x1, y1 = corners.T
    counts = cv2.integral(steep)
    inside = counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0]
    letters = np.asarray(inside > STEEP_SHARE * np.maximum((x1 - x0) * (y1 - y0), 1), bool)
    if letters.any():
        parts = (rise[top:bottom, left:right] for left, top, right, bottom in corners)
        rises = np.array([_ranked(part, 1 - STEEP_SHARE) if part.size else 0.0 for part in parts])
        letters &= rises > OUTSTANDING * np.median(rises)
    return letters


def _ranked(values: NDArray[Any], part: float) -> float:
    """Return the value that this part of all are smaller than; np.quantile takes far longer."""
    rank = int(part * (values.size - 1))
    return float(np.partition(values, rank, axis=None)[rank])
