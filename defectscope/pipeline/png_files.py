"""PNG files of two kinds that image libraries write slowly: masks, and images full of noise."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.core.masks import Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["image_png", "mask_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Every so many rows are compressed to see what there is to gain.
PROBE_ROWS = 16
# Noise that does not shrink below this share is stored as it is, in a sixth of the time.
WORTH_COMPRESSING = 0.8


def image_png(pixels: NDArray[Any]) -> bytes:
    """Return the bytes of a grey PNG file.

    Parameters
    ----------
    pixels
        (H, W) uint8 or uint16.
    """
    probe = np.ascontiguousarray(pixels[::PROBE_ROWS])
    # Without being told how, OpenCV writes PNG as fast as it can.
    if len(cv2.imencode(".png", probe)[1]) < WORTH_COMPRESSING * probe.nbytes:
        return bytes(cv2.imencode(".png", pixels)[1].tobytes())
    height, width = pixels.shape
    rows = _unfiltered_rows(height, pixels.itemsize * width)
    # PNG has the most significant byte first.
    big_endian = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    rows[:, 1:] = big_endian.view(np.uint8)
    return _png(rows, width, 8 * pixels.itemsize, level=0)


def mask_png(mask: Mask, shape: tuple[int, int]) -> bytes:
    """Return the bytes of a PNG file of one bit a pixel, white where the mask is.

    Image libraries look at every pixel of a frame, and a mask fills few: this is five times as
    fast, and a sample has as many masks as instances.

    Parameters
    ----------
    mask
        Inside the frame.
    shape
        (height, width) of the frame.
    """
    height, width = shape
    x0, y0, _, y1 = mask.box
    rows = _unfiltered_rows(height, -(-width // 8))
    shifted = np.zeros((y1 - y0, x0 % 8 + mask.bitmap.shape[1]), bool)
    shifted[:, x0 % 8 :] = mask.bitmap
    packed = np.packbits(shifted, axis=1)
    first = 1 + x0 // 8
    rows[y0:y1, first : first + packed.shape[1]] = packed
    return _png(rows, width, 1, level=1)


def _unfiltered_rows(height: int, row_bytes: int) -> NDArray[np.uint8]:
    # Each row begins with the number of its filter: 0, none.
    return np.zeros((height, 1 + row_bytes), np.uint8)


def _png(rows: NDArray[np.uint8], width: int, bit_depth: int, level: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, len(rows), bit_depth, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), level)), (b"IEND", b"")
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
