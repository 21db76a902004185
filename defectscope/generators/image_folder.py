"""The images of a folder as grey values from 0 to 1, decoded once and kept while in use."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from defectscope import InputError
from defectscope.core.tiff_pixels import page_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "GreyImage", "ImageFolder", "Scaling", "grey_image", "grey_limits"]

TIFF = (".tif", ".tiff")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", *TIFF)
# Parts of the pixels that may lie below and above the own range: hot and dead pixels.
TAIL_PERCENT = 0.1

Scaling: TypeAlias = Literal["auto", "range", "dtype"]


@dataclass(frozen=True)
class GreyImage:
    """One image as it is stored, and the two values that become 0 and 1.

    Parameters
    ----------
    name
        File name.
    pixels
        (H, W), dtype as stored.
    black, white
        Stored values that become 0 and 1.
    sha256
        Digest of the file.
    """

    name: str
    pixels: NDArray[Any]
    black: float
    white: float
    sha256: str

    def scaled(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Return part of the pixels as grey values from 0 to 1; an even image is 0.5."""
        if self.white == self.black:
            return np.full(stored.shape, 0.5)
        grey = (stored.astype(np.float64) - self.black) / (self.white - self.black)
        return np.clip(grey, 0, 1)


class ImageFolder:
    """The images directly inside a folder, sorted by name.

    Parameters
    ----------
    folder
        The folder; what is hidden, or has no suffix of :data:`SUFFIXES`, is passed over. Of
        images with real colours the luminance is taken.
    scaling
        Which stored values become 0 and 1. ``dtype``: the least and the largest of the data
        type (0 and 1 of floats). ``range``: the 0.1 and 99.9 percent quantiles of the image.
        ``auto``: ``dtype`` for 8 bits, whose contrast somebody chose, else ``range``, because
        cameras fill a part of 16 bits only.
    kept
        How many decoded images are kept, those used last.

    Attributes
    ----------
    names : tuple of str
    sizes : tuple of (int, int)
        Height and width of each, px, from the files' headers.

    Raises
    ------
    InputError
        The folder does not exist or holds no image, or a file is no image.
    """

    def __init__(self, folder: Path, scaling: Scaling = "auto", kept: int = 16) -> None:
        self.folder, self.scaling, self.kept = folder, scaling, kept
        self.names = _names(folder)
        self.sizes = tuple(_size(folder / name) for name in self.names)
        self._decoded: OrderedDict[str, GreyImage] = OrderedDict()

    def image(self, name: str) -> GreyImage:
        """Return one image.

        Raises
        ------
        InputError
            It cannot be read, is a stack, or has values that are neither grey nor RGB.
        """
        if name not in self._decoded:
            self._decoded[name] = grey_image(self.folder / name, self.scaling)
        self._decoded.move_to_end(name)
        while len(self._decoded) > self.kept:
            self._decoded.popitem(last=False)
        return self._decoded[name]


def _names(folder: Path) -> tuple[str, ...]:
    try:
        files = [path.name for path in folder.iterdir() if path.is_file()]
    except FileNotFoundError as error:
        raise InputError(f"there is no folder {folder}; name one that holds images") from error
    except NotADirectoryError as error:
        raise InputError(f"{folder} is a file; name the folder that holds the images") from error
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror}") from error
    names = [n for n in files if not n.startswith(".") and n.lower().endswith(SUFFIXES)]
    if not names:
        raise InputError(
            f"the folder {folder} holds no image; expected files that end in {', '.join(SUFFIXES)}"
        )
    return tuple(sorted(names))


def _size(path: Path) -> tuple[int, int]:
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as file:
                page = file.pages.first
                return int(page.imagelength), int(page.imagewidth)
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        # tifffile's TiffFileError is a ValueError.
        raise InputError(
            f"{path} cannot be read as an image; mend it, or take it out of the folder"
        ) from error


def grey_image(path: Path, scaling: Scaling = "auto", data: bytes | None = None) -> GreyImage:
    """Read one image.

    Parameters
    ----------
    path
        The file; with `data`, only its name.
    scaling
        Which stored values become 0 and 1, as for :class:`ImageFolder`.
    data
        What the file holds, where it is at hand.

    Raises
    ------
    InputError
        It cannot be read, is a stack, or has values that are neither grey nor RGB.
    """
    if data is None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    decode = _decode_tiff if path.suffix.lower() in TIFF else _decode
    pixels = _one_channel(decode(data, path), path)
    black, white = grey_limits(pixels, scaling, path)
    return GreyImage(path.name, pixels, black, white, hashlib.sha256(data).hexdigest())


def _decode(data: bytes, path: Path) -> NDArray[Any]:
    try:
        # OpenCV fills what a file cut short lacks with grey; Pillow refuses it.
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError, SyntaxError, ValueError):
        stored = None
    if stored is None:
        raise InputError(f"{path} cannot be decoded; mend it, or take it out of the folder")
    pixels = np.asarray(stored)
    # OpenCV's order is B, G, R, alpha.
    return pixels[..., 2::-1] if pixels.ndim == 3 and pixels.shape[2] >= 3 else pixels


def _decode_tiff(data: bytes, path: Path) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page, count = file.pages.first, len(file.pages)
            stored, imagej = np.asarray(page.asarray()), bool(file.is_imagej)
    # Codecs raise errors of their own, RuntimeError among them.
    except (OSError, ValueError, KeyError, RuntimeError, IndexError, TypeError) as error:
        raise InputError(
            f"{path} cannot be decoded; mend it, or take it out of the folder"
        ) from error
    if count > 1:
        raise InputError(
            f"{path} is a stack of {count} images; expected one image a file: save them apart"
        )
    # The same grey as where the image is analysed.
    return page_pixels(page, stored, str(path), [], with_palette=not imagej)


def _one_channel(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2):
        pixels = pixels[..., 0]  # grey, with or without alpha
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        red, green, blue = (pixels[..., k] for k in range(3))
        if np.array_equal(red, green) and np.array_equal(red, blue):
            pixels = red
        else:
            grey = 0.299 * red + 0.587 * green + 0.114 * blue
            pixels = (np.rint(grey) if pixels.dtype.kind in "iu" else grey).astype(pixels.dtype)
    if pixels.ndim != 2 or pixels.dtype.kind not in "buif" or not pixels.size:
        raise InputError(
            f"{path}: expected one grey or RGB image, found {pixels.dtype} values of the shape "
            f"{' x '.join(map(str, pixels.shape))}"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(
            f"{path} has pixels that are not finite numbers; mend it, or take it out of the folder"
        )
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    return np.ascontiguousarray(pixels)


def grey_limits(pixels: NDArray[Any], scaling: Scaling, path: Path) -> tuple[float, float]:
    """Return the stored values of the image `path` that become 0 and 1.

    Raises
    ------
    InputError
        Floats beyond [0, 1] are to be scaled by their data type.
    """
    kind = pixels.dtype.kind
    if scaling == "range" or (scaling == "auto" and pixels.dtype != np.uint8):
        black, white = np.percentile(pixels, [TAIL_PERCENT, 100 - TAIL_PERCENT])
        return float(black), float(white)
    if kind in "iu":
        limits = np.iinfo(pixels.dtype)
        return float(limits.min), float(limits.max)
    if pixels.min() < 0 or pixels.max() > 1:
        raise InputError(
            f"{path} has values from {pixels.min():g} to {pixels.max():g}, and floats scaled by "
            "their data type must lie within [0, 1]; set scaling to range"
        )
    return 0.0, 1.0
