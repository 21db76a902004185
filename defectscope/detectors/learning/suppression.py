"""Non-maximum suppression, in plain numpy and without a limit of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), bool)
    for k in range(len(boxes)):
        if not alive[k]:
            continue
        rest = np.flatnonzero(alive[k + 1 :]) + k + 1
        low = np.maximum(boxes[k, :2], boxes[rest, :2])
        high = np.minimum(boxes[k, 2:], boxes[rest, 2:])
        common = np.prod(np.clip(high - low, 0, None), axis=1)
        alive[rest[common > most_iou * (areas[k] + areas[rest] - common)]] = False
    return Found(boxes[alive], scores[alive], classes[alive])
