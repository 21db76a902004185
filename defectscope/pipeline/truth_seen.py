"""What a run looked at: within its region, outside of its masks; the other side counts there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from defectscope.core.geometry.boxes import box_centres
from defectscope.core.geometry.polylines import polyline_box, polyline_inside, polyline_length
from defectscope.pipeline.line_evaluation import line_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances
    from defectscope.pipeline.joining import Joined
    from defectscope.pipeline.masking import MaskedParts
    from defectscope.pipeline.regions import Roi
    from defectscope.pipeline.results import Result

__all__ = ["looked_at_px", "outside_masks", "unseen", "within_roi"]

Side: TypeAlias = Literal["true", "predicted"]

# Of lines that leave the region, shorter pieces inside do not count.
LEAST_PIECE_PX = 8.0
# Lengths differ by less where nothing was cut.
SAME_PX = 1e-3
# Whose look matters, and what the other side holds: by the side that is flagged.
WORDS = {"true": ("the run", "labelled"), "predicted": ("the run taken for the truth", "found")}


def within_roi(
    joined: list[Joined],
    roi: Roi | None,
    types: Mapping[str, DefectType],
    warnings: list[str],
    side: Side = "true",
) -> list[Joined]:
    """Flag truth that the run did not look at, so that it counts as neither hit nor miss.

    Of true lines and boxes, what lies in the region is kept. With the `side` that is predicted, the
    region is that of a run taken for the truth, and what lies outside of it is no false alarm.
    """
    if roi is None:
        return joined
    run, made = WORDS[side]
    cut = [_cut_lines(getattr(j, side), roi, types) for j in joined]
    joined = [_with(j, side, kept) for j, (kept, _) in zip(joined, cut, strict=True)]
    if count := sum(count for _, count in cut):
        warnings.append(
            f"{run} looked at the region {','.join(map(str, roi))} only; of {count} {made} "
            f"lines that leave it the longest piece inside counts, if it has {LEAST_PIECE_PX:g} px"
        )
    result, left_out = _left_out(joined, lambda centres: _outside(centres, roi), side)
    if left_out:
        warnings.append(
            f"{run} looked at the region {','.join(map(str, roi))} only; {left_out} {made} "
            "defects with their centre outside of it are left out"
        )
    return [_with(j, side, _cut_boxes(getattr(j, side), roi, types)) for j in result]


def _outside(centres: NDArray[np.float64], roi: Roi) -> NDArray[np.bool_]:
    return np.asarray(((centres < roi[:2]) | (centres >= roi[2:])).any(axis=1))


def _with(joined: Joined, side: Side, instances: Instances) -> Joined:
    if side == "true":
        return replace(joined, true=instances)
    return replace(joined, predicted=instances)


def _cut_lines(true: Instances, roi: Roi, types: Mapping[str, DefectType]) -> tuple[Instances, int]:
    """Return instances whose lines end at the border of a region, and how many left it."""
    if true.lines is None:
        return true, 0
    lines, boxes, ignore = list(true.lines), true.boxes.copy(), true.ignore.copy()
    count = 0
    for k in line_positions(true, types):
        piece = polyline_inside(lines[k], roi)
        length = polyline_length(piece)
        if length > polyline_length(lines[k]) - SAME_PX:
            continue
        # Those that lie outside altogether are told of with everything else that does.
        count += length > 0 and not ignore[k]
        if length < LEAST_PIECE_PX:
            ignore[k] |= length > 0
        else:
            lines[k], boxes[k] = piece, polyline_box(piece)
    return replace(true, lines=tuple(lines), boxes=boxes, ignore=ignore), count


def _cut_boxes(true: Instances, roi: Roi, types: Mapping[str, DefectType]) -> Instances:
    """Return instances whose boxes end at the border of a region, as those of the run do.

    Boxes around what lines have inside stay, and so do those with their centre outside.
    """
    cut = ~_outside(box_centres(true.boxes), roi)
    cut[line_positions(true, types)] = False
    inside = np.clip(true.boxes, roi[:2] * 2, roi[2:] * 2)
    return replace(true, boxes=np.where(cut[:, None], inside, true.boxes))


def outside_masks(
    joined: list[Joined], masks: MaskedParts, warnings: list[str], side: Side = "true"
) -> list[Joined]:
    """Flag truth in the masked parts of a run, so that it counts as neither hit nor miss.

    `side` is as in :func:`within_roi`.
    """
    if not masks:
        return joined
    run, made = WORDS[side]
    result, left_out = _left_out(joined, masks.hold, side)
    if left_out:
        warnings.append(
            f"parts of the frames were masked in {run}; {left_out} {made} defects with their "
            "centre in them are left out"
        )
    return result


def unseen(run: Result, centres: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of (n, 2) points x, y in px a run did not look at."""
    held = run.masks.hold(centres)
    return held if run.roi is None else held | _outside(centres, run.roi)


def looked_at_px(joined: list[Joined], runs: Sequence[Result]) -> float:
    """Return the area of all frames together that every one of the runs looked at, px²."""
    areas: dict[tuple[int, int], int] = {}
    for j in joined:
        shape = j.true.image_shape
        if shape not in areas:
            seen = np.ones(shape, bool)
            for run in runs:
                inside = np.zeros(shape, bool)
                x0, y0, x1, y1 = run.roi or (0, 0, shape[1], shape[0])
                inside[max(0, y0) : y1, max(0, x0) : x1] = True
                seen &= inside & ~run.masks.pixels(shape) if run.masks else inside
            areas[shape] = int(np.count_nonzero(seen))
    return float(sum(areas[j.true.image_shape] for j in joined))


def _left_out(
    joined: list[Joined], which: Callable[[NDArray[np.float64]], NDArray[np.bool_]], side: Side
) -> tuple[list[Joined], int]:
    """Flag those of which the centres are told, and count what was not flagged before."""
    result, count = [], 0
    for j in joined:
        own: Instances = getattr(j, side)
        out = which(box_centres(own.boxes))
        count += int((out & ~own.ignore).sum())
        result.append(_with(j, side, replace(own, ignore=own.ignore | out)))
    return result, count
