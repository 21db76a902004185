"""Rows of particles that a detector missed between two sightings, for whole tables at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.interpolation import NAMES, between
from defectscope.core.positions import position_columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["filled_tracks", "sighted_shares"]


def sighted_shares(
    tracks: pd.DataFrame, rows: pd.DataFrame, window: int, looked_at: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return in what share of the frames around each row its particle was seen.

    Parameters
    ----------
    tracks
        Sightings: ``frame``, ``particle``.
    rows
        ``frame`` and ``particle`` of the rows that are asked about; frames and particles of
        `tracks`.
    window
        Frames, centred on the row's own; those before the first sighting of the particle, after
        its last one, and those that were not looked at do not count.
    looked_at
        Indices of the frames that were looked at; those of `tracks` count among them anyway.
    """
    present = _present(tracks, looked_at)
    rank = np.searchsorted(present, tracks["frame"].to_numpy(np.int64))
    names, own = np.unique(tracks["particle"].to_numpy(), return_inverse=True)
    first, last = np.full(len(names), len(present)), np.full(len(names), -1)
    np.minimum.at(first, own, rank)
    np.maximum.at(last, own, rank)
    at = np.searchsorted(present, rows["frame"].to_numpy(np.int64))
    of = np.searchsorted(names, rows["particle"].to_numpy())
    low = np.maximum(at - window // 2, first[of])
    high = np.minimum(at + (window - 1) // 2, last[of])
    keys = np.sort(own * len(present) + rank)
    seen = np.searchsorted(keys, of * len(present) + high, side="right")
    seen = seen - np.searchsorted(keys, of * len(present) + low, side="left")
    return np.asarray(seen / (high - low + 1), float)


def filled_tracks(
    tracks: pd.DataFrame,
    longest_gap: int | None = None,
    least_share: float = 0.0,
    window: int = 9,
    detections: pd.DataFrame | None = None,
    looked_at: ArrayLike | None = None,
) -> pd.DataFrame:
    """Return tracks with the rows that are missing between two sightings of a particle.

    Parameters
    ----------
    tracks
        ``frame``, ``particle``, ``x``, ``y`` and what else there is; one row a particle and frame.
    longest_gap
        Longer gaps, in frame indices that are missing, stay open; None fills all.
    least_share, window
        A row is filled in where the particle was seen in at least this share of so many frames
        around it (:func:`sighted_shares`).
    detections
        What the tracks were linked from, where that is more: numbers of theirs are not given again.
    looked_at
        Indices of the frames that were looked at, whether anything was found there or not; by
        default those of `detections`.

    Returns
    -------
    DataFrame
        The rows given, with a column ``origin`` (``detector`` where there was none), and after
        them those filled in, ordered by frame and particle, whose ``origin`` is
        ``interpolated``. Values are as :func:`defectscope.core.interpolation.between` makes them,
        the earlier of two equally near sightings being the nearer one; where ``x_corrected`` and
        ``y_corrected`` tell how the stage moved, positions are between in the specimen.
        ``detection`` is numbered on in each frame. Only frames that were looked at are filled: one
        that is missing or could not be read stays empty.
    """
    given = tracks if "origin" in tracks else tracks.assign(origin="detector")
    if looked_at is None and detections is not None:
        looked_at = detections["frame"].to_numpy(np.int64)
    before, after, at = _missing(tracks, longest_gap, looked_at)
    if least_share > 0 and len(at):
        asked = pd.DataFrame({"frame": at, "particle": tracks["particle"].to_numpy()[before]})
        enough = sighted_shares(tracks, asked, window, looked_at) >= least_share
        before, after, at = before[enough], after[enough], at[enough]
    if not len(at):
        return given
    frame = tracks["frame"].to_numpy(np.int64)
    part = (at - frame[before]) / (frame[after] - frame[before])
    late = part > 0.5
    new = given.take(np.where(late, after, before)).copy()
    away, away_then = _away(given, at)
    places = position_columns(given)
    for name in new.columns:
        if pd.api.types.is_float_dtype(given[name]) or name in NAMES:
            values = given[name].to_numpy(float)
            axis, unit = places.get(str(name), (0, 0.0))
            still = values - unit * away[:, axis]
            new[name] = between(str(name), still[before], still[after], part, late)
            new[name] += unit * away_then[:, axis]
    new["frame"] = at
    new["origin"] = "interpolated"
    order = np.lexsort((new["particle"].to_numpy(), at))
    new = new.take(order)
    if "detection" in new:
        new["detection"] = _numbers(given if detections is None else detections, new)
    return pd.concat([given, new], ignore_index=True)


def _away(
    given: pd.DataFrame, at: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far the specimen had moved, px: (n, 2) for each row, (k, 2) for frames `at`."""
    if not {"x_corrected", "y_corrected"} <= set(given.columns):
        return np.zeros((len(given), 2)), np.zeros((len(at), 2))
    away = given[["x", "y"]].to_numpy(float) - given[["x_corrected", "y_corrected"]].to_numpy(float)
    away = np.nan_to_num(away)
    # Of all rows of a frame the same, but for rounding; between frames without rows it is unknown.
    of_frame = pd.DataFrame(away).groupby(given["frame"].to_numpy()).median()
    known = of_frame.index.to_numpy(np.int64)
    return away, np.stack([np.interp(at, known, of_frame[axis]) for axis in (0, 1)], axis=1)


def _missing(
    tracks: pd.DataFrame, longest_gap: int | None, looked_at: ArrayLike | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Return for each row to be filled in the rows of the sightings around it, and its frame."""
    frame = tracks["frame"].to_numpy(np.int64)
    particle = tracks["particle"].to_numpy()
    present = _present(tracks, looked_at)
    rank = np.searchsorted(present, frame)
    order = np.lexsort((rank, particle))
    first, second = order[:-1], order[1:]
    between = rank[second] - rank[first] - 1
    gap = (particle[first] == particle[second]) & (between > 0)
    if longest_gap is not None:
        gap &= frame[second] - frame[first] - 1 <= longest_gap
    first, second, between = first[gap], second[gap], between[gap]
    before, after = np.repeat(first, between), np.repeat(second, between)
    step = np.arange(len(before)) - np.repeat(np.cumsum(between) - between, between) + 1
    return before, after, present[rank[before] + step]


def _present(tracks: pd.DataFrame, looked_at: ArrayLike | None) -> NDArray[np.int64]:
    own = tracks["frame"].to_numpy(np.int64)
    return np.unique(own if looked_at is None else np.r_[own, np.asarray(looked_at, np.int64)])


def _numbers(given: pd.DataFrame, new: pd.DataFrame) -> NDArray[Any]:
    last = given.groupby("frame")["detection"].max()
    start = last.reindex(new["frame"].to_numpy()).fillna(-1).to_numpy(np.int64)
    numbers: NDArray[Any] = start + 1 + new.groupby("frame").cumcount().to_numpy()
    return numbers
