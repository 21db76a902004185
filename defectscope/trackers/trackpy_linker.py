"""The tracker ``trackpy``: Crocker and Grier's linking, with drift and stubs taken out.

Crocker & Grier, J. Colloid Interface Sci. 179 (1996) 298, as implemented in trackpy; used by
Shen et al. on an in-situ video (P2: search range 5 px, memory 3 frames).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from defectscope import Tracker
from defectscope.core.frame_steps import in_steps
from defectscope.core.options import set_in_vain
from defectscope.trackers.detection_columns import frame_column, position_columns
from defectscope.trackers.drift import estimate_drift
from defectscope.trackers.gap_closing import GapLimits, close_gaps
from defectscope.trackers.ordered_linker import link_positions
from defectscope.trackers.repairing import (
    FillGaps,
    GapRange,
    MinLength,
    RepairOptions,
    SightedShare,
    defect_kinds,
    defect_sizes,
    in_rows,
    kept_tracks,
    row_order,
    sizes_as_places,
)
from defectscope.trackers.stage_jumps import LEAST_AGREEING, jump_offsets

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Loops", "LoopsOptions", "Trackpy", "TrackpyOptions"]

# Share of the search range below which the drift from frame to frame is not worth a second linking.
SLOW = 0.1

# Options that ``loops`` has with other defaults.
Memory = Annotated[
    int,
    Field(ge=0, le=1000, description="frames that a particle may be missing and still be the same"),
]
MaxGap = Annotated[
    int,
    Field(
        ge=0,
        le=100_000,
        description="longest gap that is closed between pieces of a track after the linking, "
        "frames; 0 closes none",
    ),
]
SizeRatio = Annotated[
    float, Field(gt=1, le=1000, description="how much larger or smaller it may be after a gap")
]
RemoveDrift = Annotated[
    bool,
    Field(
        description="take out the movement that all particles share (of 5 at least), jumps of the "
        "stage too, link again where it is not small, and add the columns x_corrected and "
        "y_corrected (px)"
    ),
]


class TrackpyOptions(RepairOptions):
    """Options of the tracker ``trackpy``."""

    search_range_px: float = Field(
        5.0, gt=0, le=10_000, description="how far a particle may move between two frames, in px"
    )
    memory: Memory = 3
    adaptive_stop_px: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="where particles are crowded, shrink the search range down to this (px); "
        "none: never; only more than 1,000 that compete for the same places are an error",
    )
    adaptive_step: float = Field(
        0.95, gt=0, lt=1, description="factor by which the search range shrinks at a time"
    )
    size_weight_px: float = Field(
        0.0,
        ge=0,
        le=10_000,
        description="how far apart particles count as being when one is e times as large, px; "
        "0: sizes are not looked at from frame to frame",
    )
    max_gap: MaxGap = 0
    gap_range_px: GapRange = None
    size_ratio: SizeRatio = 1.6
    remove_drift: RemoveDrift = False
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

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> Self:
        for used, switch, names in (
            (self.max_gap, "max_gap is 0", ("gap_range_px", "size_ratio")),
            (self.remove_drift, "remove_drift is false", ("drift_smoothing",)),
            (self.adaptive_stop_px, "adaptive_stop_px is none", ("adaptive_step",)),
        ):
            if not used and (name := set_in_vain(self, *names)):
                raise ValueError(f"{name} changes nothing while {switch}; set that too")
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
            At least ``frame`` (whole numbers), ``x``, ``y`` (px), in any order. A step of
            `frame_step` indices left out between two frames counts as a frame without detections.
            A column ``particle`` of an earlier linking is replaced.
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
        from one frame to the next; two frames that share fewer than 5 particles show none. A jump
        of the stage is found by the displacement that most particles have in common; where few
        particles are in both frames it is not, and all tracks end: register such frames first.
        """
        frames, positions = frame_column(detections), position_columns(detections)
        order = row_order(frames)
        frames, places = frames[order], positions[order]
        sizes, kinds = defect_sizes(detections), defect_kinds(detections)
        sizes = None if sizes is None else sizes[order]
        drift = np.zeros_like(places)
        tracks = self._link(frames, places, sizes)
        if self.options.remove_drift and len(frames):
            drift = jump_offsets(frames, places, tracks, self.options.search_range_px)
            if drift.any():
                tracks = self._link(frames, places - drift, sizes)
            smoothing = self.options.drift_smoothing
            # Of fewer the mean is mostly their own movement, as a jump of fewer is none.
            slow = estimate_drift(frames, places - drift, tracks, smoothing, LEAST_AGREEING)
            drift = drift + slow
            moved = np.hypot(*np.diff(slow, axis=0).T)[np.diff(frames) > 0]
            # A drift far below the search range changes no links from frame to frame.
            if len(moved) and np.quantile(moved, 0.99) > SLOW * self.options.search_range_px:
                tracks = self._link(frames, places - drift, sizes)
        gaps = GapLimits(
            self.options.max_gap,
            self.options.gap_range_px or self.options.search_range_px,
            self.options.size_ratio,
        )
        kinds = None if kinds is None else kinds[order]
        steps = in_steps(frames, self.frame_step)
        tracks = close_gaps(steps, places - drift, tracks, gaps, sizes, kinds)
        columns: dict[str, Any] = {}
        if self.options.remove_drift:
            still = positions - in_rows(drift, order)
            columns = {"x_corrected": still[:, 1], "y_corrected": still[:, 0]}
        return kept_tracks(detections, tracks, order, self.options, columns, self.looked_at)

    def _link(
        self,
        frames: NDArray[np.int64],
        positions: NDArray[np.float64],
        sizes: NDArray[np.float64] | None,
    ) -> NDArray[np.int64]:
        if self.options.size_weight_px and sizes is not None:
            size = sizes_as_places(sizes, self.options.size_weight_px)
            positions = np.column_stack([positions, size])
        return link_positions(
            frames,
            positions,
            self.options.search_range_px,
            self.frame_step,
            memory=self.options.memory,
            adaptive_stop=self.options.adaptive_stop_px,
            adaptive_step=self.options.adaptive_step,
        )


class LoopsOptions(TrackpyOptions):
    """Options of the tracker ``loops``: those of ``trackpy`` with other defaults."""

    memory: Memory = 2
    max_gap: MaxGap = 40
    gap_range_px: GapRange = 8.0
    size_ratio: SizeRatio = 2.0
    remove_drift: RemoveDrift = True
    fill_gaps: FillGaps = True
    sighted_share: SightedShare = 0.5
    min_length: MinLength = 3


class Loops(Trackpy):
    """The tracker ``trackpy``, set up for loops that flicker in a moving specimen.

    Drift and jumps of the stage are taken out, gaps of up to 40 frames are closed and filled where
    place and size fit, what flickers more than it is seen is dropped, and what was seen in fewer
    than 3 frames is left out.
    """

    Options = LoopsOptions
    options: LoopsOptions
