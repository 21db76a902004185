"""How a labelled image comes into the frame of its twin: scaled, and cut where that is allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from defectscope import OptionError
from defectscope.core.geometry.splines import spline_through

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.twin_sources import Source

__all__ = ["Placing", "placed_in"]


@dataclass(frozen=True)
class Placing:
    """How an image is scaled and cut to a frame.

    Parameters
    ----------
    scaled_px
        (height, width) of the whole image as it is scaled.
    offset_px
        x, y of the frame's corner in it.
    shape
        (height, width) of the frame.
    """

    scaled_px: tuple[int, int]
    offset_px: tuple[int, int]
    shape: tuple[int, int]

    def points(self, points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Return points of an image of `size` (height, width) in the frame."""
        factor = np.array(self.scaled_px[::-1]) / np.array(size[::-1])
        return np.asarray(points * factor - np.array(self.offset_px), np.float64)

    def pixels(self, grey: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return an image in the frame."""
        if grey.shape != self.scaled_px:
            method = cv2.INTER_AREA if self.scaled_px[0] < grey.shape[0] else cv2.INTER_CUBIC
            grey = np.clip(cv2.resize(grey, self.scaled_px[::-1], interpolation=method), 0, 1)
        (x, y), (height, width) = self.offset_px, self.shape
        return np.ascontiguousarray(grey[y : y + height, x : x + width], np.float32)


def placed_in(source: Source, shape: tuple[int, int], crop: bool) -> tuple[Source, Placing]:
    """Return the lines of a labelled image in a frame, and how they came there.

    Parameters
    ----------
    source
        The labelled image.
    shape
        (height, width) of the frame.
    crop
        Whether a frame of other proportions may show the middle of the image.

    Raises
    ------
    OptionError
        It has other proportions, and may not.
    """
    height, width = source.labels.image_shape
    factor = max(shape[0] / height, shape[1] / width)
    scaled = max(round(height * factor), shape[0]), max(round(width * factor), shape[1])
    beyond = scaled[0] - shape[0], scaled[1] - shape[1]
    # One px is what rounding makes of one factor for both sides.
    if max(beyond) > 1 and not crop:
        raise OptionError(
            f"twin: a frame of {shape[1]} x {shape[0]} px has other proportions than the labelled "
            f"image of {source.labels.path.name} with its {width} x {height} px; give "
            f"--size {width}x{height} or that size scaled, or cut with --set twin.proportions=crop"
        )
    placing = Placing(scaled, (beyond[1] // 2, beyond[0] // 2), shape)
    if scaled == (height, width) == shape:
        return source, placing
    size = source.labels.image_shape
    paths = tuple(spline_through(placing.points(path, size)) for path in source.paths)
    traces = tuple(placing.points(ends, size) for ends in source.traces)
    return replace(source, paths=paths, traces=traces), placing
