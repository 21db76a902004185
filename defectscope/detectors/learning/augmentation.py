"""What happens to frames before a network learns from them: views, camera, compression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from defectscope.core.grey_range import in_inner_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Camera", "View", "cropped", "degraded", "in_grey_levels", "scaled", "turned"]

# Of a box at the rim of a crop, this part must be inside, and this many px of each side.
LEAST_PART = 0.35
LEAST_SIDE_PX = 4.0
LEVEL = np.float32(1 / 255)


class View(NamedTuple):
    """Pixels (H, W) or (H, W, channels) float32 and boxes (n, 4) in px."""

    pixels: NDArray[np.float32]
    boxes: NDArray[np.float32]


class Camera(NamedTuple):
    """How strongly images are degraded at most; see the options of training."""

    blur_px: float
    noise: float
    gamma: float
    jpeg: float


def turned(view: View, rng: np.random.Generator) -> View:
    """Return one of the eight views by mirrors and right angles."""
    pixels, boxes = view
    height, width = pixels.shape[:2]
    x_min, y_min, x_max, y_max = boxes.T
    across, down, swapped = rng.random(3) < 0.5
    if across:
        pixels, x_min, x_max = pixels[:, ::-1], width - x_max, width - x_min
    if down:
        pixels, y_min, y_max = pixels[::-1], height - y_max, height - y_min
    if swapped:
        pixels, x_min, y_min, x_max, y_max = pixels.swapaxes(0, 1), y_min, x_min, y_max, x_max
    return View(np.ascontiguousarray(pixels), np.stack([x_min, y_min, x_max, y_max], axis=1))


def scaled(view: View, low: float, high: float, rng: np.random.Generator) -> View:
    """Return the view enlarged by a random factor between `low` and `high`."""
    factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if factor == 1:
        return view
    height, width = view.pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(view.pixels, size, interpolation=how), np.float32)
    ratio = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return View(pixels, view.boxes * ratio)


def degraded(pixels: NDArray[Any], camera: Camera, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return what a worse camera, a display or a compressed video makes of an image.

    Parameters
    ----------
    pixels
        (H, W) of any dtype.
    camera
        Largest strengths.
    rng
        Decides what happens, and how strongly.

    Returns
    -------
    (H, W) float32 in 0 to 1
    """
    values, low, high = in_inner_range(pixels)
    values = (values - np.float32(low)) * np.float32(1 / max(high - low, 1e-12))
    if camera.blur_px and rng.random() < 0.4:
        sigma = float(rng.uniform(0.3, 1) * camera.blur_px)
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
    if camera.gamma > 1 and rng.random() < 0.4:
        exponent = float(np.exp(rng.uniform(-1, 1) * np.log(camera.gamma)))
        values = np.asarray(values ** np.float32(exponent), np.float32)
    grain = rng.standard_normal(values.shape, dtype=np.float32)
    values = np.add(values, np.float32(camera.noise * rng.random()) * grain, dtype=np.float32)
    if rng.random() < camera.jpeg:
        quality = int(rng.integers(60, 97))
        grey = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
        encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        values = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32) * LEVEL
    return np.asarray(values, np.float32)


def in_grey_levels(values: NDArray[np.float32], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return degraded values as the grey levels that an 8-bit camera would have written.

    Parameters
    ----------
    values
        What :func:`degraded` made of `pixels`.
    pixels
        (H, W).
    """
    low, high = float(pixels.min()), float(pixels.max())
    levels: NDArray[np.uint8] = np.round(np.clip(low + values * (high - low), 0, 255)).astype(
        np.uint8
    )
    return levels


def cropped(
    view: View,
    side_px: int,
    rng: np.random.Generator,
    ignored: NDArray[np.bool_] | None = None,
) -> tuple[View, NDArray[np.bool_]]:
    """Return a random square crop, and which boxes can be seen in it.

    Boxes are cut at the rim of the crop, as people label them at the rim of an image; those of
    which too little is left are not labelled. A view that is smaller than the crop is continued by
    its edge.

    Parameters
    ----------
    view
        What to cut.
    side_px
        Side of the crop.
    rng
        Decides where it lies.
    ignored
        (n,) boxes in which nothing is learned: any part of them is kept.
    """
    pixels, boxes = view
    short = [max(0, side_px - side) for side in pixels.shape[:2]]
    if any(short):
        more = [(0, short[0]), (0, short[1]), (0, 0)][: pixels.ndim]
        pixels = np.pad(pixels, more, mode="edge")
    y, x = (int(rng.integers(0, side - side_px + 1)) for side in pixels.shape[:2])
    moved = boxes - np.array([x, y, x, y], np.float32)
    cut = np.clip(moved, 0, side_px).astype(np.float32)
    sides, whole = cut[:, 2:] - cut[:, :2], moved[:, 2:] - moved[:, :2]
    part = np.prod(sides, axis=1) / np.maximum(np.prod(whole, axis=1), 1e-6)
    seen = (part >= LEAST_PART) & np.all(sides >= np.minimum(whole, LEAST_SIDE_PX), axis=1)
    if ignored is not None:
        seen = np.where(ignored, np.all(sides > 0, axis=1), seen)
    return View(pixels[y : y + side_px, x : x + side_px], cut[seen]), seen
