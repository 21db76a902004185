"""What trackers share after their linking: gaps closed, stubs left out, missing rows filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from defectscope import Options as BaseOptions
from defectscope.core.options import set_in_vain
from defectscope.core.track_filling import filled_tracks, sighted_shares

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

__all__ = [
    "FillGaps",
    "GapRange",
    "MinLength",
    "RepairOptions",
    "SightedShare",
    "defect_kinds",
    "defect_sizes",
    "in_rows",
    "kept_tracks",
    "row_order",
    "sizes_as_places",
]

SIZE_COLUMNS = ("diameter_px", "major_px", "length_px")


# Options that several trackers have, with defaults of their own.
MinLength = Annotated[
    int, Field(ge=1, description="frames that a particle must be found in to be kept; 1 keeps all")
]
FillGaps = Annotated[
    bool,
    Field(
        description="add the rows of particles missed between two sightings, linear between them; "
        "their origin is 'interpolated'"
    ),
]
SightedShare = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="drop rows, and fill none in, where the particle was seen in a smaller share "
        "of the frames around, as flickering texture is; 0 drops none and fills all",
    ),
]
GapRange = Annotated[
    float | None,
    Field(
        gt=0,
        le=10_000,
        description="how far a particle may be moved after a gap, px; none: search_range_px",
    ),
]


class RepairOptions(BaseOptions):
    """Options that all shipped trackers of particles have."""

    min_length: MinLength = 1
    fill_gaps: FillGaps = False
    sighted_share: SightedShare = 0.0
    share_window: int = Field(
        9, ge=1, le=10_000, description="frames that this share is of, the row's own in the middle"
    )

    @model_validator(mode="after")
    def _window_has_a_share(self) -> Self:
        if not self.sighted_share and (name := set_in_vain(self, "share_window")):
            raise ValueError(f"{name} changes nothing while sighted_share is 0; set that too")
        return self


def row_order(frames: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    """Return what puts rows in order of their frames and leaves each frame's order alone."""
    if bool((frames[1:] >= frames[:-1]).all()):
        return slice(None)  # no copy
    return np.argsort(frames, kind="stable")


def in_rows(values: NDArray[Any], order: NDArray[np.intp] | slice) -> NDArray[Any]:
    """Return values that are in order of the frames in the order of the rows."""
    placed = np.empty_like(values)
    placed[order] = values
    return placed


def defect_sizes(detections: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return the (n,) sizes of a table, px: diameters, else the longer sides of the boxes.

    NaN where a size is unknown; None where all are.
    """
    for name in SIZE_COLUMNS:
        if name in detections and pd.api.types.is_numeric_dtype(detections[name]):
            sizes: NDArray[np.float64] = detections[name].to_numpy(float, na_value=np.nan)
            if np.isfinite(sizes).any():
                return sizes
    names = ["x_min", "y_min", "x_max", "y_max"]
    if set(names) <= set(detections.columns):
        box = detections[names].to_numpy(float)
        return np.asarray(np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]))
    return None


def sizes_as_places(sizes: NDArray[np.float64], weight_px: float) -> NDArray[np.float64]:
    """Return (n,) sizes as a third coordinate, px: `weight_px` apart where one is e times another.

    Unknown ones are as the median.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(sizes)
    known = np.isfinite(logarithm)
    middle = float(np.median(logarithm[known])) if known.any() else 0.0
    return np.asarray(weight_px * np.where(known, logarithm, middle))


def defect_kinds(detections: pd.DataFrame) -> NDArray[np.int64] | None:
    """Return the (n,) numbers of the defect types; None where no column names them."""
    if "defect_type" not in detections:
        return None
    return np.asarray(pd.factorize(detections["defect_type"])[0], np.int64)


def kept_tracks(
    detections: pd.DataFrame,
    tracks: NDArray[np.int64],
    order: NDArray[np.intp] | slice,
    options: RepairOptions,
    columns: dict[str, NDArray[Any]] | None = None,
    looked_at: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return the rows of tracks that are long enough, with gaps filled where that is asked for.

    Parameters
    ----------
    detections
        The table as it was given.
    tracks
        (n,) tracks in order of the frames.
    order
        What put the rows into that order.
    options
        Which to keep, and whether to fill.
    columns
        More columns, in the order of the rows.
    looked_at
        Indices of the frames that were looked at; those of `detections` where that is not known.
    """
    looked_at = detections["frame"].tolist() if looked_at is None else looked_at
    particles, kept = _long_enough(tracks, options.min_length)
    added = {"particle": in_rows(particles, order), **(columns or {})}
    if kept.all():
        result = detections.assign(**added)
    else:
        rows = np.flatnonzero(in_rows(kept, order))
        result = detections.take(rows).assign(**{k: v[rows] for k, v in added.items()})
    if options.sighted_share > 0 and len(result):
        result = _steady(result, options, looked_at)
    if not options.fill_gaps:
        return result
    share, window = options.sighted_share, options.share_window
    return filled_tracks(result, None, share, window, detections, looked_at)


def _steady(tracks: pd.DataFrame, options: RepairOptions, looked_at: Sequence[int]) -> pd.DataFrame:
    """Leave out rows of particles that flicker, and what is too short without them."""
    shares = sighted_shares(tracks, tracks, options.share_window, looked_at)
    steady = tracks[shares >= options.sighted_share]
    if len(steady) == len(tracks):
        return tracks
    long = steady.groupby("particle")["particle"].transform("size") >= options.min_length
    steady = steady[long]
    order = row_order(steady["frame"].to_numpy(np.int64))
    particles = pd.factorize(steady["particle"].to_numpy()[order])[0].astype(np.int64)
    return steady.assign(particle=in_rows(particles, order))


def _long_enough(
    tracks: NDArray[np.int64], min_length: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Leave out tracks of fewer than `min_length` frames, and count the others anew from 0.

    Returns the particle of each position (-1 for one left out), and which are kept.
    """
    kept = np.bincount(tracks, minlength=1)[tracks] >= min_length
    particles = np.full(len(tracks), -1, np.int64)
    particles[kept] = pd.factorize(tracks[kept])[0]
    return particles, kept
