"""When particles lived, which share outlives a time (Kaplan and Meier), how many come and go."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from defectscope.analysis.counting import LEVEL
from defectscope.analysis.track_rims import BOX, rim_ends
from defectscope.analysis.trajectories import lifetime_table
from defectscope.core.frame_steps import typical_step

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from defectscope import Tables

__all__ = ["MedianLife", "life_spans", "median_life", "survival_table", "turnover_table"]

MOST_BINS = 40


def life_spans(tables: Tables) -> pd.DataFrame:
    """Return when each particle lived, and which ends of its life were seen.

    Returns
    -------
    DataFrame
        ``particle``, ``first_frame``, ``last_frame``, ``life_frames`` (last - first + k where
        every k-th frame was looked at, so that it is neither too short nor too long on average),
        ``began`` and ``ended``: whether that was seen. It was not where the particle was there in
        the first (last) frame, or came in (went out) over the rim or the edge of a mask.
    """
    tracks = tables.tracks
    assert tracks is not None
    names = ["particle", "frame", "x", "y", *(name for name in BOX if name in tracks)]
    ordered = tracks[names].sort_values(["particle", "frame"], kind="stable")
    # In a damaged frame nothing can be seen, so that nothing ends before it.
    read = tables.frames[tables.frames["status"] == "ok"]
    # ... nor with a row that a tracker filled in there.
    ordered = ordered[ordered["frame"].isin(read["frame"])]
    table = lifetime_table(ordered, read)
    step = typical_step(tables.frames["frame"])
    table["life_frames"] = table.pop("lifetime_frames") + step - 1
    came_in, went_out = rim_ends(ordered, tables)
    table["began"] = ~(table.pop("from_start").to_numpy(bool) | came_in)
    table["ended"] = ~(table.pop("to_end").to_numpy(bool) | went_out)
    return table


def survival_table(lifetimes: ArrayLike, ended: ArrayLike, level: float = LEVEL) -> pd.DataFrame:
    """Return which share of particles lives longer than a number of frames.

    Parameters
    ----------
    lifetimes
        (n,) frames for which each was seen, n > 0.
    ended
        (n,) bool, False for those that lived longer than they were seen.
    level
        Probability of the limits.

    Returns
    -------
    DataFrame
        A row for each lifetime that occurs: ``life_frames``, ``at_risk`` (those seen for as
        long), ``ended`` and ``cut`` then, ``survival`` (0 to 1) and its limits, which are not known
        while none has ended and where none is left.

    Notes
    -----
    Kaplan & Meier (J. Am. Stat. Assoc. 53 (1958) 457), with Greenwood's limits of log(-log S), by
    `scipy.stats.ecdf`.
    """
    from scipy import stats

    frames, whole = np.asarray(lifetimes, float), np.asarray(ended, bool)
    curve = stats.ecdf(stats.CensoredData.right_censored(frames, ~whole)).sf
    with warnings.catch_warnings():
        # It warns of the limits that are not known.
        warnings.simplefilter("ignore", RuntimeWarning)
        # scipy-stubs takes the limits for numbers: they are curves.
        limits: Any = curve.confidence_interval(level, method="log-log")
    at, own = np.unique(frames, return_inverse=True)
    number, over = np.bincount(own), np.bincount(own, whole).astype(int)
    return pd.DataFrame(
        {"life_frames": at.astype(int), "at_risk": number[::-1].cumsum()[::-1], "ended": over,
         "cut": number - over, "survival": curve.probabilities,
         "survival_low": limits.low.probabilities, "survival_high": limits.high.probabilities}
    )  # fmt: skip


class MedianLife(NamedTuple):
    """What half of all particles outlive, frames; None where more than half outlived all."""

    frames: float | None
    low: float | None
    high: float | None


def median_life(survival: pd.DataFrame) -> MedianLife:
    """Return the median life, from :func:`survival_table`.

    Limits are where those of the curve pass one half (Brookmeyer & Crowley, Biometrics 38 (1982)
    29); there are none where either does not.
    """
    at = survival["life_frames"].to_numpy(float)

    def passed(name: str) -> float | None:
        below = np.flatnonzero(survival[name].to_numpy(float) <= 0.5)
        return float(at[below[0]]) if len(below) else None

    low, high = passed("survival_low"), passed("survival_high")
    limits = (None, None) if low is None or high is None else (low, high)
    return MedianLife(passed("survival"), *limits)


def turnover_table(lives: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return how many particles came and went along a series.

    Parameters
    ----------
    lives
        From :func:`life_spans`.
    frames
        Those that were looked at: ``frame``, ``time_s``, ``dose_dpa``.

    Returns
    -------
    DataFrame
        A row for each of up to 40 bins of as many frames: ``first_frame``, ``last_frame``, mean
        ``time_s`` and ``dose_dpa`` where they are known, ``frames`` (number), ``present``
        (particles in a frame, on average), ``born`` and ``gone``: those that were seen to begin in
        the bin, or were last seen in it and then seen to be no more.
    """
    rows = frames.drop_duplicates("frame").sort_values("frame")
    at = rows["frame"].to_numpy(np.int64)
    own = np.arange(len(at)) // -(-len(at) // MOST_BINS)

    def places(name: str, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.searchsorted(at, lives.loc[chosen, name].to_numpy(np.int64))

    def counted(name: str, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.bincount(places(name, chosen), minlength=len(at))

    every = np.ones(len(lives), bool)
    first, last = counted("first_frame", every), counted("last_frame", every)
    along = pd.DataFrame(
        {"frame": at, "time_s": rows["time_s"].to_numpy(float),
         "dose_dpa": rows["dose_dpa"].to_numpy(float),
         "present": first.cumsum() - last.cumsum() + last,
         "born": counted("first_frame", lives["began"].to_numpy(bool)),
         "gone": counted("last_frame", lives["ended"].to_numpy(bool))}
    )  # fmt: skip
    table = along.groupby(own).agg(
        first_frame=("frame", "min"), last_frame=("frame", "max"), time_s=("time_s", "mean"),
        dose_dpa=("dose_dpa", "mean"), frames=("frame", "size"), present=("present", "mean"),
        born=("born", "sum"), gone=("gone", "sum"),
    )  # fmt: skip
    return table.dropna(axis="columns", how="all").reset_index(drop=True)
