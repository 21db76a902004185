"""How stored values become grey pixels: the same rules for every reader.

=========================  =======================================================
stored                     becomes
=========================  =======================================================
uint8, uint16, float32     untouched
bool                       uint8, 0 and 255
int8, int16, float16       float32, exact
wider integers, float64    float32; a warning where integers lose digits
R = G = B (and alpha)      that channel
real colours (and alpha)   luminance, with a warning
grey and alpha             the grey channel
=========================  =======================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope import DamagedFrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLOURS", "ROUNDED", "TURNED", "UPRIGHT", "grey_pixels", "warn_once"]

KEPT = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
FLOAT32_INTEGERS = 2**24
COLOURS = (
    "the image has real colours; their luminance is used (0.299 R + 0.587 G + 0.114 B), "
    "so a coloured overlay becomes part of the grey image"
)
ROUNDED = (
    "the image holds integers beyond 2^24, which float32 cannot hold exactly; "
    "they are rounded to 24 significant bits"
)
# The orientation, of EXIF and TIFF, of an image that is shown as it is stored.
UPRIGHT = 1
TURNED = (
    "the file asks to be shown turned or mirrored (by EXIF, the Orientation tag of a TIFF, or the "
    "display matrix of a video); it is read as it is stored, so other programs may show it, and "
    "give positions in it, otherwise"
)


def warn_once(warnings: list[str], text: str) -> None:
    """Add `text` to the warnings of a sequence, unless it stands there already."""
    if text not in warnings:
        warnings.append(text)


def grey_pixels(raw: NDArray[Any], name: str, warnings: list[str]) -> NDArray[Any]:
    """Return stored values as grey pixels in native byte order.

    Parameters
    ----------
    raw
        (H, W), or (H, W, samples) with one to four samples in the order R, G, B, alpha; also
        (H, W) of a structured dtype with fields R, G, B.
    name
        Source of the frame, for messages.
    warnings
        Where to say, once, what was lost.

    Returns
    -------
    numpy.ndarray
        (H, W) of uint8, uint16 or float32.

    Raises
    ------
    DamagedFrameError
        The image is empty, or its values or samples are of no known kind.
    """
    if 0 in raw.shape:
        raise DamagedFrameError(
            f"{name}: the image is empty (its size is {' x '.join(map(str, raw.shape[::-1]))})"
        )
    if raw.dtype.names is not None:
        raw = _unstructured(raw, name)
    if raw.ndim == 3:
        raw = _one_channel(raw, name, warnings)
    if raw.ndim != 2:
        raise DamagedFrameError(
            f"{name}: expected a 2-D grey or an RGB image, found an array of shape {raw.shape}"
        )
    return _known_dtype(raw, name, warnings)


def _unstructured(raw: NDArray[Any], name: str) -> NDArray[Any]:
    fields = raw.dtype.names or ()
    if not {"R", "G", "B"} <= set(fields):
        raise DamagedFrameError(
            f"{name}: expected grey values or the fields R, G, B, found {', '.join(fields)}"
        )
    return np.stack([raw[field] for field in ("R", "G", "B")], axis=-1)


def _one_channel(raw: NDArray[Any], name: str, warnings: list[str]) -> NDArray[Any]:
    samples = raw.shape[2]
    if samples > 4:
        raise DamagedFrameError(
            f"{name}: expected a grey or an RGB image (with or without alpha), found {samples} "
            "values for each pixel; save the one to be analysed as an image of its own"
        )
    # Of its own: every step that follows is slower on every third value, and keeps them all.
    first = raw[..., 0].copy()
    if samples <= 2 or all(np.array_equal(first, raw[..., k]) for k in (1, 2)):
        return first
    warn_once(warnings, COLOURS)
    colours = raw[..., :3]
    channels = [_known_dtype(colours[..., k], name, warnings) for k in range(3)]
    grey = cv2.cvtColor(np.ascontiguousarray(np.dstack(channels)), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey)


def _known_dtype(raw: NDArray[Any], name: str, warnings: list[str]) -> NDArray[Any]:
    if not raw.dtype.isnative:
        raw = raw.astype(raw.dtype.newbyteorder("="))
    if raw.dtype in KEPT:
        return raw
    if raw.dtype.kind == "b":
        return raw.astype(np.uint8) * np.uint8(255)
    if raw.dtype.kind == "f":
        # What float32 cannot reach becomes infinite, and Frame refuses that by itself.
        with np.errstate(over="ignore"):
            return raw.astype(np.float32)
    if raw.dtype.kind in "iu":
        converted = raw.astype(np.float32)
        if raw.dtype.itemsize > 2 and _rounds(raw, converted):
            warn_once(warnings, ROUNDED)
        return converted
    raise DamagedFrameError(
        f"{name}: expected real grey values (integers or floats), found values of type {raw.dtype}"
    )


def _rounds(raw: NDArray[Any], converted: NDArray[np.float32]) -> bool:
    low, high = int(raw.min()), int(raw.max())
    if max(-low, high) <= FLOAT32_INTEGERS:
        return False
    # float64 holds every 32-bit integer; rounding a 64-bit one to it is a loss as well.
    return not np.array_equal(converted.astype(np.float64), raw.astype(np.float64)) or (
        max(-low, high) > 2**53
    )
