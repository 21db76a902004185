"""Scores of the tracks of a run against the tracks that labelled images have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.errors import FormatError
from defectscope.core.tracking_metrics import tracking_scores
from defectscope.pipeline.results import Result

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.pipeline.joining import Joined

__all__ = ["track_scores"]

BOXES = ["x_min", "y_min", "x_max", "y_max"]


def track_scores(
    predictions: Result | Dataset, joined: Sequence[Joined], iou: float, warnings: list[str]
) -> dict[str, Any] | None:
    """Return MOTA, IDF1 and so on; None where one side has no tracks, or impossible ones.

    Parameters
    ----------
    predictions
        What was evaluated.
    joined
        Its frames beside their truth.
    iou
        Overlap of boxes that a match needs.
    warnings
        Gains a line where particles go on from one sequence into the next, and where a track is
        twice in a frame, so that there are no scores.
    """
    if not isinstance(predictions, Result) or predictions.tracks is None:
        return None
    if not any("track_id" in j.true.measurements for j in joined):
        return None
    true = pd.concat([_true_rows(j) for j in joined], ignore_index=True)
    true = true.astype({"frame": "int64", "track_id": "int64"})
    tracks = predictions.tracks
    tracks = tracks[tracks["frame"].isin([j.frame for j in joined])]
    warnings += _across_sequences(tracks, joined)
    try:
        return tracking_scores(tracks[["frame", "particle", *BOXES]], true, cut_off_iou=iou)
    except FormatError as error:
        # All else that was compared holds.
        warnings.append(f"tracks are not scored: {error}")
        return None


def _true_rows(joined: Joined) -> pd.DataFrame:
    n = len(joined.true)
    ids = np.asarray(joined.true.measurements.get("track_id", np.full(n, np.nan)), float)
    # Truth without an identity is there all the same: what fits it is no false alarm.
    unknown = ~np.isfinite(ids)
    return pd.DataFrame(joined.true.boxes.astype(float), columns=BOXES).assign(
        frame=joined.frame,
        sequence=joined.sequence,
        track_id=np.where(unknown, -1 - np.arange(n), ids),
        ignore=joined.true.ignore | unknown,
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
