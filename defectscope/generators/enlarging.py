"""Small arrays enlarged to images, with the same values on every processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["enlarged"]


def enlarged(values: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return an array of `shape`, linear between the centres of the cells of a smaller one.

    OpenCV does the same a little faster, and with weights that depend on the processor.

    Parameters
    ----------
    values
        (h, w).
    shape
        (H, W); beyond the outermost centres values stay as they are there.
    """
    (top, low, down), (left, right, along) = (
        _between(small, large) for small, large in zip(values.shape, shape, strict=True)
    )
    rows = (values[:, left] + along * (values[:, right] - values[:, left])).astype(np.float32)
    image = (rows[low] - rows[top]) * down.astype(np.float32)[:, None]
    image += rows[top]
    return image


def _between(
    small: int, large: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the cells on both sides of each of `large` places, and how far it is to the second."""
    place = np.clip((np.arange(large) + 0.5) * (small / large) - 0.5, 0, small - 1)
    first = np.floor(place).astype(np.intp)
    return first, np.minimum(first + 1, small - 1), place - first
