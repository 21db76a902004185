"""Positions in a series of ImageJ: which one an image has, and which image one means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from defectscope.core.datasets import LabelledImage
from defectscope.readers.formats.holdings import Notes

__all__ = ["positions_of"]

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
