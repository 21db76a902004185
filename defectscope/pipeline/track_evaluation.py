"""Scores of tracks, of a run or of labelled images, against those that labelled images have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.errors import FormatError, UsageError
from defectscope.core.geometry.boxes import box_centres
from defectscope.core.tracking_metrics import tracking_scores
from defectscope.pipeline.given_tracks import given_tracks
from defectscope.pipeline.line_evaluation import line_positions
from defectscope.pipeline.results import Result
from defectscope.pipeline.truth_seen import unseen

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from defectscope.core.datasets import Dataset
    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances
    from defectscope.pipeline.joining import Joined

__all__ = ["run_tracks", "track_scores"]

BOXES = ["x_min", "y_min", "x_max", "y_max"]
NO_LINE = np.zeros((0, 2))


def run_tracks(
    predictions: Result | Dataset, tracks: str | Path | pd.DataFrame | None
) -> pd.DataFrame | None:
    """Return the tracks of a run that were given in place of its own; None where there are none.

    Raises
    ------
    UsageError
        There are tracks beside labelled predictions.
    InputError, FormatError
        They are not there, cannot be read, or were not linked from the detections of the run.
    """
    if tracks is None:
        return None
    if not isinstance(predictions, Result):
        raise UsageError(
            "tracks in a table of their own must be those of a run, found labelled predictions: "
            "give each label its track_id and leave out --tracks, or name the run"
        )
    return given_tracks(tracks, predictions)


def track_scores(
    predictions: Result | Dataset,
    joined: Sequence[Joined],
    iou: float,
    types: Mapping[str, DefectType],
    warnings: list[str],
    of_run: Result | None = None,
    linked: pd.DataFrame | None = None,
) -> dict[str, Any] | None:
    """Return MOTA, IDF1 and so on; None where one side has no tracks, or impossible ones.

    Parameters
    ----------
    predictions
        What was evaluated.
    joined
        Its frames beside their truth.
    iou
        Overlap of boxes that a match needs; where both sides have a line, lines decide.
    types
        Registered defect types, which say what is a line.
    warnings
        Gains a line where particles go on from one sequence into the next, and where a track is
        twice in a frame, so that there are no scores.
    of_run
        The run that is taken for the truth: what it did not look at is no false alarm.
    linked
        Tracks in place of those of a run; see `run_tracks`.
    """
    if not any("track_id" in j.true.measurements for j in joined):
        if linked is not None:
            warnings.append("tracks are not scored: no label of the truth has a track_id")
        return None
    if isinstance(predictions, Result):
        linked = predictions.tracks if linked is None else linked
        rows = _rows_of_run(predictions, linked, joined, types, warnings, of_run)
    else:
        rows = _rows_of_labels(joined, types, warnings)
    if rows is None:
        return None
    true = pd.concat([_labelled_rows(j, j.true, types) for j in joined], ignore_index=True)
    true = true.astype({"frame": "int64", "track_id": "int64"})
    if "sequence" in rows:
        rows, true = _numbered_on(joined, rows, true)
    try:
        return tracking_scores(rows, true, cut_off_iou=iou)
    except FormatError as error:
        # All else that was compared holds.
        warnings.append(f"tracks are not scored: {error}")
        return None


def _rows_of_run(
    run: Result,
    tracks: pd.DataFrame | None,
    joined: Sequence[Joined],
    types: Mapping[str, DefectType],
    warnings: list[str],
    of_run: Result | None,
) -> pd.DataFrame | None:
    if tracks is None:
        return None
    tracks = tracks[tracks["frame"].isin([j.frame for j in joined])]
    tracks = tracks.assign(line=_lines_of(tracks, run.detections, joined, types))
    out = np.zeros(len(tracks), bool)
    if of_run is not None:
        out = unseen(of_run, box_centres(tracks[BOXES].to_numpy(float)))
    warnings += _across_sequences(tracks, joined)
    return tracks[["frame", "particle", "line", *BOXES]].assign(ignore=out)


def _rows_of_labels(
    joined: Sequence[Joined], types: Mapping[str, DefectType], warnings: list[str]
) -> pd.DataFrame | None:
    """Return what has a ``track_id``, and its sequence; one in two sequences is two tracks.

    None, and a line in `warnings`, where an image has no frame index or a frame a track twice.
    """
    if not any("track_id" in j.predicted.measurements for j in joined):
        return None
    if any(j.frame is None for j in joined):
        warnings.append("tracks are not scored: there are images without a frame index")
        return None
    tracked = [(j, j.predicted[np.isfinite(_track_ids(j.predicted))]) for j in joined]
    rows = pd.concat([_labelled_rows(j, own, types) for j, own in tracked], ignore_index=True)
    twice = rows.duplicated(["sequence", "frame", "track_id"])
    if twice.any():
        # Under its own number, not the one that it gets below.
        track, frame = rows.loc[twice, ["track_id", "frame"]].iloc[0]
        warnings.append(
            "tracks are not scored: a track can be in a frame once, but track_id "
            f"{int(track)} is in frame {int(frame)} twice in the predictions"
        )
        return None
    particle = rows.groupby(["sequence", "track_id"]).ngroup()
    columns = ["frame", "sequence", "particle", "line", *BOXES, "ignore"]
    return rows.assign(particle=particle)[columns]


def _numbered_on(
    joined: Sequence[Joined], predicted: pd.DataFrame, true: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both sides with a number for each frame that no other sequence has."""
    keys = sorted({(j.sequence, j.frame) for j in joined if j.frame is not None})
    if len({frame for _, frame in keys}) < len(keys):  # else they keep their indices
        numbers = {key: number for number, key in enumerate(keys)}

        def own(side: pd.DataFrame) -> pd.DataFrame:
            frames = zip(side["sequence"], side["frame"], strict=True)
            return side.assign(frame=np.array([numbers[key] for key in frames], np.int64))

        predicted, true = own(predicted), own(true)
    return predicted.drop(columns="sequence"), true


