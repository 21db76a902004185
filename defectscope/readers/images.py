"""Reader of files with one image: PNG, JPEG and BMP."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from defectscope import DamagedFrameError, FrameSequence, Reader
from defectscope.readers.image_metadata import (
    JPEG_SIGNATURE,
    PNG_SIGNATURE,
    orientation_and_images,
)
from defectscope.readers.pixels import TURNED, UPRIGHT, grey_pixels, warn_once

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ImageFile", "ImageReader"]

PNG, JPEG, BMP = PNG_SIGNATURE, JPEG_SIGNATURE, b"BM"
# A marker of a JPEG file: neither a stuffed 0xFF of the compressed data nor a restart marker.
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
JPEG_SCAN, JPEG_END = 0xDA, b"\xff\xd9"
BMP_HEADER_BYTES = 54


class ImageReader(Reader):
    """One image a file: PNG, JPEG, BMP, at full bit depth.

    Attributes
    ----------
    one_image_a_file
        Tells whoever opens many files that they need not be looked into to count their frames.
    """

    one_image_a_file: ClassVar[bool] = True

    def read(self, path: Path) -> ImageFile:
        """Return the one frame of `path`; the file is opened when the frame is read."""
        return ImageFile(path)


class ImageFile(FrameSequence):
    """The image of one file.

    A file that is damaged or cut off is told from a whole one by its structure, because
    decoders fill what is missing with grey.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.indices, self.names = (0,), (path.name,)
        self.warnings = []

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels, or raise DamagedFrameError."""
        name = self._path.name
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise DamagedFrameError(f"{name}: cannot be read: {error.strerror or error}") from error
        fault = _fault(data)
        if fault is not None:
            raise DamagedFrameError(f"{name}: {fault}")
        try:
            stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise DamagedFrameError(
                f"{name}: the image cannot be decoded: {' '.join(str(error).split())}"
            ) from error
        if stored is None:
            raise DamagedFrameError(
                f"{name}: the image cannot be decoded; it is damaged, or of a kind that OpenCV "
                "does not know"
            )
        pixels = np.asarray(stored)
        if pixels.ndim == 3 and pixels.shape[2] >= 3:
            pixels = pixels[..., 2::-1]  # OpenCV's order is B, G, R, alpha
        self._warn_about(data)
        return grey_pixels(pixels, name, self.warnings)

    def _warn_about(self, data: bytes) -> None:
        turned, count = orientation_and_images(data)
        if count > 1:
            warn_once(
                self.warnings,
                f"the file is an animated PNG of {count} images; the first is used, so save each "
                "as a file of its own",
            )
        if turned != UPRIGHT:
            warn_once(self.warnings, TURNED)


def _fault(data: bytes) -> str | None:
    if not data:
        return "the file is empty (0 bytes)"
    if data.startswith(PNG):
        return _png_fault(data)
    if data.startswith(JPEG):
        return None if _jpeg_is_whole(data) else "the JPEG file is cut off before its end"
    if data.startswith(BMP):
        return _bmp_fault(data)
    return f"expected a PNG, JPEG or BMP image, found a file that begins with {data[:8]!r}"


def _png_fault(data: bytes) -> str | None:
    position = len(PNG)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 8 + length
        if end + 4 > len(data):
            break
        # Chunks with a lower-case letter in front only decorate; a bad one does no harm.
        if kind[:1].isupper() and zlib.crc32(data[position + 4 : end]) != int.from_bytes(
            data[end : end + 4], "big"
        ):
            return "the PNG file is damaged: the check sum of its data is wrong"
        if kind == b"IEND":
            return None
        position = end + 4
    return "the PNG file is cut off before its end"


def _jpeg_is_whole(data: bytes) -> bool:
    position = 2
    while (marker := JPEG_MARKER.search(data, position)) is not None:
        # A segment begins with its length; jumping over it skips the preview inside EXIF,
        # which has an end marker of its own.
        start = marker.end()
        position = start + int.from_bytes(data[start : start + 2], "big")
        if marker[1][0] == JPEG_SCAN:
            # The compressed data hold none, and going through their stuffed 0xFF is slow.
            return data.find(JPEG_END, position) >= 0
    return False


def _bmp_fault(data: bytes) -> str | None:
    if len(data) < BMP_HEADER_BYTES:
        return "the BMP file is cut off before its end"
    offset, header = (int.from_bytes(data[at : at + 4], "little") for at in (10, 14))
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    bits, compression = (int.from_bytes(data[at:end], "little") for at, end in ((28, 30), (30, 34)))
    # Only of an uncompressed image is the size known; headers below 40 bytes are OS/2's.
    row_bytes = (width * bits + 31) // 32 * 4
    if header >= 40 and compression == 0 and len(data) < offset + row_bytes * abs(height):
        return "the BMP file is cut off before its end"
    return None
