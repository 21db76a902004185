"""The score that decides which state of a network is kept, and the threshold that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.line_metrics import LineScores
from defectscope.detectors.learning.ignored import score_known_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.line_tracer.tracing import TracedLine

__all__ = ["THRESHOLDS", "BestLines", "FoundLines", "best_line_threshold"]

Lines = Sequence["NDArray[np.float64]"]
THRESHOLDS = np.round(np.arange(0.3, 0.96, 0.025), 3)


class FoundLines(NamedTuple):
    """Found and true lines of one frame, and true ones that do not count.

    ``inside`` says which of those found lie where nothing is known.
    """

    found: Sequence[TracedLine]
    true: Lines
    ignored: Lines
    inside: NDArray[np.bool_]

    def scores(self, threshold: float) -> LineScores:
        """Return the scores of the lines from a threshold on."""
        kept = np.array([line.score >= threshold for line in self.found], bool)
        lines = [self.found[k].points for k in np.flatnonzero(kept).tolist()]
        return score_known_lines(lines, self.inside[kept], self.true, self.ignored)


class BestLines(NamedTuple):
    """Mean of P1's score and F1 of lines, the threshold, and all scores there."""

    score: float
    threshold: float
    lines: LineScores


def best_line_threshold(frames: Sequence[FoundLines]) -> BestLines:
    """Return the best threshold of the mean probability along lines.

    P1's score alone would take the lowest: it does not see lines that were invented. So half of
    what counts is F1.
    """
    best = BestLines(-1.0, float(THRESHOLDS[0]), LineScores())
    for threshold in THRESHOLDS:
        total = sum((frame.scores(threshold) for frame in frames), LineScores())
        value = ((total.score or 0.0) + (total.f1 or 0.0)) / 2
        if value > best.score:
            best = BestLines(value, float(threshold), total)
    return best
