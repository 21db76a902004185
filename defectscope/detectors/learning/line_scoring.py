"""The score of lines that decides which state of a network is kept, and the threshold with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from defectscope.core.ignored_regions import ignored_region
from defectscope.core.line_metrics import LineComparison, LineScores
from defectscope.detectors.learning.scoring import DETECTION, share_with_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from defectscope import Instances

__all__ = ["BestLines", "FoundLines", "best_line_threshold"]


class ScoredLine(Protocol):
    """A line with its score."""

    @property
    def points(self) -> NDArray[np.float64]:
        """(k, 2) x, y, px."""

    @property
    def score(self) -> float:
        """How sure the network is, 0 to 1."""


class FoundLines(NamedTuple):
    """What was found in one frame, its true lines, those that do not count, and where none does."""

    found: Sequence[ScoredLine]
    true: Sequence[NDArray[np.float64]]
    ignored: Sequence[NDArray[np.float64]]
    unknown: NDArray[np.bool_] | None

    @classmethod
    def of(
        cls,
        found: Sequence[ScoredLine],
        truth: Instances,
        lines: Callable[[Instances, bool], Sequence[NDArray[np.float64]]],
    ) -> FoundLines:
        """Put what was found beside the truth; `lines` gives the lines of that, ignored or not."""
        return cls(found, lines(truth, False), lines(truth, True), ignored_region(truth))

    def scores(self, thresholds: Iterable[float]) -> list[LineScores]:
        """Return the scores of the lines from each threshold on."""
        found = [line for line in self.found if len(line.points)]
        compared = LineComparison(
            [line.points for line in found], [line for line in self.true if len(line)],
            ignored=self.ignored, unknown=self.unknown,
        )  # fmt: skip
        sure = np.array([line.score for line in found], float)
        return [compared.scores(np.flatnonzero(sure >= threshold)) for threshold in thresholds]


class BestLines(NamedTuple):
    """Mean of P1's score and F1 of lines, the threshold, and there all scores of each frame."""

    score: float
    threshold: float
    frames: tuple[LineScores, ...]

    @property
    def lines(self) -> LineScores:
        """All scores of all frames."""
        return sum(self.frames, LineScores())

    @property
    def detection(self) -> dict[str, float]:
        """Precision, recall and their standard errors, as a validation logs them."""
        matched = [frame.matched for frame in self.frames]
        precision = share_with_error(matched, [frame.predicted for frame in self.frames])
        recall = share_with_error(matched, [frame.true for frame in self.frames])
        return dict(zip(DETECTION, (*precision, *recall), strict=True))


def best_line_threshold(frames: Sequence[FoundLines], thresholds: Iterable[float]) -> BestLines:
    """Return the best of ascending thresholds, of equal ones the lowest.

    P1's score alone would take the lowest of all: it does not see lines that were invented. So half
    of what counts is F1.
    """
    thresholds, found = list(thresholds), []
    by_frame = [frame.scores(thresholds) for frame in frames]
    for k, threshold in enumerate(thresholds):
        scores = tuple(of_frame[k] for of_frame in by_frame)
        total = sum(scores, LineScores())
        value = ((total.score or 0.0) + (total.f1 or 0.0)) / 2
        found.append(BestLines(value, float(threshold), scores))
    return max(found, key=lambda best: best.score)
