"""A strip of text above a picture: parts that stand whole, in as many rows as they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ROW_PX", "Part", "ScaleBar", "draw_strip", "drawing_scale", "rows_needed"]

# Heights, widths and letters here are for pictures up to about this wide, which a screen shows
# whole; a wider one is seen reduced, and has all of it larger. 2048 px is the first to need it.
DRAWN_FOR_PX = 1365
ROW_PX = 20
TEXT, MARGIN_PX, GAP_PX, SWATCH_PX = (255, 255, 255), 4, 6, 10
LETTERS, LETTER_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


class Part(NamedTuple):
    """Words that are written whole or not at all, after a swatch of a colour if there is one."""

    text: str
    colour: tuple[int, ...] | None = None


class ScaleBar(NamedTuple):
    """A length that is easy to read, in px, and its text."""

    length_px: float
    text: str


class _Layout(NamedTuple):
    # Row, left end and part; where rows end; row and left end of the text of the scale bar.
    parts: list[tuple[int, int, Part]]
    ends: list[int]
    bar: tuple[int, int] | None


def drawing_scale(width_px: int) -> int:
    """Return how many times lines and letters are larger on a picture of this width."""
    return max(1, round(width_px / DRAWN_FOR_PX))


def rows_needed(paragraphs: Sequence[Sequence[Part]], bar: ScaleBar | None, width: int) -> int:
    """Return how many rows a strip needs that shows all that is not wider than itself.

    Parameters
    ----------
    paragraphs
        Parts; each paragraph begins a row.
    bar
        A scale bar, or None.
    width
        Of the strip, px.
    """
    layout = _layout(paragraphs, bar, width, 0)
    return max(1, len(layout.ends))


def draw_strip(
    paragraphs: Sequence[Sequence[Part]], bar: ScaleBar | None, width: int, rows: int
) -> NDArray[np.uint8]:
    """Return a (20·rows, width, 3) RGB strip, larger on wide pictures by :func:`drawing_scale`.

    What the rows have no room for is left out whole; the other parameters are as in
    :func:`rows_needed`.
    """
    scale = drawing_scale(width)
    strip = np.zeros((scale * ROW_PX * rows, width, 3), np.uint8)
    layout = _layout(paragraphs, bar, width, rows)
    for row, x, part in layout.parts:
        if row >= rows:
            break
        if part.colour is not None:
            top, side = scale * (row * ROW_PX + (ROW_PX - SWATCH_PX) // 2), scale * SWATCH_PX
            strip[top : top + side, x : x + side] = part.colour
            x += side + scale * GAP_PX
        _write(strip, part.text, x, row)
    if bar is not None and layout.bar is not None and layout.bar[0] < rows:
        row, x = layout.bar
        _write(strip, bar.text, x, row)
        right = width - scale * GAP_PX
        top = scale * (row * ROW_PX + ROW_PX // 2 - 1)
        strip[top : top + 3 * scale, right - round(bar.length_px) : right] = TEXT
    return strip


def _layout(
    paragraphs: Sequence[Sequence[Part]], bar: ScaleBar | None, width: int, rows: int
) -> _Layout:
    """Place parts from left to right, and the bar at the right end of the lowest row with room.

    A strip has at least `rows` rows; further ones are added where they are needed.
    """
    scale = drawing_scale(width)
    placed: list[tuple[int, int, Part]] = []
    ends: list[int] = []
    for parts in paragraphs:
        x = width
        for part in parts:
            size = _text_width(part.text, scale)
            if part.colour is not None:
                size += scale * (SWATCH_PX + GAP_PX)
            if scale * MARGIN_PX + size > width:
                continue
            if x + size > width:
                x = scale * MARGIN_PX
                ends.append(0)
            placed.append((len(ends) - 1, x, part))
            ends[-1] = x + size
            x += size + 2 * scale * GAP_PX
    ends += [0] * (rows - len(ends))
    if bar is None:
        return _Layout(placed, ends, None)
    start = width - round(bar.length_px) - _text_width(bar.text, scale) - 2 * scale * GAP_PX
    room = [row for row, end in enumerate(ends) if start >= end]
    if not room and start >= 0:
        room = [len(ends)]
        ends.append(width)
    return _Layout(placed, ends, (room[-1], start) if room else None)


def _plain(text: str) -> str:
    # OpenCV's letters have no brackets of crystallography, and older ones no Greek.
    return text.replace("⟨", "<").replace("⟩", ">").replace("µ", "u")


def _text_width(text: str, scale: int) -> int:
    return int(cv2.getTextSize(_plain(text), LETTERS, scale * LETTER_SIZE, scale)[0][0])


def _write(strip: NDArray[np.uint8], text: str, x: int, row: int) -> None:
    scale = drawing_scale(strip.shape[1])
    place = (x, scale * ((row + 1) * ROW_PX - 6))
    size = scale * LETTER_SIZE
    cv2.putText(strip, _plain(text), place, LETTERS, size, TEXT, scale, cv2.LINE_AA)
