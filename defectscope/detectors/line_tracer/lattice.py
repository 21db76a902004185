"""Cells and orientation bins of ``line-tracer``: where outputs of the network lie.

Orientations are angles in image coordinates (x right, y down) between 0 and π, for a line has no
direction. The normal of an orientation θ is (-sin θ, cos θ); that of the bin decides about the
sign of offsets, so that it does not flip between π and 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["STRIDE", "bin_normals", "turned_by"]

# Side of a cell, px.
STRIDE = 2


def bin_normals(bins: int) -> NDArray[np.float64]:
    """Return the (bins, 2) normals of the bins' orientations."""
    angles = np.arange(bins) * np.pi / bins
    return np.stack([-np.sin(angles), np.cos(angles)], axis=1)


def turned_by(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angle between orientations, from 0 to π/2."""
    difference = np.abs(one - other) % np.pi
    return np.asarray(np.minimum(difference, np.pi - difference))
