"""Slip traces of a labelled image: where they run, and how far they can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.splines import spline_through
from defectscope.core.line_profiles import amplitudes_along, measure_lines
from defectscope.core.ribbons import straightened
from defectscope.generators.pileup_grouping import group_pileups, oriented_alike
from defectscope.generators.pileups import slip_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.profile_fit import ProfileFit

__all__ = ["SlipTrace", "inferred_traces", "measured_traces"]

# Traces reach beyond the lines of their pile-up, by this part of the slip width ...
OVERHANG = 0.4
# ... and on the image are followed farther, as long as their contrast, smoothed over this
# distance along them, keeps this part of what it is at the pile-up.
CONTRAST_PX = 20.0
KEPT_CONTRAST = 0.4
# A trace counts as seen where its contrast stands out of the grain by so many standard errors,
SEEN_FROM = 4.0
# is no wider than this, and lies no farther from where the ends of the lines say.
WIDEST_PX = 8.0
FARTHEST_PX = 3.0
SHORTEST_PX = 15.0


@dataclass(frozen=True)
class SlipTrace:
    """One slip trace.

    Parameters
    ----------
    ends
        (2, 2) ends x, y.
    grey
        Contrast in the middle; negative is dark. None where it was not measured.
    width_px
        Full width at half maximum.
    """

    ends: NDArray[np.float64]
    grey: float | None = None
    width_px: float = 2.0


def inferred_traces(
    paths: Sequence[NDArray[np.float64]], groups: Sequence[int | None]
) -> list[SlipTrace]:
    """Return the two traces of every pile-up of two lines or more, through the lines' ends."""
    found = []
    for lines in group_pileups(paths, groups):
        if len(lines) < 2:
            continue
        turned, direction = oriented_alike(lines)
        along, across = slip_axes(direction)
        width = float(np.mean([(line[-1] - line[0]) @ across for line in turned]))
        for k in (0, -1):
            points = np.stack([line[k] for line in turned])
            places, middle = points @ along, float(np.mean(points @ across))
            reach = OVERHANG * abs(width)
            low, high = places.min() - reach, places.max() + reach
            found.append(SlipTrace(np.array([low, high])[:, None] * along + middle * across))
    return found


def measured_traces(
    pixels: NDArray[np.float32],
    traces: Sequence[SlipTrace],
    paths: Sequence[NDArray[np.float64]],
    *,
    labelled: bool,
) -> list[SlipTrace]:
    """Return traces as they are seen on an image.

    Parameters
    ----------
    pixels
        (H, W) float32 grey.
    traces
        Where they are expected.
    paths
        The dislocations, which do not count.
    labelled
        Labelled traces are kept as long as they are, and are never left out.
    """
    seen = []
    for trace in traces:
        found = _measured(pixels, trace, paths, labelled)
        if found is not None:
            seen.append(found)
    return seen


def _measured(
    pixels: NDArray[np.float32],
    trace: SlipTrace,
    paths: Sequence[NDArray[np.float64]],
    labelled: bool,
) -> SlipTrace | None:
    if np.hypot(*(trace.ends[1] - trace.ends[0])) < SHORTEST_PX:
        return None
    line = spline_through(trace.ends)
    measured = measure_lines(pixels, [line], others=paths, follow_px=0)[0]
    seen = measured is not None and (
        measured.kind != "double"
        and measured.significance > SEEN_FROM
        and measured.width_px < WIDEST_PX
        and abs(measured.fit.centre_px) < FARTHEST_PX
    )
    if measured is None or not seen:
        return SlipTrace(trace.ends, 0.0) if labelled else None
    along = (trace.ends[1] - trace.ends[0]) / np.hypot(*(trace.ends[1] - trace.ends[0]))
    ends = trace.ends + measured.fit.centre_px * np.array([-along[1], along[0]])
    if not labelled:
        ends = _followed(pixels, ends, paths, measured.fit)
    return SlipTrace(ends, measured.contrast, measured.width_px)


def _followed(
    pixels: NDArray[np.float32],
    ends: NDArray[np.float64],
    paths: Sequence[NDArray[np.float64]],
    fit: ProfileFit,
) -> NDArray[np.float64]:
    """Return the ends to which a trace can be seen, at most to the rim of the frame."""
    length = float(np.hypot(*(ends[1] - ends[0])))
    along = (ends[1] - ends[0]) / length
    farther = float(np.hypot(*pixels.shape))
    line = spline_through([ends[0] - farther * along, ends[1] + farther * along])
    inside = ((line >= 0) & (line <= np.array(pixels.shape[::-1]))).all(axis=1)
    line = line[inside]
    if len(line) < SHORTEST_PX:
        return ends
    ribbon = straightened(pixels, [line, *paths], 0, WIDEST_PX)
    amplitude = amplitudes_along(ribbon, replace(fit, centre_px=0.0), CONTRAST_PX)
    # Where dislocations hide it, it goes on as it was.
    lost = amplitude / fit.amplitude < KEPT_CONTRAST
    place = (line - ends[0]) @ along
    before, after = line[lost & (place < 0)], line[lost & (place > length)]
    first = before[-1] if len(before) else line[0]
    last = after[0] if len(after) else line[-1]
    return np.stack([first, last])
