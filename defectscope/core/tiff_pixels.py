"""Which pages of a TIFF are images, and what their values mean: palettes, negatives, colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffFileError, TiffPage

from defectscope.core.errors import DamagedFrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["full_pages", "page_pixels", "shows_inverted"]

NOT_GREY_OR_RGB = {
    PHOTOMETRIC.SEPARATED: "CMYK",
    PHOTOMETRIC.CIELAB: "CIE L*a*b*",
    PHOTOMETRIC.ICCLAB: "ICC L*a*b*",
    PHOTOMETRIC.ITULAB: "ITU L*a*b*",
    PHOTOMETRIC.CFA: "those of a colour filter array",
}
WITH_COLOURS = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR, PHOTOMETRIC.PALETTE)
ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
SECOND_LEFT_OUT = (
    "there are two grey values for each pixel, and the file does not say what the second is; the "
    "first is used: save the second as an image of its own if that is meant"
)


# A thumbnail stands beside a few images, never in a long stack, whose pages are not all looked at.
MOST_PAGES_WITH_THUMBNAIL = 64


def full_pages(file: TiffFile) -> tuple[int, ...]:
    """Return the places of the pages that are no thumbnails; of all where all are such."""
    number = len(file.pages)
    if number == 1 or number > MOST_PAGES_WITH_THUMBNAIL:
        return tuple(range(number))
    full = tuple(k for k in range(number) if not _is_thumbnail(file, k))
    return full or tuple(range(number))


def _is_thumbnail(file: TiffFile, number: int) -> bool:
    try:
        page = file.pages[number]
    except Exception:  # a damaged page is a frame all the same: reading it says what is wrong
        return False
    return isinstance(page, TiffPage) and page.is_reduced


def page_pixels(
    page: Any, stored: NDArray[Any], name: str, warnings: list[str], *, with_palette: bool
) -> NDArray[Any]:
    """Return the values of a page as (H, W) grey values or (H, W, samples) colours.

    Parameters
    ----------
    page
        The page that describes the values (tifffile's key frame).
    stored
        As tifffile decodes them.
    name
        Source of the frame, for messages.
    warnings
        Where to say, once, that a second value of each pixel is left out.
    with_palette
        Whether to apply the page's palette. ImageJ's is for display only: the values are the data.

    Raises
    ------
    DamagedFrameError
        The colours are of a kind that cannot be turned to grey without a colour profile, the page
        has several values for each pixel that are no colours, or it is no 2-D image.
    """
    colours = NOT_GREY_OR_RGB.get(page.photometric)
    if colours is not None:
        raise DamagedFrameError(
            f"{name}: expected grey or RGB values, found {colours}; convert the image first"
        )
    pixels = _samples_last(stored, page.axes, name)
    if pixels.ndim == 3 and page.photometric not in WITH_COLOURS:
        pixels = _one_channel(pixels, page, name, warnings)
    if page.photometric == PHOTOMETRIC.PALETTE and with_palette:
        return _through_palette(pixels, np.asarray(page.colormap))
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        return _negative(pixels, page.bitspersample)
    return pixels


def shows_inverted(path: Path) -> bool:
    """Return whether a file is a TIFF of ImageJ that shows small values bright.

    Such a look-up table is for the eye: ImageJ itself tells the values as they are stored. Its
    binary masks, 255 in marked places, often come with one.
    """
    try:
        with TiffFile(path, _multifile=False) as file:
            first: Any = file.pages.first
            return bool(file.is_imagej) and first.photometric == PHOTOMETRIC.MINISWHITE
    except (OSError, TiffFileError):
        return False


def _samples_last(stored: NDArray[Any], axes: str, name: str) -> NDArray[Any]:
    keep = [k for k, axis in enumerate(axes) if axis in "YXS" or stored.shape[k] > 1]
    pixels = stored.reshape([stored.shape[k] for k in keep])
    left = "".join(axes[k] for k in keep)
    if left not in ("YX", "YXS", "SYX"):
        raise DamagedFrameError(
            f"{name}: expected a 2-D image on each page, found the axes {axes} of {stored.shape}"
        )
    return np.moveaxis(pixels, 0, 2) if left == "SYX" else pixels


def _one_channel(pixels: NDArray[Any], page: Any, name: str, warnings: list[str]) -> NDArray[Any]:
    """Return the grey values, with alpha where there is any; refuse several that differ.

    They are channels, such as those of several detectors: mixed or left out, they would mislead.
    Programs also write transparency as one extra value without its kind, so that is only said.
    """
    samples = pixels.shape[2]
    has_alpha = bool(page.extrasamples) and page.extrasamples[-1] in ALPHA
    channels = pixels[..., : samples - has_alpha]
    if not (channels[..., 1:] != channels[..., :1]).any():
        return pixels
    if samples > 2:
        raise DamagedFrameError(
            f"{name}: expected a grey or an RGB image (with or without alpha), found {samples} "
            "values for each pixel that are no colours; save the one to be analysed as an image "
            "of its own"
        )
    if SECOND_LEFT_OUT not in warnings:
        warnings.append(SECOND_LEFT_OUT)
    return pixels[..., 0]


def _through_palette(indices: NDArray[Any], palette: NDArray[Any]) -> NDArray[Any]:
    # Colours of a palette have 16 bits; most were 8-bit ones multiplied by 256 or 257.
    eight_bit = np.all(palette % 257 == 0) or np.all(palette % 256 == 0)
    colours = (palette >> 8).astype(np.uint8) if eight_bit else palette
    return np.asarray(colours.T[indices])


def _negative(pixels: NDArray[Any], bits: int | tuple[int, ...]) -> NDArray[Any]:
    if pixels.dtype.kind in "bi":
        # The lowest signed integer has no opposite.
        return np.asarray(~pixels)
    if pixels.dtype.kind == "u":
        white = 2 ** (bits if isinstance(bits, int) else bits[0]) - 1
        return np.asarray(pixels.dtype.type(white) - pixels)
    return np.asarray(-pixels)
