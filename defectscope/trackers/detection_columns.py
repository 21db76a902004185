"""The columns of a table of detections that linking needs, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["frame_column", "position_columns"]

# Above this a float holds no longer every whole number.
LARGEST_FRAME = 2**53


def frame_column(detections: pd.DataFrame) -> NDArray[np.int64]:
    """Return the (n,) frame indices of a table.

    Raises
    ------
    FormatError
        The column is missing, or holds something else than whole numbers.
    """
    column = _numbers(detections, "frame")
    if column.dtype.kind in "iu":
        return column.astype(np.int64, copy=False)
    whole = (column == np.floor(column)) & (np.abs(column) <= LARGEST_FRAME)
    if not whole.all():
        found = column[~whole][0]
        raise FormatError(f"column 'frame' must hold whole numbers, found {found:g}")
    return column.astype(np.int64)


def position_columns(detections: pd.DataFrame) -> NDArray[np.float64]:
    """Return the (n, 2) positions y, x in px: the order in which trackpy takes them.

    Raises
    ------
    FormatError
        A column is missing, or holds something else than finite numbers.
    """
    positions = np.empty((len(detections), 2))
    for k, name in enumerate(("y", "x")):
        positions[:, k] = _numbers(detections, name)
    return positions


def _numbers(detections: pd.DataFrame, name: str) -> NDArray[Any]:
    if name not in detections.columns:
        raise FormatError(
            f"tracking needs the columns frame, x and y, but there is no {name!r}; "
            f"the table has: {', '.join(map(str, detections.columns)) or 'no columns'}"
        )
    column = detections[name]
    if not len(column):
        return np.empty(0)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise FormatError(f"column {name!r} must hold numbers, found {column.dtype} values")
    if column.dtype.kind in "iu" and not column.isna().any():
        return column.to_numpy(np.int64)
    values: NDArray[np.float64] = column.to_numpy(np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise FormatError(
            f"column {name!r} must hold finite numbers, but {len(bad)} of {len(values)} rows do "
            f"not, the first is row {bad[0]} (from 0); leave these rows out"
        )
    return values
