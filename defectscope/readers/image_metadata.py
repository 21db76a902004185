"""What PNG and JPEG files say beside their pixels: how to turn the image, how many there are."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

from PIL import ExifTags, JpegImagePlugin, PngImagePlugin

from defectscope.readers.pixels import UPRIGHT

__all__ = ["JPEG_SIGNATURE", "PNG_SIGNATURE", "orientation_and_images"]

PNG_SIGNATURE, JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# What Pillow raises of what is damaged.
DAMAGED = (OSError, SyntaxError, ValueError, struct.error)


def orientation_and_images(data: bytes) -> tuple[int, int]:
    """Return the EXIF orientation, from 1 (as stored) to 8, and how many images a file announces.

    Parameters
    ----------
    data
        A whole file. Of kinds other than PNG and JPEG nothing is known, and what is damaged says
        nothing.
    """
    # Not by Image.open, which refuses and warns of frames as large as cameras make them.
    try:
        image: PngImagePlugin.PngImageFile | JpegImagePlugin.JpegImageFile
        if data.startswith(PNG_SIGNATURE):
            image = PngImagePlugin.PngImageFile(io.BytesIO(data))
        elif data.startswith(JPEG_SIGNATURE):
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        else:
            return UPRIGHT, 1
    except DAMAGED:
        return UPRIGHT, 1
    return _orientation_in(image.info.get("exif", b"")), getattr(image, "n_frames", 1)


def _orientation_in(exif: bytes) -> int:
    # Pillow reads it too, and warns of what is damaged, which threads cannot hold back alone.
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return UPRIGHT
    with suppress(struct.error):  # what is damaged says nothing
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for number in range(entries):
            # Tag, type, count, and the value itself, which takes the first two of four bytes.
            tag, _, _, found = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * number)
            if tag == ExifTags.Base.Orientation:
                return int(found) if 1 <= found <= 8 else UPRIGHT
    return UPRIGHT
