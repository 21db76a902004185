"""Which part of the specimen a run looked at: fields of view, also of a stage that moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.masked_area import MaskedArea
from defectscope.core.registration import common_field

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from defectscope.core.findings import Tables

__all__ = ["Fields", "counted_fields"]

# A common field smaller than this share of a frame leaves too little to count in.
LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Fields:
    """The part of each frame in which defects are counted.

    Parameters
    ----------
    frames
        (n,) frame indices.
    boxes
        (n, 4) x_min, y_min, x_max, y_max, px of each frame.
    common
        Whether they are the same part of the specimen in every frame.
    masked
        What does not count of every frame, or None.
    cut
        Whether the boxes are parts of the frames, which others may adjoin.
    shared
        Part of what was looked at that every frame shows, also where it is too small to count in;
        None where frames are not registered.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    common: bool
    masked: MaskedArea | None = None
    cut: bool = False
    shared: float | None = None

    @property
    def areas_px(self) -> NDArray[np.float64]:
        """(n,) areas without masked parts, px²."""
        return self.areas_of(self.boxes)

    def areas_of(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the areas of (n, 4) boxes without masked parts, px²; 0 of an inverted one."""
        areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1)
        return np.asarray(areas if self.masked is None else areas - self.masked.in_boxes(boxes))

    @property
    def masked_share(self) -> float:
        """Part of the fields that is masked."""
        whole = float((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1).sum())
        return 1 - float(self.areas_px.sum()) / whole if whole > 0 else 0.0

    def rows(self, table: pd.DataFrame) -> NDArray[np.intp]:
        """Return the row of its frame's field for each row of a table, -1 where there is none."""
        order = np.argsort(self.frames, kind="stable")
        wanted = table["frame"].to_numpy()
        if not len(order):
            return np.full(len(wanted), -1, np.intp)
        place = np.searchsorted(self.frames[order], wanted)
        row = order[np.minimum(place, len(order) - 1)]
        return np.where(self.frames[row] == wanted, row, -1)

    def hold(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which rows of a table have their centre in the field of their frame.

        Rows whose place is not known count as inside; masked parts are no part of a field.
        """
        row = self.rows(table)
        inside = row >= 0
        if not {"x", "y"} <= set(table.columns) or not inside.any():
            return inside
        at = table[["x", "y"]].to_numpy(float)
        if self.masked is not None:
            inside &= ~self.masked.holds(*at.T)
        box = self.boxes[row]
        # Lines end on the rim of a whole frame.
        beyond = at >= box[:, 2:] if self.common or self.cut else at > box[:, 2:]
        return inside & ~((at < box[:, :2]) | beyond).any(axis=1)


def counted_fields(tables: Tables) -> Fields:
    """Return where defects are counted in each readable frame.

    In registered frames it is the part of the specimen that all of them show, so that defects
    which a moving stage brings in or takes out change no number; where that is less than a quarter
    of a frame, and in frames that are not registered, all that was looked at. Masked parts lie
    still in the frames, whatever the stage does; they are no part of any field.
    """
    frames = tables.frames[tables.frames["status"] == "ok"]
    boxes = np.zeros((len(frames), 4))
    boxes[:, 2:] = frames[["width_px", "height_px"]].to_numpy(float)
    if tables.roi is not None:
        boxes[:] = tables.roi
    indices = frames["frame"].to_numpy(np.int64)
    masked = None if tables.masked is None else MaskedArea(tables.masked)
    whole = Fields(indices, boxes, False, masked, cut=tables.roi is not None)
    if not len(frames) or not {"drift_x_px", "drift_y_px"} <= set(frames.columns):
        return whole
    shifts = frames[["drift_x_px", "drift_y_px"]].fillna(0.0).to_numpy(float)
    if (boxes != boxes[0]).any():
        return whole
    x0, y0, x1, y1 = boxes[0].tolist()
    common = common_field(shifts, (x0, y0, x1, y1))
    if common is None:
        return replace(whole, shared=0.0)
    moved = np.asarray(common) + np.hstack([shifts, shifts])
    sides = moved[0, 2:] - moved[0, :2]
    shared = float(sides.prod()) / ((x1 - x0) * (y1 - y0))
    fields = Fields(indices, moved, True, masked, shared=shared)
    large = fields.areas_px[0] >= LEAST_SHARE * whole.areas_px[0]
    return fields if large else replace(whole, shared=shared)
