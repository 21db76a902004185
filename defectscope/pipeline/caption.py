"""The strip above a frame: index, count, time and dose; what colours mean, and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.frames import Frame

__all__ = [
    "CAPTION_PX",
    "FALLBACK_COLOUR",
    "ROW_PX",
    "ScaleBar",
    "captioned",
    "colour_of",
    "drawing_scale",
    "scale_bar",
    "write_text",
    "write_types",
]

# Heights, widths and letters here are for pictures up to about this wide, which a screen shows
# whole; a wider one is seen reduced, and has all of it larger. 2048 px is the first to need it.
DRAWN_FOR_PX = 1365
ROW_PX = 20
# One row for the frame, one for colours and scale.
CAPTION_PX = 2 * ROW_PX
TEXT, GAP_PX, SWATCH_PX = (255, 255, 255), 6, 10
LETTERS, LETTER_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
FALLBACK_COLOUR = "#e69f00"
# A scale bar is about this part of the width of a frame.
BAR_SHARE = 0.2


class ScaleBar(NamedTuple):
    """A length that is easy to read, in px of the frame, and its text."""

    length_px: float
    text: str


def drawing_scale(width_px: int) -> int:
    """Return how many times lines and letters are larger on a picture of this width."""
    return max(1, round(width_px / DRAWN_FOR_PX))


def scale_bar(width_px: int, pixel_size_nm: float | None) -> ScaleBar | None:
    """Return a bar of 1, 2 or 5 times a power of ten, at most a fifth of the width; or None."""
    if pixel_size_nm is None:
        return None
    longest = BAR_SHARE * width_px * pixel_size_nm
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest)
    text = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    return ScaleBar(length / pixel_size_nm, text)


def colour_of(types: Mapping[str, DefectType], name: str) -> tuple[int, ...]:
    """Return the colour of a defect type as red, green and blue, 0 to 255."""
    text = types[name].colour if name in types else FALLBACK_COLOUR
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


def frame_text(frame: Frame, count: int, unseen: bool, tracked: int | None = None) -> str:
    """Return what is said of a frame, as far as it is known."""
    time, dose = frame.calibration.time_s(frame.index), frame.calibration.dose_dpa(frame.index)
    found = f"n = {count}" if tracked is None else f"n = {count}, {tracked} tracked"
    parts = [f"frame {frame.index}", found]
    parts += [] if time is None else [f"{time:.2f} s"]
    parts += [] if dose is None else [f"{dose:.3f} dpa"]
    parts += ["dark: not looked at"] if unseen else []
    return "   ".join(parts)


def captioned(
    picture: NDArray[Any],
    frame: Frame,
    count: int,
    types: Mapping[str, DefectType],
    names: Sequence[str],
    zoom: int,
    unseen: bool = False,
    tracked: int | None = None,
    dashed: bool = False,
) -> NDArray[np.uint8]:
    """Return a picture with its strip above, which hides no defect.

    Parameters
    ----------
    picture
        (zoom·H, zoom·W, 3) RGB.
    frame
        For index, calibration and width.
    count
        How many defects were found.
    types, names
        Registered defect types, and the names of those to explain.
    zoom
        How many times the frame is enlarged.
    unseen
        Whether a part is darkened because nothing was looked for there.
    tracked
        How many particles there are: without what is too short a track, and with what was filled
        in. None where nothing was tracked.
    dashed
        Whether what was filled in is dashed here or in another frame.
    """
    scale = drawing_scale(picture.shape[1])
    strip = np.zeros((scale * CAPTION_PX, picture.shape[1], 3), np.uint8)
    end = write_text(strip, frame_text(frame, count, unseen, tracked), 4 * scale, 0)
    ends = [end, write_types(strip, types, names, 1)]
    if dashed:
        ends[1] = write_text(strip, "dashed: filled in", ends[1], 1)
    _draw_bar(strip, scale_bar(frame.shape[1], frame.calibration.pixel_size_nm), zoom, ends)
    return np.vstack([strip, picture])


def write_types(
    strip: NDArray[np.uint8], types: Mapping[str, DefectType], names: Sequence[str], row: int
) -> int:
    """Write into a row of a strip what the colours of types mean; return where there is room."""
    scale = drawing_scale(strip.shape[1])
    swatch, gap = scale * SWATCH_PX, scale * GAP_PX
    x, top = 4 * scale, scale * (row * ROW_PX + (ROW_PX - SWATCH_PX) // 2)
    for name in names:
        strip[top : top + swatch, x : x + swatch] = colour_of(types, name)
        text = _plain_title(types, name)
        x = write_text(strip, text, x + swatch + gap, row) + 2 * gap
    return x


def _plain_title(types: Mapping[str, DefectType], name: str) -> str:
    # OpenCV's letters have no brackets of crystallography.
    title = types[name].title if name in types else name
    return title.replace("⟨", "<").replace("⟩", ">")


def _draw_bar(
    strip: NDArray[np.uint8], bar: ScaleBar | None, zoom: int, ends: Sequence[int]
) -> None:
    """Draw a scale bar at the right end of the lower row, else of the upper, where there is room.

    `ends` says where the texts of both rows end.
    """
    if bar is None:
        return
    scale = drawing_scale(strip.shape[1])
    length, text = round(zoom * bar.length_px), bar.text.replace("µ", "u")
    right = strip.shape[1] - scale * GAP_PX
    start = right - length - scale * GAP_PX - _width(text, scale)
    for row in (1, 0):
        if start >= ends[row]:
            write_text(strip, text, start, row)
            top = scale * (row * ROW_PX + ROW_PX // 2 - 1)
            strip[top : top + 3 * scale, right - length : right] = TEXT
            return


def _width(text: str, scale: int) -> int:
    return int(cv2.getTextSize(text, LETTERS, scale * LETTER_SIZE, scale)[0][0])


def write_text(strip: NDArray[np.uint8], text: str, x: int, row: int) -> int:
    """Write into a row of a strip, and return where the text ends."""
    scale = drawing_scale(strip.shape[1])
    place = (x, scale * ((row + 1) * ROW_PX - 6))
    cv2.putText(strip, text, place, LETTERS, scale * LETTER_SIZE, TEXT, scale, cv2.LINE_AA)
    return x + _width(text, scale)
