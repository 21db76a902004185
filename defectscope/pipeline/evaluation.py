"""Predictions against truth: everything that the two allow to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.datasets import Dataset
from defectscope.core.defect_types import may_be_line
from defectscope.core.errors import OptionError, UsageError
from defectscope.core.instances import Instances
from defectscope.core.label_measurements import with_axes, with_courses
from defectscope.core.line_metrics import LineScores
from defectscope.core.metrics import Counts, confusion_matrix, count_matches, counts_by_type
from defectscope.core.sizes import (
    count_error,
    counted,
    longer_sides,
    size_errors,
    statistics_by_type,
)
from defectscope.pipeline.given_values import expected_path
from defectscope.pipeline.joining import Joined, join_frames
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.line_evaluation import frame_line_scores, has_lines, line_columns
from defectscope.pipeline.renaming import check_renames, expected_renames, names_in, renamed
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_labels import is_run, truth_of_run
from defectscope.pipeline.run_status import said_of_incomplete
from defectscope.pipeline.score_sweep import score_sweep
from defectscope.pipeline.track_evaluation import run_tracks, track_scores
from defectscope.pipeline.truth_seen import looked_at_px, outside_masks, within_roi
from defectscope.plugins.host import PluginHost, default_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from defectscope.core.defect_types import DefectType

__all__ = ["NOTHING_TRUE", "Evaluation", "check_overlap", "evaluate"]

GIVEN = "a run, or labelled data, or its path"
NOTHING_TRUE = (
    "the truth has no label that counts: recall and F1 are not known, and all that was found, but "
    "for what fits ignored truth, is taken for false alarms"
)


@dataclass(frozen=True)
class Evaluation:
    """Scores of predictions against truth.

    Attributes
    ----------
    iou
        Overlap that a match needs.
    overall
        Counts and scores whatever the types.
    per_frame
        One row a frame: counts, scores, number of instances, median longer box side.
    by_type
        Counts and scores of each defect type that truth or prediction names.
    confusion
        Confusion matrix and class accuracy, where there is more than one type.
    sizes
        Errors of counts and sizes.
    lines
        P1's score, precision, recall, distance, merges and splits of lines, where the truth has
        lines and the prediction has them too, or nothing. A line known by its mask alone is the
        course of the mask's skeleton.
    sweep
        F1 on a grid of scores and overlaps, and its best point, if asked for. Where that is to keep
        all, its score is the least that there is: below it nothing is known.
    tracking
        MOTA, IDF1 and so on, where both sides have tracks.
    warnings
        What could not be compared, and why.
    """

    iou: float
    overall: Counts
    per_frame: pd.DataFrame
    by_type: dict[str, Counts]
    confusion: dict[str, Any] | None
    sizes: dict[str, Any]
    lines: LineScores | None = None
    line_frames: tuple[LineScores, ...] = ()
    sweep: dict[str, Any] | None = None
    tracking: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        records = self.per_frame.astype(object).where(self.per_frame.notna(), None)
        return {
            "iou": self.iou,
            "overall": self.overall.as_dict(),
            "per_frame": records.to_dict("records"),
            "by_type": {name: counts.as_dict() for name, counts in self.by_type.items()},
            "confusion": self.confusion,
            "sizes": self.sizes,
            "lines": None if self.lines is None else self.lines.as_dict(),
            "sweep": self.sweep,
            "tracking": self.tracking,
            "warnings": self.warnings,
        }


def evaluate(
    predictions: Result | Dataset | Path | str,
    truth: Result | Dataset | Path | str,
    *,
    iou: float = 0.15,
    sweep: bool = False,
    rename: Mapping[str, str] | None = None,
    tracks: str | Path | pd.DataFrame | None = None,
    host: PluginHost | None = None,
) -> Evaluation:
    """Compare predictions with truth; frames are joined by file name.

    Parameters
    ----------
    predictions
        A run (its folder, or what a pipeline returned), or a dataset with scores.
    truth
        A labelled dataset; or another run (likewise), which is taken for the truth with a warning.
    iou
        Overlap of boxes that a match needs; P2 uses 0.15, P3 0.4.
    sweep
        Also search the grid of scores and overlaps for the best F1 (P3).
    rename
        New names of defect types by old ones, on both sides; those of one name become one.
    tracks
        A table that `track` linked from the detections of the run in `predictions`, or its file,
        in place of the run's own tracks.

    Raises
    ------
    UsageError
        No frame has both a prediction and a truth, or there are tracks beside labelled predictions.
    InputError, FormatError
        A side or the tracks are not there, or cannot be read.
    OptionError
        The overlap is not between 0 and 1, or what is to be renamed is not there.
    """
    check_overlap(iou)
    rename = expected_renames(rename)
    host = host or default_host()
    predictions, truth, of_run, warnings = _opened(predictions, truth, host)
    linked = run_tracks(predictions, tracks)
    types = host.defect_types()
    joined = join_frames(predictions, truth, types, warnings)
    if rename:
        check_renames(rename, names_in(truth) | _names_of(predictions), types)
    joined = _comparable(joined, rename, types)
    joined, area_px = _looked_at(joined, predictions, of_run, types, warnings)
    names = _type_names(joined)
    warnings += _foreign_names(joined)
    if all(j.true.ignore.all() for j in joined):
        warnings.append(NOTHING_TRUE)
    pairs = [(j.predicted, j.true) for j in joined]
    per_frame = pd.DataFrame([_frame_row(j, iou) for j in joined]).astype({"frame": "Int64"})
    declared = predictions.defect_types if isinstance(predictions, Dataset) else ()
    line_frames = _line_frames(pairs, types, declared)
    if line_frames:
        per_frame = per_frame.assign(**line_columns(line_frames))
    tracking = track_scores(predictions, joined, iou, types, warnings, of_run, linked)
    return Evaluation(
        iou,
        sum((count_matches(p, t, iou) for p, t in pairs), Counts()),
        per_frame,
        _sum_by_type(pairs, iou, names),
        _confusion(pairs, iou, names),
        {
            **count_error(pairs, iou),
            **size_errors(pairs, iou, types),
            "by_type": statistics_by_type(pairs, iou, types, area_px),
        },
        sum(line_frames, LineScores()) if line_frames else None,
        line_frames,
        score_sweep(pairs, warnings) if sweep else None,
        tracking,
        warnings,
    )


def _comparable(
    joined: list[Joined], rename: Mapping[str, str], types: Mapping[str, DefectType]
) -> list[Joined]:
    """Return both sides under their new names, with the courses of lines and the axes of masks."""

    def comparable(side: Instances) -> Instances:
        side = renamed(side, rename) if rename else side
        return with_axes(with_courses(side, types), types)

    return [replace(j, predicted=comparable(j.predicted), true=comparable(j.true)) for j in joined]


def _looked_at(
    joined: list[Joined],
    predictions: Result | Dataset,
    of_run: Result | None,
    types: Mapping[str, DefectType],
    warnings: list[str],
) -> tuple[list[Joined], float | None]:
    """Return what lies where the runs looked, and the area of that, px²; None without a run."""
    if not isinstance(predictions, Result):
        return joined, None
    joined = within_roi(joined, predictions.roi, types, warnings)
    joined = outside_masks(joined, predictions.masks, warnings)
    if of_run is not None:
        joined = within_roi(joined, of_run.roi, types, warnings, "predicted")
        joined = outside_masks(joined, of_run.masks, warnings, "predicted")
    runs = [predictions] if of_run is None else [predictions, of_run]
    return joined, looked_at_px(joined, runs)


def _names_of(predictions: Result | Dataset) -> set[str]:
    if isinstance(predictions, Dataset):
        return names_in(predictions)
    return {str(name) for name in predictions.detections["defect_type"].unique()}


def _opened(
    predictions: Result | Dataset | Path | str,
    truth: Result | Dataset | Path | str,
    host: PluginHost,
) -> tuple[Result | Dataset, Dataset, Result | None, list[str]]:
    """Return both sides, the run that is taken for the truth, and what their readers warn of."""
    if not isinstance(predictions, Result | Dataset):
        path = expected_path(predictions, GIVEN)
        predictions = Result(path) if is_run(path) else open_dataset(path, host)
    of_run: Result | None = None
    said: tuple[str, ...] = ()
    if not isinstance(truth, Dataset):
        path = truth.folder if isinstance(truth, Result) else expected_path(truth, GIVEN)
        if isinstance(truth, Result) or is_run(path):
            said = (_run_as_truth(path, predictions),)
            of_run = truth if isinstance(truth, Result) else Result(path)
        truth = (
            open_dataset(path, host)
            if of_run is None
            else truth_of_run(of_run, host.defect_types())
        )
    # Warnings of a run were about its input, and were said then.
    own = predictions.warnings if isinstance(predictions, Dataset) else ()
    warnings = [*said, *own, *truth.warnings]
    if isinstance(predictions, Result):
        warnings += said_of_incomplete(predictions)
    return predictions, truth, of_run, warnings


def _run_as_truth(path: Path, predictions: Result | Dataset) -> str:
    """Say that a run stands for the truth, where it cannot be a mistake."""
    if not isinstance(predictions, Result):
        raise UsageError(
            f"{path} is a run folder, and the prediction comes first: swap the two, or, if what "
            f"it found is the truth, name it as labels: convert {path} truth.json --to coco"
        )
    return f"{path} is a run: what it found is taken for the truth"


def check_overlap(iou: Any) -> None:
    """Refuse an overlap that no match can have, or every one has.

    Raises
    ------
    OptionError
        It is not above 0 and at most 1.
    """
    if not (isinstance(iou, Real) and 0 < float(iou) <= 1):
        raise OptionError(f"the overlap iou must be a number above 0 and at most 1, found {iou!r}")


def _type_names(joined: Iterable[Joined]) -> list[str]:
    names: dict[str, None] = {}
    for j in joined:
        names.update(dict.fromkeys(str(n) for n in j.true.defect_types[~j.true.ignore]))
    for j in joined:
        names.update(dict.fromkeys(str(n) for n in j.predicted.defect_types))
    return list(names)


def _foreign_names(joined: Iterable[Joined]) -> list[str]:
    """Say so where prediction and truth have no name of a defect type in common."""
    found: set[str] = set()
    labelled: set[str] = set()
    for j in joined:
        found.update(str(name) for name in j.predicted.defect_types)
        labelled.update(str(name) for name in j.true.defect_types[~j.true.ignore])
    if not found or not labelled or found & labelled:
        return []
    return [
        f"the prediction has the defect types {', '.join(sorted(found))}, the truth "
        f"{', '.join(sorted(labelled))}: no score by type means anything until both have the same "
        "names"
    ]


def _line_frames(
    pairs: Sequence[tuple[Instances, Instances]],
    types: Mapping[str, DefectType],
    declared: Sequence[str],
) -> tuple[LineScores, ...]:
    """Return the scores of lines of each frame; nothing where there are none to compare.

    `declared` are the defect types that a detector says it finds, where it is known.
    """
    if not any(has_lines(true, types) for _, true in pairs):
        return ()
    if not any(has_lines(p, types) for p, _ in pairs):
        # A detector of boxes says nothing about lines, also where it finds nothing.
        other = bool(declared) and not any(may_be_line(name, types) for name in declared)
        if other or any(len(p) for p, _ in pairs):
            return ()
    return tuple(frame_line_scores(p, t, types) for p, t in pairs)


def _median_side(instances: Instances) -> float | None:
    return float(np.median(longer_sides(instances))) if len(instances) else None


def _frame_row(joined: Joined, iou: float) -> dict[str, Any]:
    counts = count_matches(joined.predicted, joined.true, iou)
    # Without those that lie on what is to be ignored, as in the sum over all frames.
    predicted = counted(joined.predicted, joined.true, iou)
    true = joined.true[~joined.true.ignore]
    return {
        "name": joined.name,
        "frame": joined.frame,
        **counts.as_dict(),
        "predicted": len(predicted),
        "true": len(true),
        "predicted_median_side_px": _median_side(predicted),
        "true_median_side_px": _median_side(true),
    }


def _sum_by_type(
    pairs: Sequence[tuple[Instances, Instances]], iou: float, names: Sequence[str]
) -> dict[str, Counts]:
    totals = dict.fromkeys(names, Counts())
    for predicted, true in pairs:
        for name, counts in counts_by_type(predicted, true, iou, names).items():
            totals[name] += counts
    return totals


def _confusion(
    pairs: Sequence[tuple[Instances, Instances]], iou: float, names: Sequence[str]
) -> dict[str, Any] | None:
    if len(names) < 2:
        return None
    matrix = confusion_matrix(pairs, iou, names)
    return {**matrix.as_dict(), "class_accuracy": matrix.class_accuracy()}
