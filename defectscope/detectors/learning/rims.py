"""What of a network's finds counts at the rims of tiles and of frames.

Detection and validation both come here: a threshold is chosen for the boxes that will be reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.boxes import clip_boxes
from defectscope.detectors.learning.suppression import Found, suppressed

if TYPE_CHECKING:
    from defectscope.detectors.learning.tiles import Tile

__all__ = ["counted", "settled"]

# Thinner boxes are no defect that could be measured.
LEAST_SIDE_PX = 1.0


def counted(found: Found, tile: Tile, given: tuple[int, int]) -> Found:
    """Return what was found in the core of a tile, px of the whole input, cut at its rim.

    Parameters
    ----------
    found
        In px of the tile.
    tile
        Where it lies in the input.
    given
        (height, width) of the input, without the padding that the network sees beyond it.
    """
    moved = found.boxes + np.array([tile.x_min, tile.y_min] * 2, np.float32)
    # Of whole boxes: where a tile ends inside the frame, its neighbour sees better. At the rim of
    # the frame, defects whose centre lies beyond are not counted, on no side, so that their number
    # by area is that of the foil. On real frames experts label few of those.
    x, y = (moved[:, :2] + moved[:, 2:]).T / 2
    mine = tile.holds(x, y)
    boxes = clip_boxes(moved[mine], given).astype(np.float32)
    return Found(boxes, found.scores[mine], found.classes[mine])


def settled(
    parts: Sequence[Found], given: tuple[int, int], shape: tuple[int, int], most_iou: float
) -> Found:
    """Return what is reported of the finds in all tiles, in px of the frame, best score first.

    Parameters
    ----------
    parts
        Of each tile, in px of the input.
    given, shape
        (height, width) of the input and of the frame that was enlarged to it.
    most_iou
        Overlap that two boxes may have.
    """
    boxes, scores, classes = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Sides are rounded to whole px: the factor is not quite the option.
    ratio = np.divide(given, shape)[[1, 0, 1, 0]]
    boxes = clip_boxes(boxes / ratio, shape).astype(np.float32)
    fit = np.all(boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE_PX, axis=1)
    return suppressed(Found(boxes[fit], scores[fit], classes[fit]), most_iou)
