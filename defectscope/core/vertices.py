"""The courses of lines out of a table of their vertices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["lines_by_detection", "lines_by_frame"]


def lines_by_detection(geometry: pd.DataFrame) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Return the (k, 2) vertices x, y of each line or outline, by frame and detection.

    Parameters
    ----------
    geometry
        Columns ``frame``, ``detection``, ``vertex``, ``x``, ``y``, rows in any order.
    """
    # One split of all vertices: a slice of the table for each line would take milliseconds.
    ordered = geometry.sort_values(["frame", "detection", "vertex"], kind="stable")
    keys = ordered[["frame", "detection"]].to_numpy(np.int64)
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)][: len(keys)])
    lines = np.split(ordered[["x", "y"]].to_numpy(float), starts[1:])
    return {
        (frame, detection): line
        for (frame, detection), line in zip(keys[starts].tolist(), lines, strict=False)
    }


def lines_by_frame(geometry: pd.DataFrame) -> dict[int, dict[int, NDArray[np.float64]]]:
    """Return the same by frame, and in each frame by detection."""
    found: dict[int, dict[int, NDArray[np.float64]]] = {}
    for (frame, detection), line in lines_by_detection(geometry).items():
        found.setdefault(frame, {})[detection] = line
    return found
