"""The courses of lines out of a table of their vertices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["lines_by_detection"]


def lines_by_detection(geometry: pd.DataFrame) -> dict[tuple[int, int], NDArray[Any]]:
    """Return the (k, 2) vertices x, y of each line or outline, by frame and detection.

    Parameters
    ----------
    geometry
        Columns ``frame``, ``detection``, ``vertex``, ``x``, ``y``, rows in any order.
    """
    ordered = geometry.sort_values(["frame", "detection", "vertex"], kind="stable")
    lines = {}
    for key, rows in ordered.groupby(["frame", "detection"]):
        frame, detection = cast("tuple[Any, Any]", key)
        lines[int(frame), int(detection)] = rows[["x", "y"]].to_numpy(float)
    return lines
