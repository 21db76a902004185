"""Which finds lie on info bars, and on other areas in which there is nothing to see.

Whatever a camera sees is noisy. Where many pixels side by side are one and the same black or white,
something was drawn over the picture, or it was cut off at an end of the grey range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["on_plain_areas"]

# Blocks of 3 x 3 px tell as much as pixels do, in a ninth of the time.
BLOCK = 3
# What grey levels of one area and the end of the range may differ by, in parts of the range: such
# are bars in a good JPEG. In the frames of an in-situ video (see `captions`) no area of it has more
# than 7 blocks.
SAME = 0.02
LEAST_BLOCKS = 17
# Where most of a frame is plain, it was generated, or is a drawing: that is its background.
MOST = 0.5
# An area is a bar where this part of its bounding rectangle's rim is plain, and of all in it. The
# rest are letters; a picture within a picture has a narrower rim. Bars leave most to the picture.
PLAIN_RIM, PLAIN_BAR, LARGEST_BAR = 0.9, 1 / 3, 0.25
# Cores of defects may be cut off, too: areas must be this many times as large as a box on them.
TIMES_A_BOX = 4
# How much of a box lies on a bar, with its letters, and on what is plain but no bar: beside the
# latter there are defects, and holes in loops.
ON_BAR, ON_PLAIN = 0.5, 0.8


def on_plain_areas(
    pixels: NDArray[Any],
    rise: NDArray[Any],
    corners: NDArray[np.intp],
    ends: tuple[float, float],
) -> NDArray[np.bool_]:
    """Return which boxes lie on bars with what is written there, or on large plain areas.

    Parameters
    ----------
    pixels
        (H, W) of uint8, uint16 or float32.
    rise
        (H, W) by how much the pixels within 3 x 3 px differ.
    corners
        (n, 4) ``x_min, y_min, x_max, y_max`` in px, within the frame.
    ends
        What is darkest and brightest in the frame.
    """
    found = np.zeros(len(corners), bool)
    middles = np.s_[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]
    grey, same = pixels[middles], SAME * (ends[1] - ends[0])
    plain = (rise[middles] <= same) & ((grey <= ends[0] + same) | (grey >= ends[1] - same))
    if plain.sum() < LEAST_BLOCKS or plain.mean() > MOST:
        return found
    areas, bars = _areas(plain)
    if not areas.any():
        return found
    first, last = corners[:, :2] // BLOCK, -(-corners[:, 2:] // BLOCK)
    any_plain = cv2.integral(((areas > 0) | (bars > 0)).astype(np.uint8))
    (x0, y0), (x1, y1) = first.T, np.minimum(last, plain.shape[::-1]).T
    touched = any_plain[y1, x1] - any_plain[y0, x1] - any_plain[y1, x0] + any_plain[y0, x0]
    for k in np.flatnonzero(touched):
        own = np.s_[y0[k] : y1[k], x0[k] : x1[k]]
        least = TIMES_A_BOX * areas[own].size
        on_bar, on_plain = (float((of[own] >= least).mean()) for of in (bars, areas))
        found[k] = on_bar >= ON_BAR or on_plain >= ON_PLAIN
    return found


def _areas(plain: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return how many blocks the area of each plain block has, and the bar that a block is in."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(plain.astype(np.uint8), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    sizes[sizes < LEAST_BLOCKS] = 0
    bars = np.zeros(plain.shape, np.int32)
    for k in np.flatnonzero(sizes):
        x, y, width, height = stats[k, : cv2.CC_STAT_AREA]
        own = labels[y : y + height, x : x + width] == k
        # Where a blurred bar ends depends on what is beside it: one block more or less.
        sides = own[:2], own[-2:], own.T[:2], own.T[-2:]
        rim = np.concatenate([two.any(axis=0) for two in sides])
        full = rim.mean() >= PLAIN_RIM and own.mean() >= PLAIN_BAR
        if full and own.size <= LARGEST_BAR * plain.size:
            # Blocks that the edge of a bar runs through are half plain: they belong to it.
            grown = np.s_[max(y - 1, 0) : y + height + 1, max(x - 1, 0) : x + width + 1]
            bars[grown] = np.maximum(bars[grown], own.size)
    return sizes[labels], bars
