"""What PNG and JPEG files say beside their pixels: how the image is to be turned, how many it is.

Files are taken to be whole; see :mod:`defectscope.readers.images`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["PNG_SIGNATURE", "announced_images", "orientation"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXIF_IN_JPEG = b"Exif\0\0"
JPEG_APP1, JPEG_SCAN = 0xE1, 0xDA
ORIENTATION_TAG = 0x0112
UPRIGHT = 1


def orientation(data: bytes) -> int:
    """Return the EXIF orientation of a PNG or JPEG file, from 1 to 8: 1 is as stored.

    Parameters
    ----------
    data
        The file.
    """
    try:
        found = _orientation_in(_exif(data))
    except struct.error:  # what is damaged in it says nothing
        return UPRIGHT
    return found if 1 <= found <= 8 else UPRIGHT


def announced_images(data: bytes) -> int:
    """Return how many images an animated PNG file announces; 1 for any other file.

    Parameters
    ----------
    data
        The file.
    """
    for kind, content in _png_chunks(data):
        if kind == b"acTL" and len(content) >= 4:
            return int.from_bytes(content[:4], "big")
    return 1


def _exif(data: bytes) -> bytes:
    if data.startswith(PNG_SIGNATURE):
        return next((bytes(content) for kind, content in _png_chunks(data) if kind == b"eXIf"), b"")
    for marker, content in _jpeg_segments(data):
        if marker == JPEG_APP1 and content.startswith(EXIF_IN_JPEG):
            return content[len(EXIF_IN_JPEG) :]
    return b""


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    position, view = len(PNG_SIGNATURE), memoryview(data)  # the image is not to be copied
    while data.startswith(PNG_SIGNATURE) and position + 12 <= len(data):
        start = position + 8
        end = start + int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : start], view[start:end]
        position = end + 4


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the segments in front of the compressed data."""
    position = 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker = data[position + 1]
        if marker == JPEG_SCAN:
            return
        if marker == 0xFF:  # any number of these may stand before a marker
            position += 1
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, data[position + 4 : end]
        position = end


def _orientation_in(exif: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    (entries,) = struct.unpack_from(f"{order}H", exif, directory)
    for number in range(entries):
        # Tag, type, count, and the value itself, which takes the first two of four bytes.
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * number)
        if tag == ORIENTATION_TAG:
            return int(value)
    return UPRIGHT
