"""The score that decides which state of a network is kept, and the threshold that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.core.matching import covered, excused, greedy_match

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DETECTION", "THRESHOLDS", "BestThreshold", "Scored", "best_threshold", "scores_by_type",
    "share_with_error",
]  # fmt: skip

# What validation may log beside score, F1 and threshold, for the card; of single types as
# precision/NAME and so on.
DETECTION = ("precision", "precision_error", "recall", "recall_error")

THRESHOLDS = np.round(np.arange(0.1, 0.9, 0.025), 3)
# Finding defects (P2's overlap) and outlining them count equally.
OVERLAPS = (0.15, 0.4)
# On few frames many thresholds are about as good: scores less than this apart are no difference.
AS_GOOD = 0.005


class Scored(NamedTuple):
    """One frame: predicted boxes, scores, types; true boxes, types, ignore flags.

    ``dropped`` (thresholds, predicted), if given, is what detection would drop at each of
    `THRESHOLDS`.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.intp]
    true_boxes: NDArray[np.float32]
    true_classes: NDArray[np.intp]
    ignore: NDArray[np.bool_]
    dropped: NDArray[np.bool_] | None = None


class BestThreshold(NamedTuple):
    """Mean F1 over `OVERLAPS` at the best threshold, and that; the rest at the first overlap."""

    score: float
    threshold: float
    f1: float
    precision: float = 0.0
    precision_error: float = 0.0
    recall: float = 0.0
    recall_error: float = 0.0

    @property
    def logged(self) -> dict[str, float]:
        """What a validation logs."""
        return self._asdict()


def share_with_error(hits: ArrayLike, numbers: ArrayLike) -> tuple[float, float]:
    """Return the share of hits in the numbers of all frames, and its standard error.

    Parameters
    ----------
    hits, numbers
        (n,) by frame.

    Notes
    -----
    The ratio estimator of cluster sampling (Cochran, Sampling Techniques, 1977, 2.11): what is
    found in one frame is not independent. Of a single frame the error is that of a binomial.
    """
    hit, of = np.asarray(hits, float), np.asarray(numbers, float)
    total = of.sum()
    if not total:
        return 0.0, 0.0
    share, frames = float(hit.sum() / total), len(of)
    if frames < 2:
        return share, float(np.sqrt(share * (1 - share) / total))
    residuals = float(((hit - share * of) ** 2).sum())
    return share, float(np.sqrt(frames / (frames - 1) * residuals) / total)


def best_threshold(frames: Sequence[Scored]) -> BestThreshold:
    """Return the best mean F1, and of the thresholds as good the one that counts best.

    Densities are what defects are found for: a threshold whose false alarms and misses are as many
    measures these, where one that finds a tenth less at the same F1 does not.
    """
    counts = np.zeros((len(frames), len(THRESHOLDS), len(OVERLAPS), 3))
    for number, frame in enumerate(frames):
        iou, lies_in = _overlaps(frame)
        for row in range(len(THRESHOLDS)):
            kept = _kept(frame, row)
            for column, overlap in enumerate(OVERLAPS):
                taken, left_out = _matched(iou[kept], lies_in[kept], frame.ignore, overlap)
                counts[number, row, column] = (
                    len(taken), kept.sum() - len(left_out), (~frame.ignore).sum()
                )  # fmt: skip
    totals = counts.sum(axis=0)
    f1 = 2 * totals[..., 0] / np.maximum(totals[..., 1] + totals[..., 2], 1)
    means = f1.mean(axis=1)
    best = _counting_best(means, totals[:, 0, 1], totals[0, 0, 2])
    hits, found, true = counts[:, best, 0].T
    return BestThreshold(
        float(means.max()), float(THRESHOLDS[best]), float(f1[best, 0]),
        *share_with_error(hits, found), *share_with_error(hits, true),
    )  # fmt: skip


def scores_by_type(
    frames: Sequence[Scored], threshold: float, types: Sequence[str]
) -> dict[str, float]:
    """Return precision, recall and their errors of each type, as a validation logs them.

    Parameters
    ----------
    frames
        What was found in each, beside the truth.
    threshold
        One of `THRESHOLDS`.
    types
        Names of the classes.
    """
    row, number = int(np.flatnonzero(np.equal(THRESHOLDS, threshold))[0]), len(types)
    counts = np.zeros((len(frames), 3, number))
    for frame, (hits, found, true) in zip(frames, counts, strict=True):
        kept, (iou, lies_in) = _kept(frame, row), _overlaps(frame)
        taken, left_out = _matched(iou[kept], lies_in[kept], frame.ignore, OVERLAPS[0])
        classes = frame.classes[kept]
        hits += np.bincount(classes[taken], minlength=number)
        found += np.bincount(np.delete(classes, left_out), minlength=number)
        # Truth of a type that the network does not know has the class -1.
        wanted = frame.true_classes[~frame.ignore & (frame.true_classes >= 0)]
        true += np.bincount(wanted, minlength=number)
    logged: dict[str, float] = {}
    for name, (hits, found, true) in zip(types, counts.transpose(2, 1, 0), strict=True):
        values = (*share_with_error(hits, found), *share_with_error(hits, true))
        logged |= {f"{kind}/{name}": value for kind, value in zip(DETECTION, values, strict=True)}
    return logged


def _overlaps(frame: Scored) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the overlaps of what may be a pair, and what lies in ignored boxes."""
    iou = box_iou_matrix(frame.boxes, frame.true_boxes)
    alike = frame.classes[:, None] == frame.true_classes[None, :]
    lies_in = covered(frame.boxes, frame.true_boxes[frame.ignore])
    return np.where(alike | frame.ignore[None, :], iou, 0), lies_in


def _kept(frame: Scored, row: int) -> NDArray[np.bool_]:
    """Return what detection would report at a threshold."""
    kept: NDArray[np.bool_] = frame.scores >= THRESHOLDS[row]
    return kept if frame.dropped is None else kept & ~frame.dropped[row]


def _counting_best(means: NDArray[np.float64], found: NDArray[np.float64], true: float) -> int:
    """Return where the number found is nearest to the true one, around the largest mean.

    Looked at are thresholds as good; of those with the same number it is the middle one.
    """
    low = high = int(means.argmax())
    least = means[low] - AS_GOOD
    while low > 0 and means[low - 1] >= least:
        low -= 1
    while high + 1 < len(means) and means[high + 1] >= least:
        high += 1
    off = np.abs(np.log(np.maximum(found[low : high + 1], 0.5) / max(true, 0.5)))
    nearest = low + np.flatnonzero(off == off.min())
    return int(nearest[(len(nearest) - 1) // 2])


def _matched(
    iou: NDArray[np.float64], lies_in: NDArray[np.bool_], ignore: NDArray[np.bool_], overlap: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which predictions are true positives, and which do not count."""
    taken = np.array([p for p, _ in greedy_match(iou[:, ~ignore], overlap)], np.intp)
    alone = np.setdiff1d(np.arange(len(iou)), taken)
    left_out = excused(iou[np.ix_(alone, np.flatnonzero(ignore))], lies_in[alone], overlap)
    return taken, alone[left_out]
