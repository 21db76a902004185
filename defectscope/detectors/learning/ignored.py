"""Where labels say that nothing is known of lines: ignored masks and boxes without a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope import Mask
from defectscope.core.geometry.curves import POINTS
from defectscope.core.geometry.polylines import polyline_resample
from defectscope.core.line_metrics import LineScores, match_lines, score_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Instances

__all__ = ["ignored_region", "lie_in", "mask_of_box", "score_known_lines"]


def mask_of_box(box: NDArray[np.float32]) -> Mask:
    """Return every pixel that a box touches."""
    x_min, y_min = (int(v) for v in np.floor(box[:2]))
    x_max, y_max = (int(v) for v in np.ceil(box[2:]))
    return Mask(x_min, y_min, np.ones((y_max - y_min, x_max - x_min), bool))


def ignored_region(truth: Instances) -> NDArray[np.bool_] | None:
    """Return (H, W) bool, True in masks, or boxes without one, that are ignored and have no line.

    None where there are none. On an ignored line, it is the line that does not count.
    """
    if not truth.ignore.any():
        return None
    region = np.zeros(truth.image_shape, bool)
    for k in np.flatnonzero(truth.ignore):
        if truth.lines is not None and len(truth.lines[k]) > 1:
            continue
        mask = None if truth.masks is None else truth.masks[k]
        if mask is None or not mask.bitmap.any():
            mask = mask_of_box(truth.boxes[k])
        region |= mask.to_dense(truth.image_shape)
    return region if region.any() else None


def lie_in(
    lines: Sequence[NDArray[np.float64]], region: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Return which lines have more than half of their length in a region."""
    if region is None:
        return np.zeros(len(lines), bool)
    most = np.array(region.shape[::-1]) - 1
    inside = []
    for line in lines:
        x, y = np.clip(np.floor(polyline_resample(line, POINTS)), 0, most).astype(np.intp).T
        inside.append(region[y, x].mean() > 0.5)
    return np.array(inside, bool)


def score_known_lines(
    predicted: Sequence[NDArray[np.float64]],
    inside: NDArray[np.bool_],
    true: Sequence[NDArray[np.float64]],
    ignored: Sequence[NDArray[np.float64]],
) -> LineScores:
    """Score the lines of one frame; see :func:`defectscope.core.line_metrics.score_lines`.

    Parameters
    ----------
    predicted
        What was found.
    inside
        Which of it lies where nothing is known: unless it matches a true line, it is no invention.
    true, ignored
        Lines that count, and that do not.
    """
    if inside.any():
        taken = set(match_lines(predicted, true).predicted.tolist())
        predicted = [line for k, line in enumerate(predicted) if k in taken or not inside[k]]
    return score_lines(predicted, true, ignored=ignored)
