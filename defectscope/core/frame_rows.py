"""The rows of one frame in the tables of a run, as plain arrays.

A DataFrame costs milliseconds to make. Frames come by the thousand, so that their rows stay
arrays until those of many are written at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.tables import (
    GEOMETRY_COLUMNS,
    detection_columns,
    empty_table,
    geometry_columns,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.frames import Frame
    from defectscope.core.instances import Instances

__all__ = ["Columns", "FrameRows", "joined_columns", "joined_table"]

# Arrays of one length by the name of the column; text is held as objects.
Columns = Mapping[str, "NDArray[Any]"]

NO_VERTICES: Columns = {name: np.zeros(0, kind) for name, kind in GEOMETRY_COLUMNS.items()}


class FrameRows:
    """Rows of one frame in both tables.

    Parameters
    ----------
    frame
        Frame index.
    detections
        Columns of its detections; ``detection`` numbers them, in any order.
    geometry
        Columns ``frame``, ``detection``, ``vertex``, ``x``, ``y`` of lines and outlines; None
        where there are none.
    """

    def __init__(self, frame: int, detections: Columns, geometry: Columns | None = None) -> None:
        self.frame, self.detections = frame, detections
        self.geometry = NO_VERTICES if geometry is None else geometry

    @classmethod
    def of(cls, frame: Frame, found: Instances, types: Mapping[str, DefectType]) -> FrameRows:
        """Return the rows of what was found in a frame; `types` are the registered ones."""
        geometry = geometry_columns(frame, found)
        return cls(frame.index, detection_columns(frame, found, types), geometry)

    def __len__(self) -> int:
        return len(next(iter(self.detections.values()), ()))

    @property
    def boxes(self) -> NDArray[np.float64]:
        """The (n, 4) boxes ``x_min, y_min, x_max, y_max`` in px."""
        names = ("x_min", "y_min", "x_max", "y_max")
        return np.stack([np.asarray(self.detections[name], float) for name in names], axis=1)

    def outline(self, row: int) -> NDArray[np.float64]:
        """Return the (k, 3) ``vertex, x, y`` of the detection in a row."""
        own = self.geometry["detection"] == self.detections["detection"][row]
        vertices = [np.asarray(self.geometry[name][own], float) for name in ("vertex", "x", "y")]
        return np.stack(vertices, axis=1)

    def __getitem__(self, stay: NDArray[np.bool_]) -> FrameRows:
        """Return the rows that stay, with their vertices, numbered from 0."""
        detections = {name: column[stay] for name, column in self.detections.items()}
        numbers = np.asarray(detections["detection"], np.int64)
        detections["detection"] = np.arange(len(numbers))
        geometry = self.geometry
        of = np.asarray(geometry["detection"], np.int64)
        if len(of):
            # New numbers by old ones; -1 for those that go.
            renumbered = np.full(max(of.max(), numbers.max(initial=0)) + 1, -1, np.int64)
            renumbered[numbers] = np.arange(len(numbers))
            now = renumbered[of]
            here = now >= 0
            geometry = {name: column[here] for name, column in geometry.items()}
            geometry["detection"] = now[here]
        return FrameRows(self.frame, detections, geometry)

    def extended(self, detections: Columns, outlines: Sequence[NDArray[np.float64]]) -> FrameRows:
        """Return the same with more detections at the end.

        Parameters
        ----------
        detections
            Columns of at least one; they are numbered on.
        outlines
            (k, 3) ``vertex, x, y`` of each.
        """
        numbers = len(self) + np.arange(len(outlines))
        vertices = np.concatenate(outlines)
        geometry = {
            "frame": np.full(len(vertices), self.frame, np.int64),
            "detection": np.repeat(numbers, [len(outline) for outline in outlines]),
            "vertex": vertices[:, 0].astype(np.int64),
            "x": vertices[:, 1],
            "y": vertices[:, 2],
        }
        return FrameRows(
            self.frame,
            joined_columns([self.detections, {**detections, "detection": numbers}]),
            joined_columns([self.geometry, geometry]),
        )


def joined_columns(parts: Sequence[Columns]) -> Columns:
    """Join columns; a part that lacks one has NaN there.

    Parts without rows do not decide about types, unless there are no others.
    """
    filled = [part for part in parts if len(next(iter(part.values()), ()))] or parts[:1]
    lengths = [len(next(iter(part.values()), ())) for part in filled]
    names = dict.fromkeys(name for part in filled for name in part)
    return {
        name: _concatenated(
            [
                part[name] if name in part else np.full(length, np.nan)
                for part, length in zip(filled, lengths, strict=True)
            ]
        )
        for name in names
    }


def _concatenated(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    kinds = {column.dtype.kind for column in columns}
    # Beside numpy's own kind of text NaN would become a word.
    if "U" in kinds and len(kinds) > 1:
        columns = [column.astype(object) for column in columns]
    return np.concatenate(columns)


def joined_table(parts: Sequence[Columns], types: Mapping[str, str]) -> pd.DataFrame:
    """Join columns into a table.

    Parameters
    ----------
    parts
        Columns of the frames.
    types
        Types of columns by name; those of an empty table where there are no parts.
    """
    if not parts:
        return empty_table(types)
    columns = joined_columns(parts)
    table = pd.DataFrame(dict(columns))
    return table.astype({name: kind for name, kind in types.items() if name in columns})
