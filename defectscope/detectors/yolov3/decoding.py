"""From the outputs of the anchor-free head to boxes, in plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope.detectors.learning.suppression import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BINS", "decoded"]

# Each distance to a side of the box is a distribution over so many whole cells.
BINS = 16


def decoded(
    levels: Sequence[NDArray[np.float32]], strides: Sequence[int], least_score: float
) -> Found:
    """Return a box for every cell whose best type has at least a score; there is no limit of them.

    Parameters
    ----------
    levels
        (4 · 16 + classes, h, w) each: for the left, upper, right and lower side the logits of a
        distance of 0 to 15 cells, then the logits of the types.
    strides
        Pixels of the input for each cell.
    least_score
        Cells below are left out.

    Notes
    -----
    The distance is the mean of its distribution: Li et al., Generalized Focal Loss (2020), eq. 7.
    """
    # Probabilities grow with logits: cells can be chosen without computing them.
    limit = np.log(max(least_score, 1e-6) / max(1 - least_score, 1e-6))
    parts = [_level(level, stride, limit) for level, stride in zip(levels, strides, strict=True)]
    return Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _level(level: NDArray[np.float32], stride: int, limit: float) -> Found:
    logits = level[4 * BINS :]
    best = logits.max(axis=0)
    rows, columns = np.nonzero(best >= limit)
    classes = logits[:, rows, columns].argmax(axis=0).astype(np.intp)
    scores = 1 / (1 + np.exp(-best[rows, columns].astype(np.float64)))
    sides = level[: 4 * BINS, rows, columns].reshape(4, BINS, -1).astype(np.float64)
    parts = np.exp(sides - sides.max(axis=1, keepdims=True))
    left, top, right, bottom = (
        np.tensordot(np.arange(BINS), parts, axes=(0, 1)) / parts.sum(axis=1)
    ) * stride  # fmt: skip
    x, y = (columns + 0.5) * stride, (rows + 0.5) * stride
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1).astype(np.float32)
    sane = np.isfinite(boxes).all(axis=1)
    return Found(boxes[sane], scores[sane].astype(np.float32), classes[sane])
