"""Which columns and measurements are positions in the frame, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["position_axis", "position_columns"]

PLAIN = {"x": 0, "x_min": 0, "x_max": 0, "y": 1, "y_min": 1, "y_max": 1}


def position_axis(name: str) -> int | None:
    """Return the axis along which a column is a position, px: 0 across, 1 down, or None.

    ``x``, ``y``, the corners of boxes, and what ends in ``_x_px`` or ``_y_px``, such as
    ``start_x_px``.
    """
    if name in PLAIN:
        return PLAIN[name]
    return next((axis for axis, end in enumerate(("_x_px", "_y_px")) if name.endswith(end)), None)


def position_columns(table: Mapping[str, Any] | pd.DataFrame) -> dict[str, tuple[int, float]]:
    """Return the axis of every column that is a position, and how much of its unit a px is.

    That is 1, but for twins such as ``start_x_nm`` beside ``start_x_px`` the pixel size, as rows
    with both units tell it. Where none does, the twins are left out.
    """
    found = {}
    for name in map(str, table):
        axis = position_axis(name)
        if axis is not None:
            found[name] = (axis, 1.0)
    twins = {_twin(name): axis for name, (axis, _) in found.items() if _twin(name) in table}
    size = _pixel_size(table) if twins else None
    if size is not None:
        found |= {twin: (axis, size) for twin, axis in twins.items()}
    return found


def _twin(name: str) -> str:
    # Empty, and no column, where the unit is not in the name.
    return f"{name[:-3]}_nm" if name.endswith("_px") else ""


def _pixel_size(table: Mapping[str, Any] | pd.DataFrame) -> float | None:
    """Return nm by px. Any row would do; the median is right to the last bit."""
    both = [name for name in map(str, table) if _twin(name) in table]
    px, nm = (
        np.concatenate([np.asarray(table[name], float) for name in names])
        for names in (both, map(_twin, both))
    )
    known = np.isfinite(px) & np.isfinite(nm) & (px != 0)
    return float(np.median(nm[known] / px[known])) if known.any() else None
