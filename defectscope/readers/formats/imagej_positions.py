"""Positions in stacks of ImageJ: those of regions, and which one an image has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from roifile import ImagejRoi

from defectscope.core.datasets import LabelledImage
from defectscope.core.errors import FormatError
from defectscope.readers.formats.holdings import Notes

__all__ = ["check_axes", "position_in", "positions_of"]

# ImageJ keeps positions as 32-bit integers.
_PAGE = re.compile(r"(.*)#(\d{1,9})", re.DOTALL)


def positions_of(images: Sequence[LabelledImage], notes: Notes) -> list[int]:
    """Return the position of each image, from 1.

    That of its page where all are of one stack, which ImageJ opens whole; else its number among
    `images`.
    """
    pages = [_PAGE.fullmatch(image.file_name) for image in images]
    stacks = {page and page[1] for page in pages}
    numbers = [int(page[2]) + 1 for page in pages if page is not None]
    if len(stacks) == 1 and None not in stacks and len(set(numbers)) == len(images):
        return numbers
    frames = {image.frame for image in images if image.frame is not None}
    if frames and max(frames) - min(frames) >= len(frames):
        notes.add(
            "positions count the labelled images, whose frame indices have gaps: in ImageJ, open "
            "these images only, in this order"
        )
    return list(range(1, len(images) + 1))


def _places(roi: ImagejRoi) -> dict[str, int]:
    """Return the places on the axes of a hyperstack that are not the first."""
    places = {"channel": roi.c_position, "slice": roi.z_position, "time": roi.t_position}
    return {} if roi.position else {axis: int(k) for axis, k in places.items() if k > 1}


def check_axes(series: set[str], roi: ImagejRoi, where: str) -> None:
    """Add the axis that a region's position counts along to those of the other regions.

    Raises
    ------
    FormatError
        They count along several.
    """
    series.update(_places(roi))
    if len(series) > 1:
        axes = " and ".join(sorted(series))
        raise FormatError(
            f"{where}: the positions in {axes} are of a hyperstack of several axes, which is no "
            "series; mark regions in a stack of one channel and one slice, or of one time"
        )


def position_in(roi: ImagejRoi) -> int:
    """Return the position of a region, from 1, also in a hyperstack of one axis; 0 for none."""
    places = _places(roi)
    if places:
        return next(iter(places.values()))
    in_hyperstack = max(roi.c_position, roi.z_position, roi.t_position) > 0
    return max(int(roi.position), int(in_hyperstack))
