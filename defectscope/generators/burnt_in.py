"""What software burns into an image: scale bar, caption text, mouse pointer; without labels."""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw_pointer", "draw_scale_bar", "draw_text"]

# The faces that come with Matplotlib: what captions of microscopes and editors look like.
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif",
    "DejaVuSerif-Bold", "STIXGeneralBol",
)  # fmt: skip
BAR_LENGTHS = ("10 nm", "20 nm", "50 nm", "100 nm", "200 nm", "500 nm", "0.2 um", "1 um", "2 um")
# An arrow pointer, 12 × 19 px, as desktops draw it.
POINTER = np.array(
    [[0, 0], [0, 16], [4, 12], [7, 18], [9, 17], [6, 11], [11, 11]],
    np.int32,
)
SHADOW_LEVEL = {True: 0.0, False: 1.0}


def _stamp(
    canvas: NDArray[np.float32],
    covered: NDArray[np.uint8],
    shape: NDArray[np.uint8],
    corner: tuple[int, int],
    level: float,
    strength: float = 1.0,
) -> None:
    """Put a stencil (0 to 255) on the canvas at `corner` (x, y), cut at the rim."""
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    right = min(shape.shape[1], canvas.shape[1] - x)
    bottom = min(shape.shape[0], canvas.shape[0] - y)
    if right <= left or bottom <= top:
        return
    part = shape[top:bottom, left:right]
    place = slice(y + top, y + bottom), slice(x + left, x + right)
    opacity = part.astype(np.float32) * np.float32(strength / 255)
    canvas[place] += opacity * (np.float32(level) - canvas[place])
    covered[place] = np.maximum(covered[place], part)


def _taken(covered: NDArray[np.uint8], shape: NDArray[np.uint8], corner: tuple[int, int]) -> bool:
    x, y = (max(0, v) for v in corner)
    return bool(covered[y : y + shape.shape[0], x : x + shape.shape[1]].any())


def _shadowed(
    canvas: NDArray[np.float32],
    covered: NDArray[np.uint8],
    shape: NDArray[np.uint8],
    corner: tuple[int, int],
    drawn: dict[str, Any],
) -> None:
    x, y = corner
    level, strength = SHADOW_LEVEL[drawn["bright"]], drawn["shadow_strength"]
    offset, edge = drawn["shadow_px"], drawn["outline_px"]
    if offset:
        _stamp(canvas, covered, shape, (x + offset, y + offset), level, strength)
    if edge:
        _stamp(canvas, covered, _letters(drawn, edge), (x - edge, y - edge), level, strength)
    _stamp(canvas, covered, shape, corner, 0.98 if drawn["bright"] else 0.02)


@functools.cache
def _face(name: str, height_px: int) -> ImageFont.FreeTypeFont:
    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    # A face's size is that of a line; capital letters take about 0.73 of it.
    return ImageFont.truetype(str(folder / f"{name}.ttf"), round(height_px / 0.73))


def _letters(drawn: dict[str, Any], outline_px: int = 0) -> NDArray[np.uint8]:
    """Return a stencil of one line of text; with an outline, grown by that."""
    text, face = drawn["text"], _face(drawn["font"], drawn["height_px"])
    left, top, right, bottom = face.getbbox(text, stroke_width=outline_px)
    image = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, 255, font=face, stroke_width=outline_px)
    stencil = np.array(image, np.uint8)
    inner = max(1, round((stencil.shape[1] - 2 * outline_px) * drawn["squeeze"]))
    size = inner + 2 * outline_px, stencil.shape[0]
    return np.asarray(cv2.resize(stencil, size, interpolation=cv2.INTER_AREA), np.uint8)


