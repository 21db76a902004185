"""A sheet of small pictures of labelled images, with the truth drawn on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from defectscope.core.geometry.ellipses import ellipse_points
from defectscope.pipeline.caption import colour_of, type_parts
from defectscope.pipeline.marks import draw_line
from defectscope.pipeline.overlay import to_display
from defectscope.pipeline.strip import draw_strip, rows_needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances

__all__ = ["contact_sheet", "draw_truth"]

# points, whether closed
Outline: TypeAlias = "tuple[NDArray[np.float64], bool]"

ELLIPSE_COLUMNS = ("x", "y", "major_px", "minor_px", "angle_deg")


def draw_truth(
    pixels: NDArray[Any], truth: Instances, types: Mapping[str, DefectType], zoom: float = 1.0
) -> NDArray[np.uint8]:
    """Return an (H·zoom, W·zoom, 3) RGB picture with lines, ellipses or boxes of the truth.

    What is flagged ``ignore`` is dashed.

    Parameters
    ----------
    pixels
        (H, W) image.
    truth
        What is in it; an instance is drawn as its line, else its ellipse, else its box.
    types
        Registered defect types, for their colours.
    zoom
        How many times larger the picture is, but for sides that would be below 1 px.
    """
    grey = to_display(pixels)
    if zoom != 1:
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        height, width = (max(1, round(zoom * side)) for side in grey.shape)
        grey = np.asarray(cv2.resize(grey, (width, height), interpolation=how))
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    for k, (points, closed) in enumerate(_outlines(truth)):
        colour = colour_of(types, str(truth.defect_types[k]))
        draw_line(picture, zoom * points, closed, colour, dashed=bool(truth.ignore[k]))
    return picture


def _outlines(truth: Instances) -> list[Outline]:
    outlines: list[Outline] = []
    measured = truth.measurements
    has_ellipses = set(ELLIPSE_COLUMNS) <= set(measured)
    for k, (x0, y0, x1, y1) in enumerate(truth.boxes.tolist()):
        values = [float(measured[name][k]) for name in ELLIPSE_COLUMNS] if has_ellipses else []
        if truth.lines is not None and len(truth.lines[k]):
            outlines.append((truth.lines[k], False))
        elif values and np.isfinite(values).all():
            x, y, major, minor, angle = values
            outlines.append((ellipse_points(x, y, major, minor, angle), True))
        else:
            corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            outlines.append((corners, True))
    return outlines


def contact_sheet(
    images: Sequence[tuple[NDArray[Any], Instances]],
    types: Mapping[str, DefectType],
    columns: int = 3,
    side_px: int = 420,
) -> NDArray[np.uint8]:
    """Return an RGB sheet: each image beside itself with its truth, under what colours mean.

    Parameters
    ----------
    images
        Pixels (H, W) and truth.
    types
        Registered defect types, for their colours and titles.
    columns
        Pairs in a row.
    side_px
        Longer side of one picture.
    """
    pairs = []
    for pixels, truth in images:
        zoom = side_px / max(pixels.shape)
        plain = draw_truth(pixels, truth[:0], types, zoom)
        pairs.append(np.hstack([plain, draw_truth(pixels, truth, types, zoom)]))
    height = max(pair.shape[0] for pair in pairs)
    width = max(pair.shape[1] for pair in pairs)
    rows = -(-len(pairs) // columns)
    used = min(columns, len(pairs))
    sheet = np.full((rows * (height + 6) - 6, used * (width + 12) - 12, 3), 255, np.uint8)
    for position, pair in enumerate(pairs):
        y, x = divmod(position, columns)
        top, left = y * (height + 6), x * (width + 12)
        sheet[top : top + pair.shape[0], left : left + pair.shape[1]] = pair
    legend = _legend([truth for _, truth in images], types, sheet.shape[1])
    return np.vstack([legend, sheet])


def _legend(
    truths: Sequence[Instances], types: Mapping[str, DefectType], width: int
) -> NDArray[np.uint8]:
    names = sorted({str(name) for truth in truths for name in truth.defect_types})
    ignored = any(truth.ignore.any() for truth in truths)
    said = [type_parts(types, names, "ignore" if ignored else "")]
    return draw_strip(said, None, width, rows_needed(said, None, width))
