"""Grey levels as networks see them, whatever the bit depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["normalised", "unit_of"]

# Twice the distance of the quartiles is about 2.7 standard deviations of a normal distribution.
UNIT = 2.0
LIMIT = 4.0
# Distance of the quartiles of a normal distribution, in standard deviations.
QUARTILES = 1.35
# Every third pixel each way tells the quartiles as well as all of them, unless those are few.
STEP = 3
SMALL_PX = 64


# Single pixels may be as far off as floats go, and are cut off in the end.
@np.errstate(over="ignore", invalid="ignore")
def normalised(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels relative to the frame's median, in units of its spread.

    Quartiles hardly move with the number of defects or with burnt-in captions, and a 12-bit frame
    stored in 16 bits comes out as its 8-bit copy does, only finer.

    Parameters
    ----------
    pixels
        (H, W) of any dtype; values that are not finite count as the median.

    Returns
    -------
    (H, W) float32
        0 at the median, cut at ±4. Zero everywhere if the frame has one grey level.
    """
    values = np.array(pixels, np.float32)
    centre, unit = _centre_and_unit(_sample(values, pixels.dtype))
    if unit == 0:
        return np.zeros_like(values)
    values -= np.float32(centre)
    values *= np.float32(1 / unit)
    if not np.issubdtype(pixels.dtype, np.integer):
        np.nan_to_num(values, copy=False, nan=0.0, posinf=LIMIT, neginf=-LIMIT)
    return np.clip(values, -LIMIT, LIMIT, out=values)


def unit_of(pixels: NDArray[Any]) -> float:
    """Return how many grey levels 1 of :func:`normalised` is; 0 if the frame has one grey level."""
    return _centre_and_unit(_sample(pixels, pixels.dtype))[1]


def _sample(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.float32]:
    sample = values[::STEP, ::STEP] if min(values.shape) >= SMALL_PX else values
    sample = np.asarray(sample, np.float32)
    return sample if np.issubdtype(dtype, np.integer) else sample[np.isfinite(sample)]


def _centre_and_unit(sample: NDArray[np.float32]) -> tuple[float, float]:
    if not sample.size:
        return 0.0, 0.0
    low, centre, high = (float(v) for v in np.percentile(sample, (25, 50, 75)))
    spread = high - low
    # More than half of the pixels alike, as in a clipped or computed image.
    if spread <= 1e-6 * max(abs(low), abs(high)):
        spread = QUARTILES * float(sample.std(dtype=np.float64))
    return centre, UNIT * spread
