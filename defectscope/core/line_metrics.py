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
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.curves import POINTS, distances_to_curve, mean_curve_distance
from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MOST_DISTANCE_PX", "LineMatch", "LineScores", "excused_lines", "lies_along", "line_distances",
    "match_lines", "score_lines",
]  # fmt: skip

MOST_DISTANCE_PX = 5.0
# A line lies on another where this part of it is nearer than this.
LIES_ON_SHARE, LIES_ON_PX = 0.8, 2.5
# Shorter lines are no part into which another was split.
LEAST_PART_PX = 8.0


@dataclass(frozen=True)
class LineMatch:
    """Pairs of predicted and true lines of one frame; arrays have the length of the pairs."""

    predicted: NDArray[np.intp]
    true: NDArray[np.intp]
    quality: NDArray[np.float64]
    distance_px: NDArray[np.float64]


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


def _boxes(lines: Sequence[NDArray[np.float64]], margin: float) -> NDArray[np.float64]:
    return np.array([[*(p.min(axis=0) - margin), *(p.max(axis=0) + margin)] for p in lines])


def _close_pairs(
    a: Sequence[NDArray[np.float64]], b: Sequence[NDArray[np.float64]], margin: float
) -> list[tuple[int, int]]:
    """Return positions of lines whose boxes come within a margin."""
    if not (len(a) and len(b)):
        return []
    first, second = _boxes(a, margin), _boxes(b, 0.0)
    touch = (first[:, None, :2] <= second[None, :, 2:]).all(axis=2)
    touch &= (first[:, None, 2:] >= second[None, :, :2]).all(axis=2)
    return [(int(i), int(j)) for i, j in np.argwhere(touch)]


def line_distances(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    most_distance_px: float = MOST_DISTANCE_PX,
) -> NDArray[np.float64]:
    """Return the (n, m) mean curve distances of lines, px; infinite where they cannot match.

    Parameters
    ----------
    predicted, true
        (k, 2) points x, y of each line.
    most_distance_px
        Pairs whose mean curve distance is larger cannot match.
    """
    distance = np.full((len(predicted), len(true)), np.inf)
    for i, j in _close_pairs(predicted, true, most_distance_px):
        distance[i, j] = mean_curve_distance(predicted[i], true[j])
    distance[distance > most_distance_px] = np.inf
    return distance


def match_lines(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    most_distance_px: float = MOST_DISTANCE_PX,
) -> LineMatch:
    """Pair lines one to one so that the sum of 1 - relative length error is largest.

    Parameters are those of :func:`line_distances`.
    """
    from scipy.optimize import linear_sum_assignment

    distance = line_distances(predicted, true, most_distance_px)
    quality = np.zeros(distance.shape)
    lengths = [polyline_length(line) for line in true]
    allowed = np.isfinite(distance)
    for i, j in np.argwhere(allowed):
        error = abs(polyline_length(predicted[i]) - lengths[j]) / max(lengths[j], 1e-9)
        quality[i, j] = max(0.0, 1 - error)
    # Any match is better than none; of equal ones the nearer.
    gain = np.where(allowed, 0.01 + quality + 1e-3 * (1 - distance / (most_distance_px + 1)), 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = allowed[rows, columns]
    rows, columns = rows[real], columns[real]
    return LineMatch(rows, columns, quality[rows, columns], distance[rows, columns])


def score_lines(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    most_distance_px: float = MOST_DISTANCE_PX,
    ignored: Sequence[NDArray[np.float64]] = (),
    unknown: NDArray[np.bool_] | None = None,
) -> LineScores:
    """Score the lines of one frame; see :func:`match_lines`.

    `ignored` are further true lines that count as neither found nor missed; what was found of
    them is no invention. Nor is what has most of its length where `unknown`, (H, W), is True
    (:func:`~defectscope.core.ignored_regions.ignored_region`).
    """
    predicted = [line for line in predicted if len(line)]
    true = [line for line in true if len(line)]
    gone = excused_lines(predicted, true, ignored, unknown, most_distance_px)
    predicted = [line for k, line in enumerate(predicted) if k not in gone]
    match = match_lines(predicted, true, most_distance_px)
    merges, splits = np.zeros(len(predicted), int), np.zeros(len(true), int)
    for i, j in _close_pairs(predicted, true, LIES_ON_PX):
        merges[i] += _lies_on(true[j], predicted[i])
        splits[j] += _lies_on(predicted[i], true[j])
    return LineScores(
        len(true),
        len(predicted),
        len(match.true),
        float(match.quality.sum()),
        float(match.distance_px.sum()),
        int((merges > 1).sum()),
        int((splits > 1).sum()),
    )


def excused_lines(
    predicted: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.float64]],
    ignored: Sequence[NDArray[np.float64]] = (),
    unknown: NDArray[np.bool_] | None = None,
    most_distance_px: float = MOST_DISTANCE_PX,
) -> set[int]:
    """Return the positions of found lines that are no invention, though they match no other.

    An ignored line may have been found in pieces: what lies along one is excused, however many. So
    is what lies where nothing is known. Parameters are those of :func:`score_lines`.
    """
    if not ignored and unknown is None:
        return set()
    taken = set(match_lines(predicted, true, most_distance_px).predicted.tolist())
    alone = [k for k in range(len(predicted)) if k not in taken]
    rest = [predicted[k] for k in alone]
    gone = {alone[k] for k in match_lines(rest, ignored, most_distance_px).predicted.tolist()}
    for i, j in _close_pairs(rest, ignored, most_distance_px):
        if lies_along(rest[i], ignored[j], most_distance_px):
            gone.add(alone[i])
    if unknown is not None:
        gone.update(k for k in alone if _lies_in(predicted[k], unknown))
    return gone


def _lies_on(part: NDArray[np.float64], whole: NDArray[np.float64]) -> bool:
    return polyline_length(part) >= LEAST_PART_PX and lies_along(part, whole, LIES_ON_PX)


def lies_along(part: NDArray[np.float64], whole: NDArray[np.float64], distance_px: float) -> bool:
    """Return whether most of a line is nearer to another than a distance."""
    near = distances_to_curve(polyline_resample(part, POINTS), whole) <= distance_px
    return bool(near.mean() >= LIES_ON_SHARE)


def _lies_in(line: NDArray[np.float64], region: NDArray[np.bool_]) -> bool:
    """Return whether a line has more than half of its length in a region."""
    most = np.array(region.shape[::-1]) - 1
    x, y = np.clip(np.floor(polyline_resample(line, POINTS)), 0, most).astype(np.intp).T
    return bool(region[y, x].mean() > 0.5)