def _lines_of(
    tracks: pd.DataFrame,
    detections: pd.DataFrame,
    joined: Sequence[Joined],
    types: Mapping[str, DefectType],
) -> NDArray[np.object_]:
    """Return the line of each row of tracks; those filled into gaps have none."""
    if "detection" not in tracks:
        return _column([NO_LINE] * len(tracks))
    numbers = dict(tuple(detections.groupby("frame")["detection"]))
    known = {
        (j.frame, int(numbers[j.frame].iloc[k])): line
        for j in joined
        if j.frame is not None
        for k, line in _lines(j.predicted, types).items()
    }
    keys = zip(tracks["frame"], tracks["detection"], strict=True)
    return _column(known.get(key, NO_LINE) for key in keys)


def _lines(instances: Instances, types: Mapping[str, DefectType]) -> dict[int, NDArray[np.float64]]:
    lines = instances.lines or ()
    return {k: lines[k] for k in line_positions(instances, types)}


def _column(lines: Iterable[NDArray[np.float64]]) -> NDArray[np.object_]:
    # numpy would make one array of lines of one length.
    return np.fromiter(lines, object)


def _track_ids(side: Instances) -> NDArray[np.float64]:
    return np.asarray(side.measurements.get("track_id", np.full(len(side), np.nan)), float)


def _labelled_rows(
    joined: Joined, side: Instances, types: Mapping[str, DefectType]
) -> pd.DataFrame:
    """Return the rows of one side of a frame."""
    n = len(side)
    ids = _track_ids(side)
    lines = _lines(side, types)
    # Truth without an identity is there all the same: what fits it is no false alarm.
    unknown = ~np.isfinite(ids)
    return pd.DataFrame(side.boxes.astype(float), columns=BOXES).assign(
        frame=joined.frame,
        sequence=joined.sequence,
        track_id=np.where(unknown, -1 - np.arange(n), ids),
        ignore=side.ignore | unknown,
        line=_column(lines.get(k, NO_LINE) for k in range(n)),
    )


def _across_sequences(tracks: pd.DataFrame, joined: Sequence[Joined]) -> list[str]:
    """Say so where a tracker took several sequences for one."""
    sequence = tracks["frame"].map({j.frame: j.sequence for j in joined})
    particles = sequence.groupby(tracks["particle"].to_numpy()).nunique()
    across = int((particles > 1).sum())
    if not across:
        return []
    return [
        f"{across} of {len(particles)} particles go on from one sequence of the truth into the "
        "next, which counts as wrong; to score the tracker alone, run each sequence by itself"
    ]
