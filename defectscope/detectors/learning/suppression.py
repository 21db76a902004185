"""Detections of one frame, and which of those that overlap stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Found", "suppressed"]


class Found(NamedTuple):
    """Boxes (n, 4) in px, scores (n,), positions of defect types (n,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.intp]


def suppressed(found: Found, most_iou: float) -> Found:
    """Return what is left when, of boxes that overlap more, the best score wins.

    The order is by score; ties go by place, so that it does not depend on tiles.

    Parameters
    ----------
    found
        Boxes of any types: two types in one place are one defect.
    most_iou
        Overlap that two boxes may have.
    """
    boxes, scores, classes = found
    order = np.lexsort([boxes[:, 0], boxes[:, 1], -scores])
    boxes, scores, classes = boxes[order], scores[order], classes[order]
    corners_and_sides = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
    # OpenCV sorts by score alone; ranks keep the order among equals.
    ranks = np.arange(len(boxes), 0.0, -1).tolist()
    kept = np.asarray(cv2.dnn.NMSBoxes(corners_and_sides, ranks, 0.0, most_iou), np.intp)
    return Found(boxes[kept], scores[kept], classes[kept])
