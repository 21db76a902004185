"""Which part of a frame a run did not look at: outside of the region, and masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.pipeline.regions import Roi

__all__ = ["unseen_outlines", "unseen_pixels"]


def unseen_pixels(
    shape: tuple[int, int], roi: Roi | None, masked: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Return (height, width) bool, True where nothing was looked for; None where all was.

    Parameters
    ----------
    shape
        (height, width) of the frame, px.
    roi
        x_min, y_min, x_max, y_max of the part that was looked at, or None.
    masked
        (H, W) bool, True where masked, or None; what it says beyond the frame is left out.
    """
    unseen = np.zeros(shape, bool)
    if roi is not None:
        x0, y0, x1, y1 = (max(0, side) for side in roi)
        unseen[:] = True
        unseen[y0:y1, x0:x1] = False
    if masked is not None:
        height, width = (min(a, b) for a, b in zip(shape, masked.shape, strict=True))
        unseen[:height, :width] |= masked[:height, :width]
    return unseen if unseen.any() else None


def unseen_outlines(unseen: NDArray[np.bool_] | None) -> list[list[list[int]]]:
    """Return the rims of what was not looked at: polygons [[x, y], ...], px, holes included."""
    if unseen is None:
        return []
    # Twice as large, rims of single pixels lie on their edges to half a pixel.
    doubled = unseen.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    rims = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]
    return [[[round((int(v) + 0.5) / 2) for v in point[0]] for point in rim] for rim in rims]
