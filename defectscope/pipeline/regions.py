"""The part of a frame that a run looks at, and whole frames to show."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.errors import DamagedFrameError, OptionError, UnfitOptionError
from defectscope.core.frames import SMALLEST_SIDE_PX, Frame, FrameSequence

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Roi", "check_corners", "frame_part", "frame_to_show", "read_part", "whole_corners"]

Roi = tuple[int, int, int, int]


def whole_corners(given: Any) -> Roi | None:
    """Return four whole numbers, of whatever kind, as a tuple of int; None of anything else."""
    try:
        x0, y0, x1, y1 = map(operator.index, given)
    except (TypeError, ValueError):
        return None
    return x0, y0, x1, y1


def check_corners(given: Any) -> Roi:
    """Return a region of interest as a tuple of int.

    Raises
    ------
    OptionError
        It is not four whole numbers, or its second corner does not lie to the right of and below
        the first.
    """
    roi = whole_corners(given)
    if roi is None:
        raise OptionError(
            f"a region of interest is four whole numbers of px, X0,Y0,X1,Y1; found {given!r}"
        )
    x0, y0, x1, y1 = roi
    if x0 >= x1 or y0 >= y1:
        raise OptionError(
            "a region of interest is X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1, found "
            f"{x0},{y0},{x1},{y1}"
        )
    return roi


def read_part(
    frames: FrameSequence, position: int, roi: Roi | None
) -> tuple[Frame, tuple[int, int]]:
    """Return what is looked at of the frame at a position, and (height, width) of all of it.

    Raises
    ------
    DamagedFrameError
        The frame cannot be read, or the part cannot be measured, whatever lies around it.
    UnfitOptionError
        The region does not lie inside the frame, or is too small.
    """
    pixels = frames.read(position)
    frame = frame_part(frames, position, roi, pixels)
    return frame, (pixels.shape[0], pixels.shape[1])


def frame_part(
    frames: FrameSequence, position: int, roi: Roi | None, pixels: NDArray[Any]
) -> Frame:
    """Return what is looked at of a frame whose whole `pixels` were read before."""
    index, name = frames.indices[position], frames.names[position]
    # What is no image, or too small for one, is a damaged frame wherever the region lies.
    if roi is None or pixels.ndim != 2 or min(pixels.shape) < SMALLEST_SIDE_PX:
        # A view of its own, so that it can be made read-only without touching the reader's array.
        return Frame(pixels[:], index, frames.calibration, name)
    part = _cut(pixels, roi, name)
    try:
        return Frame(part, index, frames.calibration, name)
    except DamagedFrameError as error:
        raise DamagedFrameError(f"{error} (in the region of interest)") from error


def _cut(pixels: NDArray[Any], roi: Roi, source: str) -> NDArray[Any]:
    x0, y0, x1, y1 = check_corners(roi)
    height, width = pixels.shape
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise UnfitOptionError(
            f"the region of interest {x0},{y0},{x1},{y1} does not lie inside "
            f"{source} ({width} x {height} px)"
        )
    if min(x1 - x0, y1 - y0) < SMALLEST_SIDE_PX:
        raise UnfitOptionError(
            f"the region of interest {x0},{y0},{x1},{y1} is smaller than "
            f"{SMALLEST_SIDE_PX} x {SMALLEST_SIDE_PX} px"
        )
    return pixels[y0:y1, x0:x1]


def frame_to_show(frames: FrameSequence, position: int) -> Frame:
    """Return a whole frame for the eye, the lowest value where it has no finite one.

    Around the part that was looked at, there may be anything.
    """
    pixels, name = frames.read(position), frames.names[position]
    finite = np.isfinite(pixels)
    if not finite.any():
        raise DamagedFrameError(f"{name}: no pixel is finite")
    if not finite.all():
        pixels = np.where(finite, pixels, pixels[finite].min())
    return Frame(pixels, frames.indices[position], frames.calibration, name)
