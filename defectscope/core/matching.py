"""Which prediction is which truth: greedy, one to one, by the highest overlap in the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.core.geometry.boxes import box_iou_matrix, box_part_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from defectscope.core.instances import Instances

__all__ = ["Match", "covered", "excused", "greedy_match", "match_instances"]

# Of a prediction's area that lies in an ignored box: it is then a part of what nobody counted.
COVERED_PART = 0.5


class Match(NamedTuple):
    """Positions of matched pairs, and of what stayed alone.

    ``predicted[k]`` belongs to ``true[k]`` with overlap ``iou[k]``; ``spurious`` predictions and
    ``missed`` truths have no partner, with ignored ones left out.
    """

    predicted: NDArray[np.intp]
    true: NDArray[np.intp]
    iou: NDArray[np.float64]
    spurious: NDArray[np.intp]
    missed: NDArray[np.intp]


def greedy_match(iou: NDArray[Any], cut_off: float) -> list[tuple[int, int]]:
    """Pair rows and columns by the highest value in the whole matrix, again and again (P2).

    Parameters
    ----------
    iou
        (n, m) overlaps.
    cut_off
        Pairs need an overlap above 0 and of at least this.

    Returns
    -------
    list of (row, column)
        In the order of the assignment. Equal overlaps go by row, then by column.
    """
    rows, columns = np.nonzero((iou >= cut_off) & (iou > 0))
    order = np.argsort(-iou[rows, columns], kind="stable")
    free_rows, free_columns = np.ones(iou.shape[0], bool), np.ones(iou.shape[1], bool)
    pairs = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    return pairs


def covered(boxes: ArrayLike, ignored: ArrayLike) -> NDArray[np.bool_]:
    """Return which of (n, 4) boxes lie in one of the (m, 4) ignored ones by half of their area."""
    parts = box_part_matrix(boxes, ignored)
    return np.asarray(parts.max(axis=1, initial=0) >= COVERED_PART, bool)


def excused(iou: NDArray[Any], lies_in: NDArray[np.bool_], cut_off: float) -> NDArray[np.bool_]:
    """Return which predictions that match no truth are no false alarms.

    An ignored box may be one defect that nobody is sure of, and excuses the prediction that fits
    it; or a crowd (COCO's ``iscrowd``), and excuses as many as lie in it.

    Parameters
    ----------
    iou
        (n, m) overlaps of such predictions with ignored truth.
    lies_in
        (n,) which are :func:`covered` by it.
    cut_off
        Overlap that fitting needs.
    """
    result = lies_in.copy()
    result[[row for row, _ in greedy_match(iou, cut_off)]] = True
    return result


def match_instances(predicted: Instances, true: Instances, cut_off: float) -> Match:
    """Match boxes of one frame, whatever their defect types.

    True instances flagged ``ignore`` take part after all others: a prediction that fits one, or
    lies in it by half, counts as neither hit nor false alarm. Nor is a prediction so flagged a
    false alarm.
    """
    iou = box_iou_matrix(predicted.boxes, true.boxes)
    counted = np.flatnonzero(~true.ignore)
    pairs = [(p, int(counted[t])) for p, t in greedy_match(iou[:, counted], cut_off)]
    rows = np.array([p for p, _ in pairs], np.intp)
    columns = np.array([t for _, t in pairs], np.intp)
    alone = np.setdiff1d(np.arange(len(predicted)), rows)
    left_out = predicted.ignore[alone] | excused(
        iou[np.ix_(alone, np.flatnonzero(true.ignore))],
        covered(predicted.boxes[alone], true.boxes[true.ignore]),
        cut_off,
    )
    return Match(
        rows,
        columns,
        iou[rows, columns],
        alone[~left_out],
        np.setdiff1d(counted, columns),
    )
