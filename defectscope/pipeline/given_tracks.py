"""Tracks out of a table of their own, in place of those of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from defectscope.core.errors import FormatError, InputError
from defectscope.core.tables import DETECTION_COLUMNS
from defectscope.pipeline.detection_files import plain_table
from defectscope.pipeline.given_values import expected_path
from defectscope.pipeline.parts import read_table

if TYPE_CHECKING:
    from defectscope.pipeline.results import Result

__all__ = ["detections_of", "given_tracks"]


def given_tracks(tracks: str | Path | pd.DataFrame, result: Result) -> pd.DataFrame:
    """Return the tracks in a table that was linked from the detections of a run.

    Parameters
    ----------
    tracks
        A CSV or Parquet file, as ``track`` writes it, or the table itself.
    result
        The run.

    Raises
    ------
    InputError
        There is no such file.
    FormatError
        It is no table, lacks a column of the detections or ``particle``, has other frames, or a
        particle twice in one.
    """
    if isinstance(tracks, pd.DataFrame):
        table, called = plain_table(tracks), "the tracks"
    else:
        path = expected_path(tracks, "a table of tracks, or its file")
        table, called = _read(path), f"the tracks {path}"
    missing = [name for name in (*DETECTION_COLUMNS, "particle") if name not in table]
    if missing:
        raise FormatError(
            f"{called} lack the columns {', '.join(missing)}; link the table of the run: "
            f"track {detections_of(result)}"
        )
    if table["particle"].isna().any() or not table["frame"].isin(result.frames["frame"]).all():
        raise FormatError(
            f"{called} have rows without a particle, or of frames that the run lacks; "
            f"link the table of the run: track {detections_of(result)}"
        )
    table = table.astype({**DETECTION_COLUMNS, "particle": "int64"})
    twice = table.duplicated(["frame", "particle"])
    if twice.any():
        particle, frame = table.loc[twice, ["particle", "frame"]].iloc[0]
        raise FormatError(
            f"{called} must have each particle once a frame, found particle {particle} "
            f"twice in frame {frame}; leave one of the two rows out, or link the table of the run: "
            f"track {detections_of(result)}"
        )
    return table


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no table of tracks at {path}")
    try:
        return read_table(path)
    except (OSError, FormatError) as error:
        # Not what to do about a table of a run: this one is the user's.
        reason = " ".join(str(error.__cause__ or error).split())
        raise FormatError(
            f"the tracks {path} cannot be read as .csv or .parquet: {reason}"
        ) from error


def detections_of(result: Result) -> Path:
    """Return where the detections of a run are, which is told by ``--format``."""
    found = result.own_folder / "detections.csv"
    return found if found.is_file() else found.with_suffix(".parquet")
