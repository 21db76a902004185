"""Angles of what has a direction and no sense: axes of ellipses, chords of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["undirected_deg"]


def undirected_deg(angles_deg: ArrayLike) -> NDArray[np.float64]:
    """Return the angles in [0, 180) of the same directions, in degrees; NaN stays.

    The remainder of a negative angle next to 0 is rounded to 180 itself.
    """
    turned = np.asarray(angles_deg, float) % 180.0
    return np.where(turned == 180.0, 0.0, turned)
