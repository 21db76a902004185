"""What is drawn on a frame: outlines of what was found, numbers of particles, their tails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.pipeline.caption import drawing_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw_number", "draw_outline", "draw_tails", "fixed_point"]

# cv2 takes sub-pixel coordinates as integers with this many fractional bits.
SHIFT = 4
LABEL_SCALE, LABEL_SCALE_ENLARGED = 0.32, 0.42
YELLOW = (255, 255, 0)


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


def draw_number(
    picture: NDArray[Any], row: Mapping[Any, Any], zoom: int, course: NDArray[np.float64] | None
) -> None:
    """Write the number of a particle beside its box, or beside its course where it has one."""
    beside = np.array([row["x_max"], row["y_min"]])
    if course is not None:
        # A number at the corner of a box that nobody sees belongs to nothing.
        beside = course[course[:, 0].argmax()]
    thick = drawing_scale(picture.shape[1])
    place = (int(zoom * beside[0]) + thick, int(zoom * beside[1]) + 4 * thick)
    size = thick * (LABEL_SCALE if zoom == 1 else LABEL_SCALE_ENLARGED)
    text = str(int(row["particle"]))
    letters = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, text, place, letters, size, YELLOW, thick, cv2.LINE_AA)


def draw_tails(
    picture: NDArray[Any], tails: Sequence[Sequence[tuple[int, float, float]]], zoom: int
) -> None:
    """Draw where particles came from; each tail holds (frame, x, y), the latest last."""
    thick = drawing_scale(picture.shape[1])
    for tail in tails:
        points = fixed_point(zoom * np.array([(x, y) for _, x, y in tail]))
        cv2.polylines(picture, [points], False, YELLOW, thick, cv2.LINE_AA, SHIFT)
