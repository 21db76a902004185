"""Values between two sightings of a defect: what is linear in the frame, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.geometry.angles import undirected_deg
from defectscope.core.tables import DETECTION_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NAMES", "between"]

# Columns with one of these units vary smoothly, as do the position, the score, time and dose.
UNITS = ("_px", "_nm", "_nm2", "_deg")
NAMES = frozenset(
    {name for name, kind in DETECTION_COLUMNS.items() if kind == "float64"}
    | {"x_corrected", "y_corrected"}
)
HALF_TURN_DEG = 180.0


def between(
    name: str,
    first: NDArray[Any],
    second: NDArray[Any],
    parts: NDArray[np.float64],
    late: NDArray[np.bool_],
) -> NDArray[Any]:
    """Return the values of a column between two sightings.

    Parameters
    ----------
    name
        Of the column.
    first, second
        (n,) values at the sightings before and after.
    parts
        (n,) how much of the time between them has passed, 0 to 1.
    late
        (n,) whether the second sighting is the nearer one.

    Returns
    -------
    ndarray
        Floats, and positions of any kind, are linear; angles (``angle_deg``) the shorter way round
        half a turn. Names, whole numbers, flags, and what is unknown at one of the two sightings
        are those of the nearer one.
    """
    nearest = np.where(late, second, first)
    kinds = {first.dtype.kind, second.dtype.kind}
    if not kinds <= set("iuf" if name in NAMES else "f"):
        return nearest
    step = second.astype(float) - first
    if name == "angle_deg":
        step = (step + HALF_TURN_DEG / 2) % HALF_TURN_DEG - HALF_TURN_DEG / 2
    values = first + parts * step
    if name == "angle_deg":
        values = undirected_deg(values)
    smooth = np.isfinite(values)
    if name not in NAMES and not name.endswith(UNITS):
        # Flags are stored as 0 and 1 (and NaN); half a flag means nothing.
        smooth &= ~(np.isin(first, (0.0, 1.0)) & np.isin(second, (0.0, 1.0)))
    return np.where(smooth, values, nearest)
