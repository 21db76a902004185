"""How far each track can be trusted: sightings, gaps and jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.frame_steps import in_steps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["STUB_SIGHTINGS", "moving_columns", "track_quality"]

# Sightings below which a track says nothing about growth or movement.
STUB_SIGHTINGS = 3
# A track found in fewer of its frames than this is patchy.
LEAST_FOUND = 0.5
# A step is a jump when it is so many times the typical step, and longer than this, px.
JUMP_FACTOR, LEAST_JUMP_PX = 8.0, 3.0


def moving_columns(tracks: pd.DataFrame) -> list[str]:
    """Return the names of the position columns without the stage's movement, where known."""
    corrected = ["x_corrected", "y_corrected"]
    return corrected if set(corrected) <= set(tracks.columns) else ["x", "y"]


def track_quality(
    tracks: pd.DataFrame, frame_step: int = 1, looked_at: ArrayLike | None = None
) -> pd.DataFrame:
    """Return how each particle was found.

    Parameters
    ----------
    tracks
        ``frame``, ``particle``, ``x``, ``y``; ``origin`` where gaps were filled.
    frame_step
        Difference of the indices of two successive frames that were looked at: gaps and shares
        count these.
    looked_at
        Indices of the frames that were looked at and could be read, where that is known: gaps and
        shares then count these, whatever the step. Those of sightings count among them anyway.

    Returns
    -------
    DataFrame
        ``particle``, ``sightings`` (rows that were not interpolated), ``interpolated``, ``gaps``
        and ``longest_gap`` (frames without sighting between two), ``found_share`` (sightings
        by frames from the first to the last), ``largest_step_px`` (longest way between successive
        sightings) and ``jumps`` (steps that are more than 3 px and 8 times the median step of
        all), and ``quality``: ``filled`` (never seen: a vote filled what is now a track of its
        own), ``single`` (seen once), ``stub`` (fewer than 3 times), ``patchy``
        (found in less than half of its frames), ``jumping``, else ``good``.
    """
    particle, frame = tracks["particle"].to_numpy(), tracks["frame"].to_numpy(np.int64)
    names, rows = np.unique(particle, return_counts=True)
    order = np.lexsort((frame, particle))
    if "origin" in tracks:
        order = order[(tracks["origin"] != "interpolated").to_numpy()[order]]
    particle, frame = particle[order], _places(frame, order, frame_step, looked_at)
    at = tracks[moving_columns(tracks)].to_numpy(float)[order]
    own = np.searchsorted(names, particle)
    same = particle[1:] == particle[:-1]
    step = np.hypot(*np.diff(at, axis=0).T)[same]
    gap = (np.diff(frame) - 1)[same]
    of = own[1:][same]
    sightings = np.bincount(own, minlength=len(names))
    table = pd.DataFrame({"particle": names, "sightings": sightings})
    table["interpolated"] = rows - sightings
    table["gaps"] = np.bincount(of[gap > 0], minlength=len(names))
    table["longest_gap"] = _largest(gap.astype(float), of, len(names)).astype(np.int64)
    end = np.cumsum(sightings)
    seen = sightings > 0
    life = np.ones(len(names), np.int64)
    life[seen] = frame[end[seen] - 1] - frame[(end - sightings)[seen]] + 1
    table["found_share"] = sightings / life
    table["largest_step_px"] = _largest(step, of, len(names))
    typical = float(np.median(step)) if len(step) else 0.0
    jumped = step > max(LEAST_JUMP_PX, JUMP_FACTOR * typical)
    table["jumps"] = np.bincount(of[jumped], minlength=len(names))
    table["quality"] = np.select(
        [
            ~seen,
            sightings == 1,
            sightings < STUB_SIGHTINGS,
            table["found_share"] < LEAST_FOUND,
            table["jumps"] > 0,
        ],
        ["filled", "single", "stub", "patchy", "jumping"],
        "good",
    )
    return table


def _places(
    frames: NDArray[np.int64],
    sightings: NDArray[np.intp],
    frame_step: int,
    looked_at: ArrayLike | None,
) -> NDArray[np.int64]:
    """Return the place in the series of the frame of each sighting."""
    own = frames[sightings]
    if looked_at is not None:
        return np.searchsorted(np.union1d(np.asarray(looked_at, np.int64), own), own)
    present = np.unique(frames)
    return in_steps(present, frame_step)[np.searchsorted(present, own)]


def _largest(values: NDArray[np.float64], of: NDArray[Any], number: int) -> NDArray[np.float64]:
    largest = np.zeros(number)
    np.maximum.at(largest, of, values)
    return largest
