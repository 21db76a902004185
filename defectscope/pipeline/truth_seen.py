"""The part of the truth that a run looked at: within its region, outside of its masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.boxes import box_centres
from defectscope.core.geometry.polylines import polyline_box, polyline_inside, polyline_length
from defectscope.pipeline.line_evaluation import line_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances
    from defectscope.pipeline.joining import Joined
    from defectscope.pipeline.masking import MaskedParts

__all__ = ["looked_at_px", "outside_masks", "within_roi"]

# Of lines that leave the region, shorter pieces inside do not count.
LEAST_PIECE_PX = 8.0
# Lengths differ by less where nothing was cut.
SAME_PX = 1e-3


def within_roi(
    joined: list[Joined],
    roi: tuple[int, int, int, int] | None,
    types: Mapping[str, DefectType],
    warnings: list[str],
) -> list[Joined]:
    """Flag truth that the run did not look at, so that it counts as neither hit nor miss.

    Of true lines, what lies in the region is kept.
    """
    if roi is None:
        return joined
    cut = [_cut_lines(j.true, roi, types) for j in joined]
    joined = [replace(j, true=true) for j, (true, _) in zip(joined, cut, strict=True)]
    if count := sum(count for _, count in cut):
        warnings.append(
            f"the run looked at the region {','.join(map(str, roi))} only; of {count} labelled "
            f"lines that leave it the longest piece inside counts, if it has {LEAST_PIECE_PX:g} px"
        )

    def outside(centres: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(((centres < roi[:2]) | (centres >= roi[2:])).any(axis=1))

    result, left_out = _left_out(joined, outside)
    if left_out:
        warnings.append(
            f"the run looked at the region {','.join(map(str, roi))} only; {left_out} labelled "
            "defects with their centre outside of it are left out"
        )
    return result


def _cut_lines(
    true: Instances, roi: tuple[int, int, int, int], types: Mapping[str, DefectType]
) -> tuple[Instances, int]:
    """Return truth whose lines end at the border of a region, and how many left it."""
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


def outside_masks(joined: list[Joined], masks: MaskedParts, warnings: list[str]) -> list[Joined]:
    """Flag truth in the masked parts of a run, so that it counts as neither hit nor miss."""
    if not masks:
        return joined
    result, left_out = _left_out(joined, masks.hold)
    if left_out:
        warnings.append(
            f"parts of the frames were masked in the run; {left_out} labelled defects with their "
            "centre in them are left out"
        )
    return result


def looked_at_px(
    joined: list[Joined], roi: tuple[int, int, int, int] | None, masks: MaskedParts
) -> float:
    """Return the area of all frames together that a run looked at, px²."""
    areas: dict[tuple[int, int], int] = {}
    for j in joined:
        shape = j.true.image_shape
        if shape not in areas:
            seen = ~masks.pixels(shape) if masks else np.ones(shape, bool)
            x0, y0, x1, y1 = (0, 0, shape[1], shape[0]) if roi is None else roi
            areas[shape] = int(np.count_nonzero(seen[max(0, y0) : y1, max(0, x0) : x1]))
    return float(sum(areas[j.true.image_shape] for j in joined))


def _left_out(
    joined: list[Joined], which: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
) -> tuple[list[Joined], int]:
    """Flag the truth of which the centres are told, and count what was not flagged before."""
    result, count = [], 0
    for j in joined:
        out = which(box_centres(j.true.boxes))
        count += int((out & ~j.true.ignore).sum())
        result.append(replace(j, true=replace(j.true, ignore=j.true.ignore | out)))
    return result, count
