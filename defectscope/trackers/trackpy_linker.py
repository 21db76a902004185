"""The tracker ``trackpy``: Crocker and Grier's linking, with drift and stubs taken out.

Crocker & Grier, J. Colloid Interface Sci. 179 (1996) 298, as implemented in trackpy; used by
Shen et al. on an in-situ video (P2: search range 5 px, memory 3 frames).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from defectscope import Options as BaseOptions
from defectscope import Tracker
from defectscope.trackers.detection_columns import frame_column, position_columns
from defectscope.trackers.drift import estimate_drift
from defectscope.trackers.ordered_linker import link_positions

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

__all__ = ["Trackpy", "TrackpyOptions"]


class TrackpyOptions(BaseOptions):
    """Options of the tracker ``trackpy``."""

    search_range_px: float = Field(
        5.0, gt=0, le=10_000, description="how far a particle may move between two frames, in px"
    )
    memory: int = Field(
        3, ge=0, le=1000, description="frames that a particle may be missing and still be the same"
    )
    adaptive_stop_px: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="where particles are crowded, shrink the search range down to this (px); "
        "none: stop with an error there",
    )
    adaptive_step: float = Field(
        0.95, gt=0, lt=1, description="factor by which the search range shrinks at a time"
    )
    min_length: int = Field(
        1, ge=1, description="frames that a particle must be found in to be kept; 1 keeps all"
    )
    remove_drift: bool = Field(
        False,
        description="take out the movement that all particles share, link again, and add the "
        "columns x_corrected and y_corrected (px)",
    )
    drift_smoothing: int = Field(
        0, ge=0, le=100_000, description="frames that the drift is averaged over; 0: none"
    )

    @model_validator(mode="after")
    def _stop_below_range(self) -> Self:
        if self.adaptive_stop_px is not None and self.adaptive_stop_px >= self.search_range_px:
            raise ValueError(
                f"adaptive_stop_px ({self.adaptive_stop_px:g}) must be smaller than "
                f"search_range_px ({self.search_range_px:g})"
            )
        return self


class Trackpy(Tracker):
    """Link every detection to the nearest one of the next frame, all together at least cost.

    The cost is the sum of squared distances, where a particle that ends costs the squared search
    range. The same table gives the same particles at every run: equal costs are decided by the
    order of the rows within a frame, and nothing else is. Defect types are not looked at.
    """

    Options = TrackpyOptions
    options: TrackpyOptions

    def link(self, detections: pd.DataFrame, geometry: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the rows of particles that are long enough, with a column ``particle`` (int64).

        Parameters
        ----------
        detections
            At least ``frame`` (whole numbers), ``x``, ``y`` (px), in any order. An index left out
            between two frames counts as a frame without detections. A column ``particle`` of
            an earlier linking is replaced.
        geometry
            Not used.

        Returns
        -------
        DataFrame
            Rows in their order and columns as they were. Particles count from 0 by their first
            appearance (frame, then row). With ``remove_drift`` two more columns, ``x_corrected``
            and ``y_corrected``: the position in px less the drift since the first frame.

        Raises
        ------
        FormatError
            A column is missing, or holds something else than it should.
        OptionError
            Too many particles of one frame compete for the same links.

        Notes
        -----
        Drift is estimated from a first linking, so it must stay well below ``search_range_px``
        from one frame to the next. A jump beyond that ends all tracks, and what is linked
        across it by chance stands in for its size: register such frames first.
        """
        frames, positions = frame_column(detections), position_columns(detections)
        order = _order(frames)
        drift = np.zeros_like(positions)
        tracks = self._link(frames[order], positions[order])
        if self.options.remove_drift and len(frames):
            smoothing = self.options.drift_smoothing
            drift[order] = estimate_drift(frames[order], positions[order], tracks, smoothing)
            tracks = self._link(frames[order], (positions - drift)[order])
        particles, kept = _long_enough(tracks, self.options.min_length)
        columns: dict[str, Any] = {"particle": _in_rows(particles, order)}
        if self.options.remove_drift:
            columns["x_corrected"] = positions[:, 1] - drift[:, 1]
            columns["y_corrected"] = positions[:, 0] - drift[:, 0]
        if kept.all():
            return detections.assign(**columns)
        rows = np.flatnonzero(_in_rows(kept, order))
        return detections.take(rows).assign(**{k: v[rows] for k, v in columns.items()})

    def _link(self, frames: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.int64]:
        return link_positions(
            frames,
            positions,
            self.options.search_range_px,
            memory=self.options.memory,
            adaptive_stop=self.options.adaptive_stop_px,
            adaptive_step=self.options.adaptive_step,
        )


def _order(frames: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    """Return what puts rows in order of their frames and leaves each frame's order alone."""
    if bool((frames[1:] >= frames[:-1]).all()):
        return slice(None)  # no copy
    return np.argsort(frames, kind="stable")


def _in_rows(values: NDArray[Any], order: NDArray[np.intp] | slice) -> NDArray[Any]:
    placed = np.empty_like(values)
    placed[order] = values
    return placed


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
