"""The table of frames that a run writes: ``frames.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from defectscope.core.tables import FRAME_COLUMNS, SHIFT_COLUMNS
from defectscope.pipeline.registering import shift_row

if TYPE_CHECKING:
    from defectscope.core.calibration import Calibration
    from defectscope.core.registration import Shift
    from defectscope.pipeline.stages import FrameOutcome

__all__ = ["frame_columns", "frame_table"]


def frame_columns(registered: bool) -> dict[str, str]:
    """Return the columns and their types; those of `registered` frames have shifts."""
    return {**FRAME_COLUMNS, **(SHIFT_COLUMNS if registered else {})}


def frame_table(
    outcomes: Sequence[FrameOutcome],
    calibration: Calibration,
    shifts: Mapping[int, Shift] | None = None,
) -> pd.DataFrame:
    """Return the rows of frames that are done.

    Parameters
    ----------
    outcomes
        What became of them.
    calibration
        Says their times and doses.
    shifts
        By frame index, where they were registered.
    """
    rows = [
        (
            o.index,
            o.source,
            calibration.time_s(o.index),
            calibration.dose_dpa(o.index),
            None if o.shape is None else o.shape[1],
            None if o.shape is None else o.shape[0],
            None if o.rows is None else len(o.rows),
            "ok" if o.error is None else "damaged",
            *(() if shifts is None else shift_row(shifts.get(o.index))),
        )
        for o in outcomes
    ]
    columns = frame_columns(shifts is not None)
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
