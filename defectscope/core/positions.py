"""Which columns and measurements are positions in the frame, by their names."""

from __future__ import annotations

__all__ = ["position_axis"]

PLAIN = {"x": 0, "x_min": 0, "x_max": 0, "y": 1, "y_min": 1, "y_max": 1}


def position_axis(name: str) -> int | None:
    """Return the axis along which a column is a position, px: 0 across, 1 down, or None.

    ``x``, ``y``, the corners of boxes, and what ends in ``_x_px`` or ``_y_px``, such as
    ``start_x_px``.
    """
    if name in PLAIN:
        return PLAIN[name]
    return next((axis for axis, end in enumerate(("_x_px", "_y_px")) if name.endswith(end)), None)
