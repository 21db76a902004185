"""Which tracks begin or end at the rim of the field or a mask: nobody saw all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.frame_steps import typical_step
from defectscope.core.masked_area import MaskedArea

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from defectscope import Tables

__all__ = ["BOX", "cut_by_rim", "rim_ends"]

# Columns of the boxes.
BOX = ["x_min", "y_min", "x_max", "y_max"]
# Boxes that end this near to the rim may as well go on beyond it.
RIM_PX = 1.0


def cut_by_rim(tracks: pd.DataFrame, tables: Tables) -> NDArray[np.bool_]:
    """Return which particles came in or went out, either of :func:`rim_ends`."""
    came_in, went_out = rim_ends(tracks, tables)
    return came_in | went_out


def rim_ends(tracks: pd.DataFrame, tables: Tables) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which particles came in, and which went out over the rim of what was looked at.

    Parameters
    ----------
    tracks
        Rows in the order of particle and frame: ``particle``, ``frame``, ``x``, ``y``, and where
        they are known the boxes, px of the frames.
    tables
        For the sizes of frames, the region that was looked at, and what was masked.

    Returns
    -------
    came_in, went_out
        (n,) bool, in the order of the particles: whether the first (last) box touches the rim, or
        one more step as the first (last) one would lead the centre out, or under a mask.
    """
    particle = tracks["particle"].to_numpy()
    begins = np.diff(particle, prepend=particle[:1] - 1) != 0
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(particle)) - 1
    step = typical_step(tables.frames["frame"])
    ends = (first, np.minimum(first + 1, last)), (last, np.maximum(last - 1, first))
    masked = None if tables.masked is None else MaskedArea(tables.masked)
    came_in, went_out = (
        _beyond(tracks.iloc[end], tracks.iloc[inner], tables, step, masked) for end, inner in ends
    )
    return came_in, went_out


def _beyond(
    rows: pd.DataFrame, inner: pd.DataFrame, tables: Tables, step: int, masked: MaskedArea | None
) -> NDArray[np.bool_]:
    """Return which tracks go on out of sight, by their end rows and those next to these."""
    field, cut = _fields(rows, tables), np.zeros(len(rows), bool)
    if set(BOX) <= set(rows.columns):
        box = rows[BOX].to_numpy(float)
        cut |= (box[:, :2] < field[:, :2] + RIM_PX).any(axis=1)
        cut |= (box[:, 2:] > field[:, 2:] - RIM_PX).any(axis=1)
    at, apart = rows[["x", "y"]].to_numpy(float), np.abs(_frames(rows) - _frames(inner))
    moved = (at - inner[["x", "y"]].to_numpy(float)) * (step / np.maximum(apart, 1))[:, None]
    cut |= ((at + moved < field[:, :2]) | (at + moved > field[:, 2:])).any(axis=1)
    if masked is not None:
        cut |= masked.holds(*(at + moved).T)
    return cut


def _frames(rows: pd.DataFrame) -> NDArray[np.int64]:
    return rows["frame"].to_numpy(np.int64)


def _fields(rows: pd.DataFrame, tables: Tables) -> NDArray[np.float64]:
    """Return (n, 4) what was looked at in the frame of each row; not a number where unknown."""
    if tables.roi is not None:
        return np.tile(np.asarray(tables.roi, float), (len(rows), 1))
    sizes = tables.frames.drop_duplicates("frame").set_index("frame")[["width_px", "height_px"]]
    own = sizes.reindex(_frames(rows)).to_numpy(float)
    return np.hstack([np.zeros_like(own), own])
