"""The worst frames of a benchmark: truth on the left, what was found on the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from defectscope.core.matching import match_instances
from defectscope.core.metrics import count_matches
from defectscope.pipeline.overlay import to_display

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.instances import Instances

__all__ = ["comparison_picture", "worst_frames"]

Colour = tuple[int, int, int]

# Of Okabe and Ito's palette, as bright as on a grey image they must be.
FOUND, FALSE_ALARM, MISSED, IGNORED = (86, 180, 233), (255, 94, 0), (240, 228, 66), (170, 170, 170)
LEAST_WIDTH_PX, MOST_WIDTH_PX, MOST_ZOOM = 640, 1400, 8
LINE_PX, GAP_PX, HEADER_PX, TITLE_PX, FOOTER_PX = 2, 8, 58, 28, 34
FONT_PX = 15
# cv2 takes sub-pixel coordinates as integers with this many fractional bits.
SHIFT = 4


def worst_frames(per_frame: pd.DataFrame, count: int) -> list[int]:
    """Return the positions of the frames of the lowest score; of equals, those with most errors.

    The score is that of lines where there is one, else F1 of boxes, which says little of lines. A
    frame without any defect, true or predicted, has no F1 and is not bad; one with false alarms
    alone has none either, and is as bad as can be.
    """
    errors = per_frame["false_positives"] + per_frame["false_negatives"]
    score = per_frame["f1"].where(per_frame["f1"].notna() | (errors == 0), 0.0)
    if "line_score" in per_frame:
        of_lines = per_frame["line_score"].notna()
        score = score.where(~of_lines, per_frame["line_score"])
        unmatched = per_frame["true_lines"] + per_frame["predicted_lines"]
        errors = errors.where(~of_lines, unmatched - 2 * per_frame["matched_lines"])
    table = per_frame.assign(errors=errors, score=score)
    known = table.reset_index(drop=True).dropna(subset=["score"])
    ranked = known.sort_values(["score", "errors", "name"], ascending=[True, False, True])
    return [int(position) for position in ranked.index[:count]]


def comparison_picture(
    pixels: NDArray[Any], predicted: Instances, true: Instances, iou: float, title: str
) -> NDArray[np.uint8]:
    """Return an RGB picture of truth and prediction side by side, with legend and scores.

    Parameters
    ----------
    pixels
        (H, W) image.
    predicted, true
        What was found, and what there is.
    iou
        Overlap that a match needs.
    title
        What stands above it.
    """
    match = match_instances(predicted, true, iou)
    excused = np.setdiff1d(np.arange(len(predicted)), [*match.predicted, *match.spurious])
    ignored = np.flatnonzero(true.ignore)
    zoom = _zoom(pixels.shape[1])
    left = _drawn(
        pixels, zoom, [(true, ignored, IGNORED), (true, match.true, FOUND),
                       (true, match.missed, MISSED)],
    )  # fmt: skip
    right = _drawn(
        pixels, zoom, [(predicted, excused, IGNORED), (true, match.missed, MISSED),
                       (predicted, match.predicted, FOUND),
                       (predicted, match.spurious, FALSE_ALARM)],
    )  # fmt: skip
    counted = int((~true.ignore).sum())
    legend = [
        (FOUND, f"found ({len(match.true)})"),
        (MISSED, f"missed ({len(match.missed)})"),
        (FALSE_ALARM, f"false alarm ({len(match.spurious)})"),
    ]
    if len(ignored) or len(excused):
        legend.append((IGNORED, f"not counted ({len(ignored)} true, {len(excused)} found)"))
    scores = count_matches(predicted, true, iou)
    shown = [
        f"{name} {'–' if value is None else f'{value:.3f}'}"
        for name, value in (
            ("F1", scores.f1), ("precision", scores.precision), ("recall", scores.recall),
        )
    ]  # fmt: skip
    return _framed(
        [(f"Truth: {counted}", left), (f"Found: {len(predicted)}", right)],
        [title, f"{'   '.join(shown)}   (IoU at least {iou:g})"],
        legend,
    )


def _zoom(width: int) -> float:
    if width > MOST_WIDTH_PX:
        return MOST_WIDTH_PX / width
    return float(min(MOST_ZOOM, -(-LEAST_WIDTH_PX // width)))


def _drawn(
    pixels: NDArray[Any],
    zoom: float,
    groups: Iterable[tuple[Instances, NDArray[np.intp], Colour]],
) -> NDArray[np.uint8]:
    grey = to_display(pixels)
    if zoom != 1:
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        grey = np.asarray(cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=how))
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    for instances, positions, colour in groups:
        for k in positions.tolist():
            x0, y0, x1, y1 = instances.boxes[k].tolist()
            _trace(picture, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), zoom, colour, True)
            if instances.lines is not None and len(instances.lines[k]):
                _trace(picture, instances.lines[k], zoom, colour, False)
    return picture


def _trace(
    picture: NDArray[np.uint8], points: NDArray[Any], zoom: float, colour: Colour, closed: bool
) -> None:
    # Our pixel (0, 0) has its centre at 0.5; cv2 puts it at 0.
    fixed = np.round((zoom * points - 0.5) * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(picture, [fixed], closed, colour, LINE_PX, cv2.LINE_AA, SHIFT)


def _font() -> ImageFont.FreeTypeFont:
    # Pillow's own has no dash and no letter beyond ASCII; Matplotlib brings one that does.
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf")), FONT_PX)


def _framed(
    panels: Sequence[tuple[str, NDArray[np.uint8]]],
    header: Sequence[str],
    legend: Sequence[tuple[Colour, str]],
) -> NDArray[np.uint8]:
    """Return the panels side by side, with text above and a legend below."""
    height, width = panels[0][1].shape[:2]
    top = HEADER_PX + TITLE_PX
    total = len(panels) * (width + GAP_PX) - GAP_PX
    canvas = Image.new("RGB", (total, top + height + FOOTER_PX), "black")
    draw = ImageDraw.Draw(canvas)
    font = _font()
    for row, text in enumerate(header):
        draw.text((6, 6 + 25 * row), text, "white", font)
    for column, (text, picture) in enumerate(panels):
        x = column * (width + GAP_PX)
        draw.text((x + 6, HEADER_PX + 4), text, "white", font)
        canvas.paste(Image.fromarray(picture), (x, top))
    x = 6.0
    y = top + height + 8
    for colour, text in legend:
        draw.rectangle((x, y + 3, x + 14, y + 17), outline=colour, width=3)
        draw.text((x + 22, y), text, "white", font)
        x += 22 + draw.textlength(text, font) + 26
    return np.asarray(canvas, np.uint8)
