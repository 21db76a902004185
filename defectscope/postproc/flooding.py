"""The watershed of scikit-image on small crops, without what it does for every call.

Checking, padding and cutting take ten times as long as the flood of a crop of 40 x 40 px. The
compiled function behind ``skimage.segmentation.watershed`` is called directly where it is there
and does the same as the public one, which is found out once; else the public one is called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["flood"]


def flood(
    relief: NDArray[Any], markers: NDArray[np.int32], mask: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Return ``watershed(relief, markers, mask=mask)``.

    Parameters
    ----------
    relief
        (h, w) values; the lowest are flooded first.
    markers
        (h, w) int32: labels where the flood begins, 0 elsewhere.
    mask
        (h, w) bool: what may be flooded.
    """
    compiled = _compiled()
    if compiled is not None:
        return _flood(compiled, relief, markers, mask)
    return np.asarray(watershed(relief, markers, mask=mask))


def _flood(
    compiled: Callable[..., None],
    relief: NDArray[Any],
    markers: NDArray[np.int32],
    mask: NDArray[np.bool_],
) -> NDArray[np.int32]:
    height, width = relief.shape
    # A rim that may not be flooded, so that nobody needs to ask where the image ends.
    shape = height + 2, width + 2
    padded, allowed, flooded = (np.zeros(shape, kind) for kind in (float, np.int8, np.int32))
    padded[1:-1, 1:-1] = relief
    allowed[1:-1, 1:-1] = mask
    inner = flooded[1:-1, 1:-1]
    np.multiply(markers, mask, out=inner)
    strides = np.array([width + 2, 1], np.intp)
    neighbours = np.array([-width - 2, -1, 1, width + 2], np.intp)
    starts = np.flatnonzero(flooded)
    compiled(
        padded.ravel(), starts, neighbours, allowed.ravel(), strides, 0, flooded.ravel(), False
    )
    return inner


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None] | None:
    relief = np.array([[3, 2, 2, 1, 2, 2], [1, 2, 3, 3, 2, 1], [2, 1, 1, 2, 2, 2.0]])
    markers = np.zeros(relief.shape, np.int32)
    markers[1, 0], markers[1, 5] = 1, 2
    mask = relief > 0
    mask[2, 3] = False
    try:
        from skimage.segmentation._watershed_cy import watershed_raveled

        same = np.array_equal(
            _flood(watershed_raveled, relief, markers, mask), watershed(relief, markers, mask=mask)
        )
    except Exception:  # whatever another version makes of it
        return None
    return watershed_raveled if same else None
