"""The score that decides which state of a network is kept, and the threshold that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.line_metrics import LineScores, score_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.line_tracer.tracing import TracedLine

__all__ = ["THRESHOLDS", "BestLines", "best_line_threshold"]

Lines = Sequence["NDArray[np.float64]"]
THRESHOLDS = np.round(np.arange(0.3, 0.96, 0.025), 3)


class BestLines(NamedTuple):
    """Mean of P1's score and F1 of lines, the threshold, and all scores there."""

    score: float
    threshold: float
    lines: LineScores


def best_line_threshold(
    frames: Sequence[tuple[Sequence[TracedLine], Lines, Lines]],
) -> BestLines:
    """Return the best threshold of the mean probability along lines.

    P1's score alone would take the lowest: it does not see lines that were invented. So half of
    what counts is F1.

    Parameters
    ----------
    frames
        Found and true lines of each frame, and true ones that do not count.
    """
    best = BestLines(-1.0, float(THRESHOLDS[0]), LineScores())
    for threshold in THRESHOLDS:
        total = sum(
            (
                score_lines(
                    [line.points for line in found if line.score >= threshold],
                    true,
                    ignored=excused,
                )
                for found, true, excused in frames
            ),
            LineScores(),
        )
        value = ((total.score or 0.0) + (total.f1 or 0.0)) / 2
        if value > best.score:
            best = BestLines(value, float(threshold), total)
    return best
