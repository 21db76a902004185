"""What lies in the foil and is no loop: dislocation lines and bend contours, without labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from defectscope.generators.enlarging import enlarged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.local_texture import LocalTexture

__all__ = ["LineLook", "draw_bend_contour", "draw_line"]

STEP_PX = 3.0
# Bend contours are so broad that they are computed on a grid this much coarser.
COARSE = 8
# The broad shade beside a line lies this many widths away, and is as soft.
SHADE_WIDTHS = 3.0


class LineLook(NamedTuple):
    """What lines of one image have in common.

    Parameters
    ----------
    magnification
        Factor on lengths; widths grow with its square root.
    curl_deg
        Largest turn from end to end, beside the bends.
    shade
        Largest depth of a broad shade on one side, in parts of the line's.
    """

    magnification: float = 1.0
    curl_deg: float = 0.0
    shade: float = 0.0


PLAIN = LineLook()


def draw_bend_contour(canvas: NDArray[np.float32], rng: np.random.Generator) -> dict[str, Any]:
    """Draw one broad dark band across the image in place; return what was drawn."""
    height, width = canvas.shape
    drawn = {
        "direction_deg": float(rng.uniform(0, 180)),
        "x": float(rng.uniform(0, width)),
        "y": float(rng.uniform(0, height)),
        "width_px": float(rng.uniform(0.05, 0.2) * max(height, width)),
        "bow": float(rng.uniform(-0.6, 0.6) / max(height, width)),
        "depth": float(rng.uniform(0.06, 0.25)),
        "lopsided": float(rng.uniform(0.4, 1.0)),
    }
    size = max(2, -(-width // COARSE)), max(2, -(-height // COARSE))
    x = (np.arange(size[0]) + 0.5) * (width / size[0]) - drawn["x"]
    y = (np.arange(size[1])[:, None] + 0.5) * (height / size[1]) - drawn["y"]
    angle = math.radians(drawn["direction_deg"])
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle) + drawn["bow"] * along**2
    # One flank is steeper, as where the foil's tilt changes faster.
    across = np.where(across > 0, across, across * drawn["lopsided"]) / (drawn["width_px"] / 2)
    band = drawn["depth"] * np.exp(-(across**2))
    canvas -= enlarged(band, (height, width))
    return drawn


def draw_line(
    canvas: NDArray[np.float32],
    texture: LocalTexture,
    broken: bool,
    rng: np.random.Generator,
    look: LineLook = PLAIN,
) -> dict[str, Any]:
    """Draw one dark curved line in place; return what was drawn.

    Parameters
    ----------
    canvas
        (H, W) float32.
    texture
        The unit of the line's contrast.
    broken
        Whether it is thick and broken in segments, which look like rows of loops.
    rng
        Source of its course, width and contrast.
    look
        Magnification, curl and shade.
    """
    height, width = canvas.shape
    length = look.magnification * float(rng.uniform(30, 130 if broken else 320))
    start = [float(v) for v in rng.uniform(0, [width, height])]
    # No number is drawn for what was not asked for.
    curl = math.radians(float(rng.uniform(-1, 1)) ** 3 * look.curl_deg) if look.curl_deg else 0.0
    points = _course(start, length, float(rng.uniform(0, 2 * np.pi)), curl, rng)
    count = len(points) - 1
    position = np.linspace(0, 1, count)
    level = 0.75 + 0.25 * np.sin(2 * np.pi * (rng.uniform(0.5, 2.5) * position + rng.random()))
    if broken:
        level = np.where(
            _segments(position, length / look.magnification, rng), level, rng.uniform(0.0, 0.35)
        )
    drawn = {
        "start": start,
        "length_px": length,
        "broken": broken,
        "width_px": math.sqrt(look.magnification)
        * float(rng.uniform(7, 20) if broken else rng.uniform(4, 9)),
        "contrast": float(rng.uniform(3.0, 8.0)),
        "fringe": float(rng.uniform(0, 0.45)),
        "fringe_deg": float(rng.uniform(0, 360)),
        "level": [round(float(v), 4) for v in level],
        "points": np.round(points, 2).tolist(),
        "shade": float(rng.uniform(0, look.shade)) if look.shade else 0.0,
    }
    middle = points[len(points) // 2]
    depth = drawn["contrast"] * texture.at(float(middle[0]), float(middle[1]))
    _paint_line(canvas, points, level, drawn, depth)
    return drawn


def _course(
    start: list[float], length: float, heading: float, curl: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return points whose direction turns smoothly, with a kink now and then."""
    count = max(2, int(length / STEP_PX))
    bend = rng.normal(0, 0.9 / count) + 0.6 / count * np.cumsum(rng.normal(0, 0.35, count))
    bend += curl / count
    kinks = np.where(rng.random(count) < 0.8 / count, rng.uniform(-1.2, 1.2, count), 0)
    angle = heading + np.cumsum(bend + kinks)
    steps = STEP_PX * np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([[start], start + np.cumsum(steps, axis=0)])


def _segments(
    position: NDArray[np.float64], length: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    period = rng.uniform(22, 45) / length
    phase = position / period + 0.15 * np.sin(7 * position) + rng.random()
    return np.asarray(phase % 1 < rng.uniform(0.55, 0.85))


def _paint_line(
    canvas: NDArray[np.float32],
    points: NDArray[np.float64],
    level: NDArray[np.float64],
    drawn: dict[str, Any],
    depth: float,
) -> None:
    line_px = drawn["width_px"]
    margin = math.ceil((3 + (3 * SHADE_WIDTHS if drawn["shade"] else 0)) * line_px)
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    high = np.ceil(points.max(axis=0)).astype(int) + margin
    place = canvas[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if not place.size:
        return
    stroke = np.zeros(place.shape, np.uint8)
    # OpenCV puts pixel centres at integers, and takes coordinates in 1/16 px.
    fixed = np.round((points - low - 0.5) * 16).astype(int)
    thickness = max(1, round(line_px * 0.6))
    for k, value in enumerate(level):
        ends = tuple(fixed[k].tolist()), tuple(fixed[k + 1].tolist())
        cv2.line(stroke, *ends, int(255 * value), thickness, cv2.LINE_AA, 4)
    # In float64, for processors whose filters round differently.
    drawn_line = stroke.astype(np.float64) / 255
    soft = np.asarray(cv2.GaussianBlur(drawn_line, (0, 0), max(0.8, line_px / 3.5)), np.float64)
    # A blurred stroke is lower than it was drawn; its darkest point shall have the contrast.
    soft *= 1 / max(float(soft.max(initial=0)), 1e-3)
    angle = math.radians(drawn["fringe_deg"])
    shift = line_px * np.array([math.cos(angle), -math.sin(angle)])
    moved = cv2.warpAffine(soft, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), place.shape[::-1])
    fringe = drawn["fringe"] * cv2.GaussianBlur(moved, (0, 0), line_px)
    place -= depth * np.maximum(soft, fringe)
    if drawn["shade"]:
        place -= depth * _shade(soft, line_px, angle, drawn["shade"])


def _shade(
    soft: NDArray[np.float64], line_px: float, angle: float, strength: float
) -> NDArray[np.float64]:
    """Return the shade where the foil is bent beside a line that holds two parts of it apart."""
    reach = SHADE_WIDTHS * line_px
    moved = np.array([[1, 0, reach * math.cos(angle)], [0, 1, -reach * math.sin(angle)]])
    side = cv2.GaussianBlur(cv2.warpAffine(soft, moved, soft.shape[::-1]), (0, 0), reach)
    return np.asarray(strength / max(float(side.max(initial=0)), 1e-3) * side, np.float64)
