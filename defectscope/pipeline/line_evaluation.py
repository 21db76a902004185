"""Scores of lines: P1's spline metric, per frame and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.defect_types import may_be_line
from defectscope.core.ignored_regions import ignored_region
from defectscope.core.line_metrics import LineScores, score_lines
from defectscope.pipeline.bootstrap import PERCENTILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances

__all__ = [
    "FRAME_COLUMNS", "LINE_SCORE_NAMES", "frame_line_scores", "has_lines", "line_columns",
    "line_limits", "line_positions",
]  # fmt: skip

LINE_SCORE_NAMES = ("score", "precision", "recall", "mean_distance_px")

# What one frame adds to the table of frames.
FRAME_COLUMNS = ("line_score", "line_precision", "line_recall", "line_distance_px", "true_lines",
                 "predicted_lines", "matched_lines", "line_merges", "line_splits")  # fmt: skip


def has_lines(instances: Instances, types: Mapping[str, DefectType]) -> bool:
    """Whether there is a line of a defect that has the shape of one: an outline is none."""
    return bool(_lines(instances, types, np.ones(len(instances), bool)))


def frame_line_scores(
    predicted: Instances, true: Instances, types: Mapping[str, DefectType]
) -> LineScores:
    """Return the scores of one frame.

    True lines flagged ``ignore`` count as neither found nor missed, and what was found of them, or
    in ignored masks and boxes without a line, is no invention.
    """
    found = _lines(predicted, types, ~predicted.ignore)
    counted = _lines(true, types, ~true.ignore)
    ignored = _lines(true, types, true.ignore)
    return score_lines(found, counted, ignored=ignored, unknown=ignored_region(true))


def _lines(
    instances: Instances, types: Mapping[str, DefectType], chosen: NDArray[np.bool_]
) -> list[NDArray[np.float64]]:
    lines = instances.lines or ()
    return [lines[k] for k in line_positions(instances, types) if chosen[k]]


def line_positions(instances: Instances, types: Mapping[str, DefectType]) -> list[int]:
    """Return which instances have a line and may: the outline of another defect is none."""
    names = instances.defect_types
    return [
        k
        for k, line in enumerate(instances.lines or ())
        if len(line) > 1 and may_be_line(str(names[k]), types)
    ]


def line_columns(scores: Sequence[LineScores]) -> dict[str, list[Any]]:
    """Return the columns of the table of frames."""
    values = [
        (s.score, s.precision, s.recall, s.mean_distance_px, s.true, s.predicted, s.matched,
         s.merges, s.splits)
        for s in scores
    ]  # fmt: skip
    return {name: [row[k] for row in values] for k, name in enumerate(FRAME_COLUMNS)}


def line_limits(
    scores: Sequence[LineScores], frames: NDArray[np.int64] | None
) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % limits of `LINE_SCORE_NAMES` (percentile bootstrap).

    Parameters
    ----------
    scores
        Of each frame.
    frames
        From :func:`~defectscope.pipeline.bootstrap.resampled_frames`.

    Returns
    -------
    dict
        (low, high) by name of the score; None where no resample has it.
    """
    if frames is None or not scores:
        return dict.fromkeys(LINE_SCORE_NAMES)
    sums = frames @ np.array(
        [[s.quality, s.matched, s.distance_px, s.true, s.predicted] for s in scores]
    )
    quality, matched, distance, true, predicted = sums.T
    limits: dict[str, tuple[float, float] | None] = {}
    for name, part, whole in (
        ("score", quality, true),
        ("precision", matched, predicted),
        ("recall", matched, true),
        ("mean_distance_px", distance, matched),
    ):
        known = whole > 0
        limits[name] = None
        if known.any():
            low, high = np.percentile(part[known] / whole[known], PERCENTILES)
            limits[name] = (float(low), float(high))
    return limits
