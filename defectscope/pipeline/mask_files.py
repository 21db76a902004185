"""Masks as PNG files of one bit a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from defectscope.core.files import atomic_folder, write_new
from defectscope.core.masks import Mask
from defectscope.pipeline.png_files import mask_png

__all__ = ["write_masks"]


def write_masks(folder: Path, masks: Sequence[Mask], shape: tuple[int, int]) -> None:
    """Write ``000.png``, ``001.png``, ... and all together as ``all.png``; the folder comes whole.

    Parameters
    ----------
    folder
        Where to write; what is there is replaced.
    masks, shape
        Masks of a frame of `shape` (height, width).
    """
    together = np.zeros(shape, bool)
    with atomic_folder(folder) as temporary:
        for position, mask in enumerate(masks):
            inside = mask.clipped(shape)
            x0, y0, x1, y1 = inside.box
            together[y0:y1, x0:x1] |= inside.bitmap
            write_new(temporary / f"{position:03d}.png", mask_png(inside, shape))
        write_new(temporary / "all.png", mask_png(Mask(0, 0, together), shape))
