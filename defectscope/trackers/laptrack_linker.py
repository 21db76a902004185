"""The tracker ``laptrack``: linear assignment from frame to frame, then across gaps.

Jaqaman et al., Nat. Methods 5 (2008) 695, as implemented in laptrack (Fukai & Kawaguchi,
Bioinformatics 39 (2023) btac799).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from defectscope import Tracker
from defectscope.core.errors import MissingPackageError
from defectscope.core.frame_steps import in_steps
from defectscope.core.options import set_in_vain
from defectscope.trackers.detection_columns import frame_column, position_columns
from defectscope.trackers.repairing import (
    GapRange,
    RepairOptions,
    defect_sizes,
    kept_tracks,
    row_order,
    sizes_as_places,
)

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

__all__ = ["LapTrackOptions", "LapTracker"]


# Name, extra, and what needs it.
PACKAGE = ("laptrack", "laptrack", "the tracker laptrack")


class LapTrackOptions(RepairOptions):
    """Options of the tracker ``laptrack``."""

    search_range_px: float = Field(
        5.0, gt=0, le=10_000, description="how far a particle may move between two frames, px"
    )
    max_gap: int = Field(
        3, ge=0, le=10_000, description="longest gap that is closed, frames; 0 closes none"
    )
    gap_range_px: GapRange = None
    size_weight_px: float = Field(
        0.0,
        ge=0,
        le=10_000,
        description="how far apart particles count as being when one is e times as large, px; "
        "0: sizes are not looked at",
    )

    @model_validator(mode="after")
    def _gaps_are_closed(self) -> Self:
        if not self.max_gap and (name := set_in_vain(self, "gap_range_px")):
            raise ValueError(f"{name} changes nothing while max_gap is 0; set that too")
        return self


class LapTracker(Tracker):
    """Link frame to frame, then close gaps, each at least total cost; slower than ``trackpy``.

    The cost is the squared distance; a particle that ends costs the squared range.
    """

    Options = LapTrackOptions
    options: LapTrackOptions

    def open(self) -> None:
        """Look for laptrack before any frame is worked on; its import takes long.

        Raises
        ------
        MissingPackageError
            It is not installed.
        """
        if find_spec("laptrack") is None:
            raise MissingPackageError(*PACKAGE)

    def link(self, detections: pd.DataFrame, geometry: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the rows of particles that are long enough, with a column ``particle`` (int64).

        Parameters
        ----------
        detections
            At least ``frame`` (whole numbers), ``x``, ``y`` (px), in any order.
        geometry
            Not used.

        Raises
        ------
        FormatError
            A column is missing, or holds something else than it should.
        MissingPackageError
            laptrack is not installed.
        """
        frames, positions = frame_column(detections), position_columns(detections)
        order = row_order(frames)
        frames, places = frames[order], positions[order]
        sizes = defect_sizes(detections)
        if self.options.size_weight_px and sizes is not None:
            size = sizes_as_places(sizes[order], self.options.size_weight_px)
            places = np.column_stack([places, size])
        tracks = self._link(frames, places)
        return kept_tracks(detections, tracks, order, self.options, looked_at=self.looked_at)

    def _link(self, frames: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.int64]:
        try:
            from laptrack import LapTrack
        except ImportError as error:
            raise MissingPackageError(*PACKAGE) from error
        if not len(frames):
            return np.zeros(0, np.int64)
        reach = self.options.gap_range_px or self.options.search_range_px
        solver = LapTrack(
            cutoff=self.options.search_range_px**2,
            gap_closing_cutoff=reach**2 if self.options.max_gap else False,
            # It counts from the last sighting to the next.
            gap_closing_max_frame_count=self.options.max_gap + 1,
            splitting_cutoff=False,
            merging_cutoff=False,
        )
        # A gap in the numbering counts as empty frames, though no more of them than matter.
        places = in_steps(frames, self.frame_step)
        steps = np.minimum(np.diff(places, prepend=places[:1]), self.options.max_gap + 2)
        axes = [f"axis_{k}" for k in range(positions.shape[1])]
        table = pd.DataFrame(positions, columns=axes).assign(frame=np.cumsum(steps))
        found: Any = solver.predict_dataframe(
            table, coordinate_cols=axes, frame_col="frame", only_coordinate_cols=False
        )[0]
        return np.asarray(pd.factorize(found["track_id"].to_numpy())[0], np.int64)
