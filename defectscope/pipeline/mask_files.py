"""Masks as PNG files of one bit a pixel.

Written here because image libraries look at every pixel of a frame, and a mask fills few: this is
five times as fast, and a sample has as many masks as instances.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from defectscope.core.files import atomic_folder
from defectscope.core.masks import Mask

__all__ = ["mask_png", "write_masks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
            (temporary / f"{position:03d}.png").write_bytes(mask_png(inside, shape))
        (temporary / "all.png").write_bytes(mask_png(Mask(0, 0, together), shape))


def mask_png(mask: Mask, shape: tuple[int, int]) -> bytes:
    """Return the bytes of a PNG file, white where the mask is.

    Parameters
    ----------
    mask
        Inside the frame.
    shape
        (height, width) of the frame.
    """
    height, width = shape
    x0, y0, _, y1 = mask.box
    # Each row begins with the number of its filter: 0, none.
    rows = np.zeros((height, 1 + -(-width // 8)), np.uint8)
    shifted = np.zeros((y1 - y0, x0 % 8 + mask.bitmap.shape[1]), bool)
    shifted[:, x0 % 8 :] = mask.bitmap
    packed = np.packbits(shifted, axis=1)
    first = 1 + x0 // 8
    rows[y0:y1, first : first + packed.shape[1]] = packed
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
