"""One row a particle: what its track says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope.core.calibration import Calibration
from defectscope.core.track_quality import track_quality

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["particle_table"]

USED = (
    "particle", "frame", "x", "y", "x_corrected", "y_corrected", "defect_type", "origin",
    "diameter_px", "diameter_nm",
)  # fmt: skip


def particle_table(
    tracks: pd.DataFrame,
    calibration: Calibration,
    frame_step: int = 1,
    looked_at: ArrayLike | None = None,
) -> pd.DataFrame:
    """Summarise tracks.

    Parameters
    ----------
    tracks
        Detections with a column ``particle``.
    calibration
        For lifetimes in seconds.
    frame_step
        Difference of the indices of two successive frames that were looked at.
    looked_at
        Indices of the frames that were looked at and could be read, where that is known.

    Returns
    -------
    DataFrame
        ``particle``, ``defect_type`` (the most frequent), ``first_frame``, ``last_frame``,
        ``lifetime_frames`` (last - first + 1, P2) and ``lifetime_s``, ``detections`` and
        ``interpolated`` rows, ``quality`` (:func:`defectscope.core.track_quality.track_quality`),
        mean ``x`` and ``y``, ``displacement_px`` from the first to the last position (of
        ``x_corrected``, ``y_corrected`` where these are there), and the median of every diameter
        column.
    """
    used = [name for name in USED if name in tracks]
    ordered = tracks[used].sort_values(["particle", "frame"], kind="stable")
    groups = ordered.groupby("particle", sort=True)
    first, last = groups[["frame", "x", "y"]].first(), groups[["frame", "x", "y"]].last()
    # Without the movement of the stage, where that is known.
    still = ["x_corrected", "y_corrected"] if "x_corrected" in tracks else ["x", "y"]
    begin, end = groups[still].first().to_numpy(float), groups[still].last().to_numpy(float)
    table = pd.DataFrame({"particle": first.index.to_numpy()})
    if "defect_type" in tracks:
        counts = (
            ordered.groupby(["particle", "defect_type"], sort=True).size().reset_index(name="n")
        )
        best = counts.sort_values(["particle", "n"], ascending=[True, False], kind="stable")
        names = best.drop_duplicates("particle").set_index("particle")["defect_type"]
        # Foreign tables may leave the type of a particle empty; it stays empty.
        table["defect_type"] = names.reindex(first.index).to_numpy()
    table["first_frame"] = first["frame"].to_numpy()
    table["last_frame"] = last["frame"].to_numpy()
    table["lifetime_frames"] = table["last_frame"] - table["first_frame"] + 1
    times = calibration.frame_times
    if times is not None and times.time_s is not None:
        table["lifetime_s"] = _lifetimes_s(first["frame"], last["frame"], calibration)
    elif calibration.frame_interval_s is not None:
        table["lifetime_s"] = table["lifetime_frames"] * calibration.frame_interval_s
    quality = track_quality(ordered, frame_step, looked_at)
    table["detections"] = quality["sightings"].to_numpy()
    table["interpolated"] = quality["interpolated"].to_numpy()
    table["quality"] = quality["quality"].to_numpy()
    means = groups[["x", "y"]].mean()
    table["x"], table["y"] = means["x"].to_numpy(), means["y"].to_numpy()
    moved = np.hypot(*(end - begin).T)
    table["displacement_px"] = moved
    if calibration.pixel_size_nm is not None:
        table["displacement_nm"] = moved * calibration.pixel_size_nm
    for name in ("diameter_px", "diameter_nm"):
        if name in tracks:
            table[f"median_{name}"] = groups[name].median().to_numpy()
    return table


def _lifetimes_s(
    first: pd.Series, last: pd.Series, calibration: Calibration
) -> NDArray[np.float64]:
    """Return how long particles lived where frames have times of their own, NaN where unknown.

    As in frames, the first and the last one both count: a life is half a step longer at each end.
    """

    def times(frames: pd.Series) -> NDArray[np.float64]:
        return np.array([calibration.time_s(int(frame)) for frame in frames], float)

    begin, end = times(first), times(last)
    before, after = begin - times(first - 1), times(last + 1) - end
    # At the ends of the table, as on their other side.
    before = np.where(np.isnan(before), times(first + 1) - begin, before)
    after = np.where(np.isnan(after), end - times(last - 1), after)
    return end - begin + (before + after) / 2
