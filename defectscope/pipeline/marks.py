"""What is drawn on a frame: outlines of what was found, numbers of particles, their tails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from defectscope.core.geometry.ellipses import ellipse_points
from defectscope.core.geometry.polylines import polyline_length, polyline_resample
from defectscope.pipeline.strip import drawing_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FILLED_IN", "draw_line", "draw_numbers", "draw_outline", "draw_tails"]

# cv2 takes sub-pixel coordinates as integers with this many fractional bits.
SHIFT = 4
DASH_PX = 3.0
# Of an ellipse; at 64 corners large ones are off by a pixel.
RIM_POINTS = 128
FILLED_IN = "interpolated"
LABEL_SCALE, LABEL_SCALE_ENLARGED = 0.32, 0.42
LETTERS = cv2.FONT_HERSHEY_SIMPLEX
# Yellow alone cannot be seen on bright frames.
YELLOW, RIM = (255, 255, 0), (0, 0, 0)

# A row of a table, and the course (k, 2) of its line or None.
Drawn: TypeAlias = "tuple[Mapping[Any, Any], NDArray[np.float64] | None]"


def draw_line(
    picture: NDArray[np.uint8],
    points: NDArray[np.float64],
    closed: bool,
    colour: tuple[int, ...],
    thick: int = 1,
    dashed: bool = False,
) -> None:
    """Draw a line through (k, 2) places x, y in px of the picture."""
    strokes = _dashes(points, closed, thick * DASH_PX) if dashed else [points]
    fixed = [_fixed(stroke) for stroke in strokes]
    cv2.polylines(picture, fixed, closed and not dashed, colour, thick, cv2.LINE_AA, SHIFT)


def _dashes(
    points: NDArray[np.float64], closed: bool, length_px: float
) -> list[NDArray[np.float64]]:
    """Return every other piece of an outline, (2, 2) each."""
    if closed:
        points = np.concatenate([points, points[:1]])
    count = max(1, round(polyline_length(points) / (2 * length_px)))
    ends = polyline_resample(points, 2 * count + 1)
    return list(np.stack([ends[:-1:2], ends[1::2]], axis=1))


def _fixed(points: NDArray[Any]) -> NDArray[np.int32]:
    # Our pixel (0, 0) has its centre at 0.5; cv2 puts it at 0.
    return np.asarray(np.round((points - 0.5) * 2**SHIFT), np.int32).reshape(-1, 1, 2)


def draw_outline(
    picture: NDArray[np.uint8],
    row: Mapping[Any, Any],
    colour: tuple[int, ...],
    zoom: int,
    course: NDArray[np.float64] | None,
) -> None:
    """Draw the course of a line, else the ellipse, else the box of a row of a table.

    What a tracker or a vote filled in is dashed: no detector saw it there.
    """
    axes = [row.get(name) for name in ("major_px", "minor_px", "angle_deg")]
    closed = course is None
    if course is not None:
        points = course
    elif all(value is not None and np.isfinite(value) for value in axes):
        x, y, major, minor, angle = (float(v or 0) for v in (row["x"], row["y"], *axes))
        points = ellipse_points(x, y, major, minor, angle, RIM_POINTS)
    else:
        x0, y0, x1, y1 = (float(row[name]) for name in ("x_min", "y_min", "x_max", "y_max"))
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    dashed = row.get("origin") == FILLED_IN
    draw_line(picture, zoom * points, closed, colour, drawing_scale(picture.shape[1]), dashed)


def draw_numbers(picture: NDArray[np.uint8], drawn: Sequence[Drawn], zoom: int) -> None:
    """Write numbers of particles beside their boxes, or beside their courses where they have one.

    Parameters
    ----------
    picture
        (zoom·H, zoom·W, 3) RGB, which is written on.
    drawn
        Rows of a table of tracks, each with the course (k, 2) of a line or None.
    zoom
        How many times the frame is enlarged.
    """
    thick = drawing_scale(picture.shape[1])
    size = thick * (LABEL_SCALE if zoom == 1 else LABEL_SCALE_ENLARGED)
    texts = []
    for row, course in drawn:
        right, left = (row["x_max"], row["y_min"]), (row["x_min"], row["y_min"])
        if course is not None:
            # A number at the corner of a box that nobody sees belongs to nothing.
            right, left = course[course[:, 0].argmax()], course[course[:, 0].argmin()]
        text = str(int(row["particle"]))
        beside = zoom * np.array([right, left])
        texts.append((text, _whole_inside(picture.shape, text, size, thick, beside)))
    # Letters that are drawn bolder are no rim: OpenCV 5 takes a thickness for a weight of its font.
    rim = np.zeros(picture.shape[:2], np.uint8)
    for text, place in texts:
        cv2.putText(rim, text, place, LETTERS, size, 255, thick, cv2.LINE_AA)
    rim = np.asarray(cv2.dilate(rim, np.ones((2 * thick + 1, 2 * thick + 1))), np.uint8)
    picture -= np.minimum(picture, rim[..., None])
    for text, place in texts:
        cv2.putText(picture, text, place, LETTERS, size, YELLOW, thick, cv2.LINE_AA)


def _whole_inside(
    shape: tuple[int, ...], text: str, size: float, thick: int, beside: NDArray[np.float64]
) -> tuple[int, int]:
    """Return where a text begins: right of the first place, else left of the second."""
    width, height = cv2.getTextSize(text, LETTERS, size, thick)[0]
    right, left = beside.astype(int).tolist()
    # One more for the rim.
    last = shape[1] - width - thick
    x, y = right[0] + thick, right[1] + 4 * thick
    if x > last:
        x, y = left[0] - width - thick, left[1] + 4 * thick
    # Between the rims of the frame, also where a box is as wide as that.
    x, y = max(min(x, last), thick), max(min(y, shape[0] - 1 - thick), height + thick)
    return x, y


def draw_tails(
    picture: NDArray[Any], tails: Sequence[Sequence[tuple[int, float, float]]], zoom: int
) -> None:
    """Draw where particles came from; each tail holds (frame, x, y), the latest last."""
    thick = drawing_scale(picture.shape[1])
    points = [_fixed(zoom * np.array([(x, y) for _, x, y in tail])) for tail in tails]
    # All rims first: none may cut another tail.
    for colour, width in ((RIM, 2 * thick), (YELLOW, thick)):
        cv2.polylines(picture, points, False, colour, width, cv2.LINE_AA, SHIFT)
