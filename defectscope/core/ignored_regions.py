"""Where labels say that nothing is known of lines: ignored masks and boxes without a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.masks import Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.instances import Instances

__all__ = ["ignored_region", "mask_of_box"]


def mask_of_box(box: NDArray[np.float32]) -> Mask:
    """Return every pixel that a box touches."""
    x_min, y_min = (int(v) for v in np.floor(box[:2]))
    x_max, y_max = (int(v) for v in np.ceil(box[2:]))
    return Mask(x_min, y_min, np.ones((y_max - y_min, x_max - x_min), bool))


def ignored_region(truth: Instances) -> NDArray[np.bool_] | None:
    """Return (H, W) bool, True in masks, or boxes without one, that are ignored and have no line.

    None where there are none. On an ignored line, it is the line that does not count.
    """
    if not truth.ignore.any():
        return None
    region = np.zeros(truth.image_shape, bool)
    for k in np.flatnonzero(truth.ignore):
        if truth.lines is not None and len(truth.lines[k]) > 1:
            continue
        mask = None if truth.masks is None else truth.masks[k]
        if mask is None or not mask.bitmap.any():
            mask = mask_of_box(truth.boxes[k])
        region |= mask.to_dense(truth.image_shape)
    return region if region.any() else None
