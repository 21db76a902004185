"""From proposals and what the network says of them to boxes, in plain numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.detectors.learning.suppression import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_OVERLAP", "decoded"]

# Of two detections that overlap more (IoU), one stays, unless an option says otherwise.
MOST_OVERLAP = 0.4
# Corrections are learned in these parts of the proposal's sides, and of their logarithms.
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
LOG_LIMIT = float(np.log(1000 / 16))


def decoded(
    proposals: NDArray[np.float32],
    logits: NDArray[np.float32],
    deltas: NDArray[np.float32],
    least_score: float,
) -> Found:
    """Return a box for every proposal and defect type that is likely enough.

    Parameters
    ----------
    proposals
        (k, 4) corners, px.
    logits
        (k, classes + 1); the first class is the background.
    deltas
        (k, 4·(classes + 1)) corrections of centre and sides.
    least_score
        Less likely ones are left out.

    Notes
    -----
    Girshick et al., Rich feature hierarchies (2014), appendix C, with the weights of Ren et al.,
    Faster R-CNN (2015), as torchvision and detectron2 have them.
    """
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    probabilities = shifted[:, 1:] / shifted.sum(axis=1, keepdims=True)
    rows, classes = np.nonzero(probabilities >= least_score)
    boxes = np.asarray(proposals, np.float64)[rows]
    parts = np.asarray(deltas, np.float64).reshape(len(deltas), -1, 4)[rows, classes + 1]
    x, y, across, down = (parts / WEIGHTS).T
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + np.stack([x, y], axis=1) * sides
    halves = np.exp(np.minimum(np.stack([across, down], axis=1), LOG_LIMIT)) * sides / 2
    found = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    return Found(found, probabilities[rows, classes].astype(np.float32), classes)
