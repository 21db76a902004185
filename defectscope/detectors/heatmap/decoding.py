"""From the network's outputs to boxes, in plain numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from defectscope.detectors.heatmap.targets import STRIDE
from defectscope.detectors.learning.suppression import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LOG_LIMIT", "SIDE_UNIT_PX", "decoded"]

# A side logarithm of 0 means this many px; beyond the limit it is wild.
SIDE_UNIT_PX = 8.0
LOG_LIMIT = 4.0
PEAK = np.ones((3, 3), np.uint8)


def decoded(
    logits: NDArray[np.float32], logarithms: NDArray[np.float32], least_score: float
) -> Found:
    """Return a box for every peak of the centre probability.

    Parameters
    ----------
    logits
        (classes, h, w).
    logarithms
        (4, h, w) of the distances to the left, upper, right and lower rim.
    least_score
        Peaks below are left out.
    """
    # Probabilities grow with logits: peaks and the limit can be found without computing them.
    limit = np.log(max(least_score, 1e-6) / max(1 - least_score, 1e-6))
    parts = [_peaks(plane, limit) for plane in logits]
    rows = np.concatenate([p[0] for p in parts])
    columns = np.concatenate([p[1] for p in parts])
    classes = np.repeat(np.arange(len(parts)), [len(p[0]) for p in parts])
    scores = 1 / (1 + np.exp(-logits[classes, rows, columns].astype(np.float64)))
    sides = np.exp(np.clip(logarithms[:, rows, columns], -LOG_LIMIT, LOG_LIMIT)) * SIDE_UNIT_PX
    x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
    boxes = np.stack([x - sides[0], y - sides[1], x + sides[2], y + sides[3]], axis=1)
    return Found(boxes.astype(np.float32), scores.astype(np.float32), classes)


def _peaks(plane: NDArray[np.float32], limit: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    highest = cv2.dilate(plane, PEAK, borderType=cv2.BORDER_REPLICATE)
    rows, columns = np.nonzero((plane >= highest) & (plane >= limit))
    return rows, columns