def _style(shape: tuple[int, int], bright: bool, rng: np.random.Generator) -> dict[str, Any]:
    # Captions are as large as somebody wanted them, whatever the size of the image.
    largest = float(np.clip(min(shape) / 6, 8, 56))
    height = int(np.exp(rng.uniform(np.log(7), np.log(largest))))
    return {
        "font": FONTS[int(rng.integers(len(FONTS)))],
        "height_px": height,
        "outline_px": int(rng.integers(0, 1 + max(1, height // 12))),
        "shadow_px": int(rng.integers(0, 1 + max(2, height // 10))),
        "shadow_strength": float(rng.uniform(0.3, 1)),
        # Narrow faces, and images that were stretched with their captions.
        "squeeze": float(rng.uniform(0.6, 1.1)),
        "bright": bright,
    }


def draw_text(
    canvas: NDArray[np.float32], covered: NDArray[np.uint8], rng: np.random.Generator
) -> dict[str, Any]:
    """Burn a dose, a time or a frame number into a corner; return what was drawn.

    Parameters
    ----------
    canvas
        (H, W) float32, changed in place.
    covered
        (H, W) uint8, raised to 255 where nothing of the image is left.
    rng
        Source of the words, the font and the place.
    """
    dose = float(rng.uniform(0, 5))
    texts = (
        f"{dose:.1f}-{dose + 0.5:.1f}", f"{dose:.2f} dpa", f"{int(rng.integers(5000))} s",
        f"Frame {int(rng.integers(2000))}", f"{int(rng.integers(2, 9)) * 50} C",
    )  # fmt: skip
    text = texts[int(rng.integers(len(texts)))]
    drawn = {"text": text, **_style(canvas.shape, bool(rng.random() < 0.5), rng)}
    stencil = _letters(drawn)
    gap_x, gap_y = (int(v) for v in rng.integers(-4, 20, 2))
    far_x = canvas.shape[1] - stencil.shape[1] - gap_x
    far_y = canvas.shape[0] - stencil.shape[0] - gap_y
    corners = [(x, y) for x in (gap_x, far_x) for y in (gap_y, far_y)]
    corners = [corners[k] for k in rng.permutation(4)]
    # Software does not write on its own scale bar, as long as there is another corner.
    x, y = next((c for c in corners if not _taken(covered, stencil, c)), corners[0])
    _shadowed(canvas, covered, stencil, (x, y), drawn)
    return {**drawn, "x": x, "y": y}


def draw_scale_bar(
    canvas: NDArray[np.float32], covered: NDArray[np.uint8], rng: np.random.Generator
) -> dict[str, Any]:
    """Burn a scale bar with its caption into a lower corner; return what was drawn."""
    height, width = canvas.shape
    text = BAR_LENGTHS[int(rng.integers(len(BAR_LENGTHS)))]
    drawn = {"text": text, **_style(canvas.shape, bool(rng.random() < 0.8), rng)}
    stencil = _letters(drawn)
    length = max(4, int(width * rng.uniform(0.1, 0.3)))
    thick = max(2, round(drawn["height_px"] * float(rng.uniform(0.15, 0.35))))
    # A bar that begins outside the frame is what a crop of a larger image shows.
    x = int(rng.uniform(-0.4 * length, 0.08 * width))
    if rng.random() < 0.4:
        x = width - length - x
    y = height - thick - int(rng.uniform(0.01, 0.06) * height) - 2
    bar = np.full((thick, length), 255, np.uint8)
    outline = np.full((thick + 2, length + 2), 255, np.uint8)
    if drawn["shadow_px"]:
        _stamp(canvas, covered, outline, (x - 1, y - 1), SHADOW_LEVEL[drawn["bright"]])
    _stamp(canvas, covered, bar, (x, y), 0.98 if drawn["bright"] else 0.02)
    left = x + (length - stencil.shape[1]) // 2
    top = y - stencil.shape[0] - int(rng.integers(0, 8))
    _shadowed(canvas, covered, stencil, (left, top), drawn)
    return {**drawn, "x": x, "y": y, "length_px": length, "thickness_px": thick}


def draw_pointer(
    canvas: NDArray[np.float32], covered: NDArray[np.uint8], rng: np.random.Generator
) -> dict[str, Any]:
    """Burn a mouse pointer into any place; return what was drawn."""
    x, y = (int(v) for v in rng.uniform(0, [canvas.shape[1], canvas.shape[0]]))
    scale, bright = int(rng.integers(1, 3)), bool(rng.random() < 0.7)
    body = np.zeros((20 * scale, 13 * scale), np.uint8)
    cv2.fillPoly(body, [POINTER * scale + scale // 2], 255)
    rim = np.zeros_like(body)
    cv2.polylines(rim, [POINTER * scale + scale // 2], True, 255, 1, cv2.LINE_AA)
    _stamp(canvas, covered, body, (x, y), 0.98 if bright else 0.02)
    _stamp(canvas, covered, rim, (x, y), 0.02 if bright else 0.98)
    return {"x": x, "y": y, "scale": scale, "bright": bright}
