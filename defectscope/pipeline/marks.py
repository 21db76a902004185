"""What is drawn on a frame: outlines of what was found, numbers of particles, their tails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from defectscope.pipeline.caption import drawing_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw_numbers", "draw_outline", "draw_tails", "fixed_point"]

# cv2 takes sub-pixel coordinates as integers with this many fractional bits.
SHIFT = 4
LABEL_SCALE, LABEL_SCALE_ENLARGED = 0.32, 0.42
LETTERS = cv2.FONT_HERSHEY_SIMPLEX
# Yellow alone cannot be seen on bright frames.
YELLOW, RIM = (255, 255, 0), (0, 0, 0)

# A row of a table, and the course (k, 2) of its line or None.
Drawn: TypeAlias = "tuple[Mapping[Any, Any], NDArray[np.float64] | None]"


def fixed_point(points: NDArray[Any]) -> NDArray[np.int32]:
    """Return (k, 2) places in px as (k, 1, 2) integers that OpenCV draws at with `SHIFT`."""
    # Our pixel (0, 0) has its centre at 0.5; cv2 puts it at 0.
    return np.asarray(np.round((points - 0.5) * 2**SHIFT), np.int32).reshape(-1, 1, 2)


def draw_outline(
    picture: NDArray[Any],
    row: Mapping[Any, Any],
    colour: tuple[int, ...],
    zoom: int,
    course: NDArray[np.float64] | None,
) -> None:
    """Draw the course of a line, else the ellipse, else the box of a row of a table."""
    thick = drawing_scale(picture.shape[1])
    major, minor, angle = (row.get(name) for name in ("major_px", "minor_px", "angle_deg"))
    if course is not None:
        points = fixed_point(zoom * course)
        cv2.polylines(picture, [points], False, colour, thick, cv2.LINE_AA, SHIFT)
    elif all(value is not None and np.isfinite(value) for value in (major, minor, angle)):
        centre = fixed_point(zoom * np.array([[row["x"], row["y"]]]))[0, 0].tolist()
        axes = [round(zoom * float(v or 0) / 2 * 2**SHIFT) for v in (major, minor)]
        # cv2 turns clockwise, our angles counter-clockwise as seen.
        cv2.ellipse(
            picture, centre, axes, -float(angle or 0), 0, 360, colour, thick, cv2.LINE_AA, SHIFT
        )
    else:
        corners = fixed_point(
            zoom * np.array([[row["x_min"], row["y_min"]], [row["x_max"], row["y_max"]]])
        )
        first, second = corners[:, 0].tolist()
        cv2.rectangle(picture, first, second, colour, thick, cv2.LINE_AA, SHIFT)


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
    points = [fixed_point(zoom * np.array([(x, y) for _, x, y in tail])) for tail in tails]
    # All rims first: none may cut another tail.
    for colour, width in ((RIM, 2 * thick), (YELLOW, thick)):
        cv2.polylines(picture, points, False, colour, width, cv2.LINE_AA, SHIFT)
