"""Registration within a run: shifts of the frames, and tables in the specimen's coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.errors import InputError, InputGoneError, OptionError, UsageError
from defectscope.core.frame_rows import FrameRows
from defectscope.core.positions import position_columns
from defectscope.core.registration import Registrar, RegistrationOptions, Shift
from defectscope.core.tables import SHIFT_COLUMNS
from defectscope.pipeline.regions import Roi, read_part

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from defectscope.core.frames import FrameSequence
    from defectscope.pipeline.stages import FrameOutcome

__all__ = [
    "chosen_registration",
    "in_frame",
    "in_specimen",
    "out_of_view",
    "recorded_shifts",
    "register_frames",
    "shift_row",
    "shift_warnings",
    "shifted_outcome",
    "shifts_by_frame",
]

NO_SHIFT = (float("nan"), float("nan"), 0, float("nan"))


def chosen_registration(
    value: RegistrationOptions | Mapping[str, Any] | bool | None,
) -> RegistrationOptions | None:
    """Return the options that a setting stands for; None where nothing is to be registered.

    Raises
    ------
    OptionError
        It is none, or out of its limits.
    """
    if value is None or value is False:
        return None
    if isinstance(value, RegistrationOptions):
        return value
    try:
        return RegistrationOptions(**({} if value is True else value))
    except TypeError as error:
        raise OptionError(
            f"registration is True, or a table of batch and jump_px; found {value!r}"
        ) from error


def register_frames(
    frames: FrameSequence,
    options: RegistrationOptions,
    progress: Callable[[str, int, int], None],
    roi: Roi | None = None,
) -> dict[int, Shift]:
    """Return the shift of every frame that can be read, by frame index.

    Parameters
    ----------
    frames
        The series.
    options
        How they are registered.
    progress
        Called with (stage, done, total).
    roi
        x_min, y_min, x_max, y_max in px: what is compared. A still border would not move.

    Raises
    ------
    UsageError
        The frames are not in the order of their indices.
    OptionError
        Frames differ in size, or the region does not lie inside of them.
    InputGoneError
        A file has gone that was there before.
    """
    if any(b <= a for a, b in zip(frames.indices, frames.indices[1:], strict=False)):
        raise UsageError(
            "registration needs frames in the order of their indices, which rise from frame to "
            "frame; sort the frames, or leave --register out"
        )
    registrar, shifts = Registrar(options), {}
    for position, index in enumerate(frames.indices):
        progress("register", position, len(frames))
        try:
            shifts[index] = registrar.add(read_part(frames, position, roi)[0].pixels)
        except InputGoneError:
            raise
        except InputError:
            # The stage that looks for defects meets it again, and says what is wrong.
            continue
    progress("register", len(frames), len(frames))
    return shifts


def shift_row(shift: Shift | None) -> tuple[float, float, int, float]:
    """Return the values of the columns that registration adds to ``frames.csv``."""
    if shift is None:
        return NO_SHIFT
    return shift.x, shift.y, int(shift.jump), shift.correlation


def recorded_shifts(frames: pd.DataFrame) -> dict[int, Shift]:
    """Return the shifts that stand in ``frames.csv``, by frame index."""
    names = ["frame", *SHIFT_COLUMNS]
    found = frames[names][frames["drift_x_px"].notna()]
    return {
        int(frame): Shift(float(x), float(y), bool(jump), float(correlation))
        for frame, x, y, jump, correlation in found.itertuples(index=False)
    }


def shift_warnings(shifts: Mapping[int, Shift]) -> list[str]:
    """Return what a user should know about the shifts of a series, by frame index."""
    warnings = []
    jumps = [index for index, shift in shifts.items() if shift.jump]
    if jumps:
        some = ", ".join(map(str, jumps[:5])) + (", …" if len(jumps) > 5 else "")
        warnings.append(f"the stage jumped {len(jumps)} times: in frames {some}")
    lost = sum(math.isnan(shift.correlation) for shift in shifts.values())
    if lost:
        warnings.append(f"{lost} frames fit no other; they keep the drift of the frame before")
    return warnings


def shifts_by_frame(frames: pd.DataFrame) -> pd.DataFrame | None:
    """Return ``drift_x_px`` and ``drift_y_px`` by frame index; None where nothing is registered."""
    if not set(SHIFT_COLUMNS) <= set(frames.columns):
        return None
    return frames.set_index("frame")[["drift_x_px", "drift_y_px"]].fillna(0.0)


def shifted_outcome(outcome: FrameOutcome, shift: Shift | None, sign: int) -> FrameOutcome:
    """Return an outcome with its rows moved by the shift, `sign` times.

    Back in the frame, with sign 1, rows that a vote filled in where the frame ends go.
    """
    if outcome.rows is None or shift is None:
        return outcome
    rows = _moved(outcome.rows, sign * shift.x, sign * shift.y)
    if sign > 0 and outcome.shape is not None and "origin" in rows.detections:
        out = out_of_view(rows.detections, outcome.shape[1], outcome.shape[0])
        rows = rows[~out] if out.any() else rows
    return replace(outcome, rows=rows)


def _moved(rows: FrameRows, x: float, y: float) -> FrameRows:
    def columns(table: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        places = position_columns(table)
        moved = {name: table[name] + unit * (x, y)[k] for name, (k, unit) in places.items()}
        return {**table, **moved}

    return FrameRows(rows.frame, columns(rows.detections), columns(rows.geometry))


def out_of_view(
    rows: Mapping[str, Any] | pd.DataFrame, width: Any, height: Any
) -> NDArray[np.bool_]:
    """Return which (n,) rows were filled in and have their centre outside of their frame.

    `width` and `height` (px) are those of one frame, or (n,) of each row's; where these are not
    known, nothing is outside.
    """
    x, y = (np.asarray(rows[name], float) for name in ("x", "y"))
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    return np.asarray(outside & (np.asarray(rows["origin"]) == "interpolated"))


def in_specimen(table: pd.DataFrame, shifts: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its positions in the coordinates of the first frame."""
    return _table_moved(table, shifts, -1)


def in_frame(tracks: pd.DataFrame, shifts: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Return tracks that were linked in the specimen's coordinates in those of their frames.

    Rows that were given keep their values to the last bit. The positions in the specimen stand
    beside, as ``x_corrected`` and ``y_corrected`` (px), unless the tracker has added these.
    """
    moved = _table_moved(tracks, shifts, 1)
    names = [name for name in position_columns(given) if name in tracks]
    exact = given.set_index(["frame", "detection"])[names]
    if exact.index.is_unique and "detection" in tracks:
        own = exact.reindex(moved.set_index(["frame", "detection"]).index)
        for name in names:
            close = np.isclose(own[name], moved[name], rtol=0, atol=1e-6)
            moved[name] = np.where(close, own[name], moved[name])
    for name in ("x", "y"):
        if f"{name}_corrected" not in moved:
            moved[f"{name}_corrected"] = tracks[name]
    return moved


def _table_moved(table: pd.DataFrame, shifts: pd.DataFrame, sign: int) -> pd.DataFrame:
    own = shifts.reindex(table["frame"].to_numpy()).fillna(0.0).to_numpy(float)
    places = position_columns(table)
    return table.assign(
        **{name: table[name] + sign * unit * own[:, axis] for name, (axis, unit) in places.items()}
    )
