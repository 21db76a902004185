"""What the frames of a series are told apart by: their dose, their time, or their index."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["series_column"]


def series_column(frames: pd.DataFrame) -> str:
    """Return the column that values of a series belong against.

    Parameters
    ----------
    frames
        Rows of ``frames.csv``; those that could not be read have no say.

    Returns
    -------
    str
        ``dose_dpa``, else ``time_s``, else ``frame``: the first that is known of every frame, and
        is not the same for all of several ones.
    """
    read = frames[frames["status"] == "ok"] if "status" in frames else frames
    for name in ("dose_dpa", "time_s"):
        values = set(read[name].tolist()) if name in read and read[name].notna().all() else set()
        # A frame without a value would have no place on the axis, and go missing.
        if len(values) > 1 or len(values) == len(read) == 1:
            return name
    return "frame"
