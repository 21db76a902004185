"""Scores of predictions against truth, as the papers define them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.matching import match_instances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.instances import Instances

__all__ = ["ConfusionMatrix", "Counts", "confusion_matrix", "count_matches", "counts_by_type"]


@dataclass(frozen=True)
class Counts:
    """Hits, false alarms and misses, and what follows from them.

    A score whose denominator is zero is None: it is not known. Nor is F1 where nothing is true.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def precision(self) -> float | None:
        """Share of the predictions that are true."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of the truth that was found."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        if self.recall is None:
            return None
        return _ratio(
            2 * self.true_positives,
            2 * self.true_positives + self.false_positives + self.false_negatives,
        )

    def as_dict(self) -> dict[str, int | float | None]:
        """Return counts and scores by name."""
        return {
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def count_matches(predicted: Instances, true: Instances, cut_off: float) -> Counts:
    """Count hits, false alarms and misses of one frame, whatever the types (P2, Fig. 3)."""
    match = match_instances(predicted, true, cut_off)
    return Counts(len(match.true), len(match.spurious), len(match.missed))


def counts_by_type(
    predicted: Instances, true: Instances, cut_off: float, names: Iterable[str]
) -> dict[str, Counts]:
    """Count each defect type by itself: only boxes of one type can match (P3)."""
    result = {}
    for name in names:
        # Ignored truth stays in for every type: nobody agreed on what it is.
        candidates = true[(true.defect_types == name) | true.ignore]
        result[name] = count_matches(predicted[predicted.defect_types == name], candidates, cut_off)
    return result


@dataclass(frozen=True)
class ConfusionMatrix:
    """Types of matched pairs: rows are the truth, columns the prediction.

    The last column holds truth that was missed, the last row predictions without truth.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    def class_accuracy(self) -> dict[str, float | None]:
        """Correct over matched true instances of each type (P3, Table 1)."""
        n = len(self.names)
        return {
            name: _ratio(int(self.counts[k, k]), int(self.counts[k, :n].sum()))
            for k, name in enumerate(self.names)
        }

    def as_dict(self) -> dict[str, Any]:
        """Return names and counts as plain lists."""
        return {"names": list(self.names), "counts": self.counts.tolist()}


def confusion_matrix(
    pairs: Iterable[tuple[Instances, Instances]], cut_off: float, names: Sequence[str]
) -> ConfusionMatrix:
    """Match boxes whatever their types, and count which type was taken for which.

    Parameters
    ----------
    pairs
        (predicted, true) of each frame.
    cut_off
        Overlap that a match needs.
    names
        Defect types in the order of rows and columns.

    Raises
    ------
    ValueError
        A prediction, or a true instance that counts, is of none of these types.
    """
    position = {name: k for k, name in enumerate(names)}
    n = len(names)
    counts = np.zeros((n + 1, n + 1), np.int64)
    for predicted, true in pairs:
        match = match_instances(predicted, true, cut_off)
        given = {*predicted.defect_types.tolist(), *true.defect_types[~true.ignore].tolist()}
        if not given <= position.keys():
            raise ValueError(
                f"the confusion matrix is of the types {', '.join(map(repr, names))}; "
                f"found {', '.join(map(repr, sorted(given - position.keys())))} as well"
            )
        p = [position[str(name)] for name in predicted.defect_types]
        t = [position.get(str(name), n) for name in true.defect_types]
        for a, b in zip(match.true, match.predicted, strict=True):
            counts[t[a], p[b]] += 1
        for a in match.missed:
            counts[t[a], n] += 1
        for b in match.spurious:
            counts[n, p[b]] += 1
    return ConfusionMatrix(tuple(names), counts)
