"""The score that decides which state of a network is kept, and the threshold that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.core.matching import greedy_match

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["THRESHOLDS", "BestThreshold", "Scored", "best_threshold"]

THRESHOLDS = np.round(np.arange(0.1, 0.9, 0.025), 3)
# Finding defects (P2's overlap) and outlining them count equally.
OVERLAPS = (0.15, 0.4)
# On few frames many thresholds are about as good: scores less than this apart are no difference.
AS_GOOD = 0.005


class Scored(NamedTuple):
    """One frame: predicted boxes, scores, types; true boxes, types, ignore flags."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.intp]
    true_boxes: NDArray[np.float32]
    true_classes: NDArray[np.intp]
    ignore: NDArray[np.bool_]


class BestThreshold(NamedTuple):
    """Mean F1 over `OVERLAPS` at the best threshold, the threshold, F1 at the first overlap."""

    score: float
    threshold: float
    f1: float


def best_threshold(frames: Sequence[Scored]) -> BestThreshold:
    """Return the best mean F1, and the middle of the thresholds around it that are as good."""
    totals = np.zeros((len(THRESHOLDS), len(OVERLAPS), 2))
    for frame in frames:
        iou = box_iou_matrix(frame.boxes, frame.true_boxes)
        iou = np.where(
            (frame.classes[:, None] == frame.true_classes[None, :]) | frame.ignore[None, :], iou, 0
        )
        for row, threshold in enumerate(THRESHOLDS):
            kept = iou[frame.scores >= threshold]
            for column, overlap in enumerate(OVERLAPS):
                totals[row, column] += _hits_and_size(kept, frame.ignore, overlap)
    f1 = 2 * totals[..., 0] / np.maximum(totals[..., 1], 1)
    means = f1.mean(axis=1)
    best = _middle(means)
    return BestThreshold(float(means.max()), float(THRESHOLDS[best]), float(f1[best, 0]))


def _middle(means: NDArray[np.float64]) -> int:
    """Return the middle of the run of values around the largest that are as good."""
    low = high = int(means.argmax())
    least = means[low] - AS_GOOD
    while low > 0 and means[low - 1] >= least:
        low -= 1
    while high + 1 < len(means) and means[high + 1] >= least:
        high += 1
    return (low + high) // 2


def _hits_and_size(
    iou: NDArray[np.float64], ignore: NDArray[np.bool_], overlap: float
) -> tuple[int, int]:
    """Return true positives, and the number of predictions and truths that count."""
    pairs = greedy_match(iou[:, ~ignore], overlap)
    taken = [p for p, _ in pairs]
    alone = np.setdiff1d(np.arange(len(iou)), taken)
    excused = greedy_match(iou[np.ix_(alone, np.flatnonzero(ignore))], overlap)
    return len(pairs), len(iou) - len(excused) + int((~ignore).sum())
