"""The spline metric for lines (P1: Govind et al., section 3), and what it does not see.

P1's score is the mean over all true lines of 1 - relative length error of the line's match, at
least 0, and 0 where there is none. Here a match also needs a mean distance of at most 5 px: the
right length in the wrong place is a miss. Lines that were invented do not lower the score; they
show in precision, beside it. Precision, recall and F1 count matches of any length: a fragment on a
true line is a hit there, and only the score tells how little of the line was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.line_pairs import (
    MOST_DISTANCE_PX,
    LineMatch,
    best_pairs,
    lies_in,
    line_distances,
    line_qualities,
    lying_along,
    lying_on,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LineComparison", "LineScores", "score_lines"]


@dataclass(frozen=True)
class LineScores:
    """Sums over frames, from which the scores follow.

    Parameters
    ----------
    true, predicted, matched
        Numbers of lines.
    quality
        Sum of 1 - relative length error over the matches.
    distance_px
        Sum of the mean distances of the matches.
    merges
        Predicted lines that lie on two true ones or more.
    splits
        True lines on which two predicted ones or more lie.
    """

    true: int = 0
    predicted: int = 0
    matched: int = 0
    quality: float = 0.0
    distance_px: float = 0.0
    merges: int = 0
    splits: int = 0

    def __add__(self, other: LineScores) -> LineScores:
        names = self.__dataclass_fields__
        return LineScores(*(getattr(self, n) + getattr(other, n) for n in names))

    @property
    def score(self) -> float | None:
        """P1's score."""
        return self.quality / self.true if self.true else None

    @property
    def precision(self) -> float | None:
        """Part of the predicted lines that match."""
        return self.matched / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Part of the true lines that match."""
        return self.matched / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; not known where nothing is true."""
        return 2 * self.matched / (self.true + self.predicted) if self.true else None

    @property
    def mean_distance_px(self) -> float | None:
        """Mean distance of matched lines, px."""
        return self.distance_px / self.matched if self.matched else None

    def as_dict(self) -> dict[str, float | int | None]:
        """Return counts and scores by name."""
        return {
            "score": self.score,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "mean_distance_px": self.mean_distance_px,
            "true": self.true,
            "predicted": self.predicted,
            "matched": self.matched,
            "merges": self.merges,
            "splits": self.splits,
        }


class LineComparison:
    """Predicted and true lines of one frame, to be scored for any part of the predicted ones.

    What pairs of lines are to each other is worked out once, which is nearly all of the work.

    Parameters
    ----------
    predicted, true
        (k, 2) points x, y of each line, px.
    most_distance_px
        Pairs whose mean curve distance is larger cannot match.
    ignored
        Further true lines that count as neither found nor missed; what was found of them is no
        invention.
    unknown
        (H, W) True where nothing is known
        (:func:`~defectscope.core.ignored_regions.ignored_region`): what has most of its length
        there is no invention either.
    """

    def __init__(
        self,
        predicted: Sequence[NDArray[np.float64]],
        true: Sequence[NDArray[np.float64]],
        most_distance_px: float = MOST_DISTANCE_PX,
        ignored: Sequence[NDArray[np.float64]] = (),
        unknown: NDArray[np.bool_] | None = None,
    ) -> None:
        self._predicted, self._true, self._most = predicted, true, most_distance_px
        self._distance, self._quality = self._pairs(predicted, true)
        self._ignored, self._unknown = ignored, unknown

    @cached_property
    def _lying(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return lying_on(self._predicted, self._true)

    @cached_property
    def _to_ignored(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._pairs(self._predicted, self._ignored)

    @cached_property
    def _excusable(self) -> NDArray[np.bool_]:
        # An ignored line may have been found in pieces: what lies along one is excused, however
        # many.
        found = lying_along(self._predicted, self._ignored, self._most)
        if self._unknown is not None:
            found |= np.array([lies_in(line, self._unknown) for line in self._predicted], bool)
        return found

    def _pairs(
        self, predicted: Sequence[NDArray[np.float64]], true: Sequence[NDArray[np.float64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        distance = line_distances(predicted, true, self._most)
        return distance, line_qualities(predicted, true, np.isfinite(distance))

    def match(self, rows: NDArray[np.intp]) -> LineMatch:
        """Pair the predicted lines at these positions; positions of the pairs are among `rows`."""
        return best_pairs(self._distance[rows], self._quality[rows], self._most)

    def counted(self, rows: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
        """Return which of the predicted lines at these positions, or of all, are counted.

        Left out are those that are no invention, though they match no true line.
        """
        rows = np.arange(len(self._predicted)) if rows is None else rows
        if not len(self._ignored) and self._unknown is None:
            return rows
        alone = np.delete(rows, self.match(rows).predicted)
        distance, quality = (values[alone] for values in self._to_ignored)
        of_ignored = alone[best_pairs(distance, quality, self._most).predicted]
        excused = np.union1d(of_ignored, alone[self._excusable[alone]])
        return np.setdiff1d(rows, excused, assume_unique=True)

    def scores(self, rows: NDArray[np.intp] | None = None) -> LineScores:
        """Return the scores of the predicted lines at these positions, or of all."""
        rows = self.counted(rows)
        match = self.match(rows)
        holds, lies = self._lying
        return LineScores(
            len(self._true),
            len(rows),
            len(match.true),
            float(match.quality.sum()),
            float(match.distance_px.sum()),
            int((holds[rows].sum(axis=1) > 1).sum()),
            int((lies[rows].sum(axis=0) > 1).sum()),
        )


def score_lines(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    most_distance_px: float = MOST_DISTANCE_PX,
    ignored: Sequence[NDArray[np.float64]] = (),
    unknown: NDArray[np.bool_] | None = None,
) -> LineScores:
    """Score the lines of one frame; parameters are those of :class:`LineComparison`."""
    predicted = [line for line in predicted if len(line)]
    true = [line for line in true if len(line)]
    return LineComparison(predicted, true, most_distance_px, ignored, unknown).scores()
