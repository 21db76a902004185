"""How well a detector did on a dataset, and how sure that is: scores with bootstrap limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.metrics import Counts, count_matches
from defectscope.core.sizes import count_error, size_errors
from defectscope.pipeline.bootstrap import (
    SCORE_NAMES,
    bootstrap_limits,
    resampled_frames,
    whole_sequences,
)
from defectscope.pipeline.evaluation import Evaluation, evaluate
from defectscope.pipeline.joining import join_frames
from defectscope.pipeline.line_evaluation import FRAME_COLUMNS, line_limits
from defectscope.pipeline.score_sweep import known_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.datasets import Dataset
    from defectscope.core.instances import Instances
    from defectscope.plugins.host import PluginHost

__all__ = ["LineScores", "score_line"]

Pairs = Sequence[tuple["Instances", "Instances"]]

IOUS = tuple(round(k / 20, 2) for k in range(1, 20))
SCORE_STEPS = 40
# Columns of a frame that may be empty.
MAYBE_UNKNOWN = (
    *SCORE_NAMES, "predicted_median_side_px", "true_median_side_px", "count_error",
    "median_side_error",
)  # fmt: skip


@dataclass(frozen=True)
class LineScores:
    """Accuracy of one detector on one dataset.

    Attributes
    ----------
    evaluation
        Everything that ``evaluate`` finds.
    limits
        95 % limits of precision, recall and F1 by bootstrap; None where they are not known, as
        from a single frame.
    over_iou
        F1 and its limits for every overlap that a match may need.
    over_score
        Scores and limits of F1 for every least score of a detection, at the given overlap.
    per_frame
        One row a frame: counts, scores, errors of count and of median longer box side; scores of
        lines where there are any.
    line_limits
        95 % limits of the scores of lines.
    resampled
        What all limits are by a bootstrap over: ``sequences``, where the truth is several ones of
        more than one frame each, else ``frames``, which are taken as independent.
    least_found
        The least score of a detection; 0 where there is none.
    """

    evaluation: Evaluation
    limits: dict[str, tuple[float, float] | None]
    over_iou: pd.DataFrame
    over_score: pd.DataFrame
    per_frame: pd.DataFrame
    line_limits: dict[str, tuple[float, float] | None]
    resampled: str = "frames"
    least_found: float = 0.0

    @property
    def best_score(self) -> dict[str, float] | None:
        """The least score that gives the best F1, and that F1: for information, as it is fitted.

        It is never below the least score that was found, under which nothing is known.
        """
        f1 = self.over_score["f1"].to_numpy(float)
        if not np.isfinite(f1).any():
            return None
        best = int(np.nanargmax(f1))
        score = max(float(self.over_score["score"].iloc[best]), self.least_found)
        return {"score": score, "f1": float(f1[best])}

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            **self.evaluation.as_dict(),
            "limits": {name: list(pair) if pair else None for name, pair in self.limits.items()},
            "line_limits": {
                name: list(pair) if pair else None for name, pair in self.line_limits.items()
            },
            "resampled": self.resampled,
            "over_iou": _records(self.over_iou),
            "over_score": _records(self.over_score),
            "best_score": self.best_score,
            "per_frame": _records(self.per_frame),
        }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def score_line(predicted: Dataset, truth: Dataset, iou: float, host: PluginHost) -> LineScores:
    """Score predictions, and resample their frames, or whole sequences of them.

    Parameters
    ----------
    predicted, truth
        Labelled images of the same names.
    iou
        Overlap of boxes that a match needs.
    host
        For what "diameter" means.

    Raises
    ------
    UsageError
        No frame has both, or sizes of images differ.
    """
    evaluation = evaluate(predicted, truth, iou=iou, host=host)
    joined = join_frames(predicted, truth, host.defect_types(), [])
    pairs = [(j.predicted, j.true) for j in joined]
    sequences = [j.sequence for j in joined]
    frames = resampled_frames(len(pairs), sequences=sequences)
    _, limits = _with_limits(_count_array(pairs, [(iou, None)]), frames)
    scores = _least_scores(pairs)
    return LineScores(
        evaluation,
        {name: limits[name][0] for name in SCORE_NAMES},
        _curve("iou", IOUS, _count_array(pairs, [(cut, None) for cut in IOUS]), frames),
        _curve("score", scores, _count_array(pairs, [(iou, score) for score in scores]), frames),
        _frame_table(evaluation, pairs, iou, host),
        line_limits(evaluation.line_frames, frames),
        "sequences" if whole_sequences(sequences) else "frames",
        known_threshold(scores[0], pairs),
    )


def _least_scores(pairs: Pairs) -> list[float]:
    """Return 0 to 1 in steps; further where scores lie outside."""
    found = np.concatenate([np.array([0.0, 1.0]), *(p.scores.astype(float) for p, _ in pairs)])
    steps = np.linspace(found.min(), found.max(), SCORE_STEPS + 1)
    return [round(float(step), 6) for step in steps]


def _count_array(pairs: Pairs, settings: Sequence[tuple[float, float | None]]) -> NDArray[np.int64]:
    """Return (frames, settings, 3): hits, false alarms, misses at each (overlap, least score)."""
    counts = np.zeros((len(pairs), len(settings), 3), np.int64)
    for k, (predicted, true) in enumerate(pairs):
        for column, (cut, score) in enumerate(settings):
            kept = predicted if score is None else predicted[predicted.scores >= score]
            found = count_matches(kept, true, cut)
            counts[k, column] = (
                found.true_positives, found.false_positives, found.false_negatives,
            )  # fmt: skip
    return counts


def _with_limits(
    counts: NDArray[np.int64], frames: NDArray[np.int64] | None
) -> tuple[list[Counts], dict[str, list[tuple[float, float] | None]]]:
    """Return totals of each setting, and its limits by name of the score."""
    totals = [Counts(*row) for row in counts.sum(axis=0).tolist()]
    each = [bootstrap_limits(counts[:, k], frames) for k in range(counts.shape[1])]
    return totals, {name: [limits[name] for limits in each] for name in SCORE_NAMES}


def _curve(
    name: str,
    values: Sequence[float],
    counts: NDArray[np.int64],
    frames: NDArray[np.int64] | None,
) -> pd.DataFrame:
    totals, limits = _with_limits(counts, frames)
    pairs = [pair or (np.nan, np.nan) for pair in limits["f1"]]
    columns: dict[str, Any] = {
        name: list(values),
        **{score: [getattr(total, score) for total in totals] for score in SCORE_NAMES},
        "f1_low": [low for low, _ in pairs],
        "f1_high": [high for _, high in pairs],
    }
    return pd.DataFrame(columns).astype(float)


def _frame_table(
    evaluation: Evaluation, pairs: Pairs, iou: float, host: PluginHost
) -> pd.DataFrame:
    types = host.defect_types()
    table = evaluation.per_frame.assign(
        count_error=[count_error([pair], iou)["count_error"] for pair in pairs],
        median_side_error=[
            size_errors([pair], iou, types)["median_side_error_per_frame"] for pair in pairs
        ],
    )
    # A column in which nothing is known would be one of objects.
    maybe = (*MAYBE_UNKNOWN, *(name for name in FRAME_COLUMNS if name in table))
    return table.astype(dict.fromkeys(maybe, float))
