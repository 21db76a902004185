"""The worst frames of a benchmark: truth on the left, what was found on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from defectscope.core.label_measurements import with_courses
from defectscope.core.metrics import count_matches
from defectscope.pipeline.line_evaluation import line_positions
from defectscope.pipeline.outcomes import Outcome, Outcomes, box_outcomes, with_lines
from defectscope.pipeline.overlay import to_display

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances

__all__ = ["comparison_picture", "worst_frames"]

Colour = tuple[int, int, int]

# Of Okabe and Ito's palette, as bright as on a grey image they must be.
COLOURS: dict[Outcome, Colour] = {
    Outcome.FOUND: (86, 180, 233),
    Outcome.FALSE_ALARM: (255, 94, 0),
    Outcome.MISSED: (240, 228, 66),
    Outcome.NOT_COUNTED: (170, 170, 170),
}
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
    pixels: NDArray[Any],
    predicted: Instances,
    true: Instances,
    iou: float,
    title: str,
    lines: Mapping[str, DefectType] | None = None,
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
    lines
        Registered defect types: lines are drawn without boxes and coloured by the matching that
        scores lines. Without them all goes by boxes.
    """
    scores = count_matches(predicted, true, iou)
    outcomes = box_outcomes(predicted, true, iou)
    bare: tuple[Sequence[int], Sequence[int]] = ((), ())
    if lines is not None:
        predicted, true = with_courses(predicted, lines), with_courses(true, lines)
        outcomes = with_lines(outcomes, predicted, true, lines)
        bare = line_positions(predicted, lines), line_positions(true, lines)
    zoom = _zoom(pixels.shape[1])
    found, there = (_Side(predicted, outcomes.predicted, bare[0]),
                    _Side(true, outcomes.true, bare[1]))  # fmt: skip
    left, right = (_background(pixels, zoom) for _ in range(2))
    for outcome in (Outcome.NOT_COUNTED, Outcome.FOUND, Outcome.MISSED):
        there.draw(left, outcome, zoom)
    found.draw(right, Outcome.NOT_COUNTED, zoom)
    there.draw(right, Outcome.MISSED, zoom)
    for outcome in (Outcome.FOUND, Outcome.FALSE_ALARM):
        found.draw(right, outcome, zoom)
    shown = [
        f"{name} {'–' if value is None else f'{value:.3f}'}"
        for name, value in (
            ("F1", scores.f1), ("precision", scores.precision), ("recall", scores.recall),
        )
    ]  # fmt: skip
    return _framed(
        [(f"Truth: {len(true) - true.ignore.sum()}", left), (f"Found: {len(predicted)}", right)],
        [title, f"Boxes, IoU at least {iou:g}:   {'   '.join(shown)}"],
        _legend(outcomes, "" if lines is None else "; lines by their distance"),
    )


def _legend(outcomes: Outcomes, how: str) -> list[tuple[Colour, str]]:
    found, there = outcomes.predicted.tolist(), outcomes.true.tolist()
    legend = [
        (COLOURS[Outcome.FOUND], f"found ({there.count(Outcome.FOUND)})"),
        (COLOURS[Outcome.MISSED], f"missed ({there.count(Outcome.MISSED)})"),
        (COLOURS[Outcome.FALSE_ALARM], f"false alarm ({found.count(Outcome.FALSE_ALARM)})"),
    ]
    left_out = [side.count(Outcome.NOT_COUNTED) for side in (there, found)]
    if any(left_out):
        text = f"not counted ({left_out[0]} true, {left_out[1]} found)"
        legend.append((COLOURS[Outcome.NOT_COUNTED], text))
    return [*legend[:-1], (legend[-1][0], legend[-1][1] + how)]


def _zoom(width: int) -> float:
    if width > MOST_WIDTH_PX:
        return MOST_WIDTH_PX / width
    return float(min(MOST_ZOOM, -(-LEAST_WIDTH_PX // width)))


def _background(pixels: NDArray[Any], zoom: float) -> NDArray[np.uint8]:
    grey = to_display(pixels)
    if zoom != 1:
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        grey = np.asarray(cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=how))
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


class _Side(NamedTuple):
    """Truth or prediction; `bare` are the positions of lines that are drawn without a box."""

    instances: Instances
    outcomes: NDArray[np.object_]
    bare: Sequence[int]

    def draw(self, picture: NDArray[np.uint8], outcome: Outcome, zoom: float) -> None:
        """Draw all of one outcome."""
        colour, instances = COLOURS[outcome], self.instances
        for k in np.flatnonzero(self.outcomes == outcome).tolist():
            if k not in self.bare:
                x0, y0, x1, y1 = instances.boxes[k].tolist()
                corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
                _trace(picture, corners, zoom, colour, True)
            if instances.lines is not None and len(instances.lines[k]):
                _trace(picture, instances.lines[k], zoom, colour, False)


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
