"""The grey levels that an image has without its broken pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["in_inner_range"]

# Part of the pixels of a deep image that may be broken, at each end of the grey levels.
FEW = 0.001


def in_inner_range(pixels: NDArray[Any]) -> tuple[NDArray[np.float32], float, float]:
    """Return pixels, and the lowest and highest of them without those of a broken detector.

    A hot pixel of a deep image would otherwise set the range, and noise of a share of it would
    drown everything else.

    Parameters
    ----------
    pixels
        (H, W) of any dtype. An image of 8 bits is taken as it is.

    Returns
    -------
    values : (H, W) float32
        Cut where they are further out than the range of all but few pixels is wide; those that are
        not finite are the median.
    low, high : float
        The least and the largest of them.
    """
    values: NDArray[np.float32] = np.asarray(pixels, np.float32)
    if pixels.dtype == np.uint8:
        return values, float(values.min()), float(values.max())
    known = np.isfinite(values)
    if not known.all():
        values = np.where(known, values, np.median(values[known]) if known.any() else 0)
    inner_low, inner_high = np.percentile(values, (100 * FEW, 100 * (1 - FEW))).tolist()
    reach = inner_high - inner_low
    if reach > 0:
        values = np.clip(values, inner_low - reach, inner_high + reach)
    return values, float(values.min()), float(values.max())
