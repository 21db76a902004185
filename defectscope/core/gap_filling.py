"""Rows of a table between two others: boxes, centres and measurements, linear in the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.core.frame_rows import Columns, FrameRows
from defectscope.core.interpolation import between

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Gap", "rows_between"]


class Gap(NamedTuple):
    """A defect that a frame between two sightings lacks."""

    before: FrameRows
    row_before: int
    after: FrameRows
    row_after: int

    def nearest(self, frame: int) -> tuple[FrameRows, int]:
        """Return the sighting nearest in time, the earlier of two equal ones."""
        late = frame - self.before.frame > self.after.frame - frame
        return (self.after, self.row_after) if late else (self.before, self.row_before)


def rows_between(frame: int, gaps: Sequence[Gap]) -> tuple[Columns, list[NDArray[Any]]]:
    """Return the rows of detections that a frame lacks, and their outlines.

    Parameters
    ----------
    frame
        Frame index, between the sightings of each gap.
    gaps
        At least one; the rows come in their order.

    Returns
    -------
    rows : dict of arrays
        Values as :func:`defectscope.core.interpolation.between` makes them; ``origin`` is
        ``interpolated``.
    outlines : list of (k, 3) arrays
        ``vertex, x, y`` of the nearest sighting, moved with the centre.
    """
    tables = (rows for gap in gaps for rows in (gap.before, gap.after))
    names = dict.fromkeys(name for rows in tables for name in rows.detections)
    parts = np.array([(frame - g.before.frame) / (g.after.frame - g.before.frame) for g in gaps])
    late = np.array([g.nearest(frame)[0] is g.after for g in gaps])
    rows: dict[str, NDArray[Any]] = {}
    for name in names:
        first = _picked(name, [(g.before, g.row_before) for g in gaps])
        second = _picked(name, [(g.after, g.row_after) for g in gaps])
        rows[name] = between(name, first, second, parts, late)
    rows["frame"] = np.full(len(gaps), frame, np.int64)
    rows["origin"] = np.full(len(gaps), "interpolated", object)
    return rows, [_moved_outline(frame, gap, rows, k) for k, gap in enumerate(gaps)]


def _picked(name: str, places: Sequence[tuple[FrameRows, int]]) -> NDArray[Any]:
    values = [rows.detections[name][k] if name in rows.detections else np.nan for rows, k in places]
    # Text stays objects: numpy's own kind has a fixed length, and makes words of NaN.
    text = any(isinstance(value, str) for value in values)
    return np.array(values, object if text else None)


def _moved_outline(frame: int, gap: Gap, table: Columns, k: int) -> NDArray[Any]:
    rows, row = gap.nearest(frame)
    outline = rows.outline(row)
    for column, name in ((1, "x"), (2, "y")):
        outline[:, column] += table[name][k] - rows.detections[name][row]
    return outline
