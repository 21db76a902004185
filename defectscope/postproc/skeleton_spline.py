"""Each line as a spline: Lee's skeleton of its mask, or the detector's own line (P1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from defectscope import Frame, Instances, Options, PostProcessor
from defectscope.core.defect_types import may_be_line
from defectscope.core.geometry.curvature import chord_angle_deg, curvatures_inside
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.skeletons import skeleton_path
from defectscope.core.geometry.smoothing import smoothed_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SkeletonSpline", "SkeletonSplineOptions"]

NOTHING = np.zeros((0, 2))


class SkeletonSplineOptions(Options):
    """Options of ``skeleton-spline``."""

    source: Literal["auto", "mask", "line"] = Field(
        "auto",
        description="what the spline is laid through: the line that the detector gave, the "
        "skeleton of its mask, or auto: the line where there is one",
    )
    points: int = Field(50, ge=3, le=10_000, description="equally spaced points of each spline")
    smoothing_px: float = Field(
        14.0, ge=0, le=1000, description="bends shorter than this are taken for noise, px"
    )
    close_px: int = Field(
        1, ge=0, le=50, description="gaps in a mask of up to twice this are closed first, px"
    )


class SkeletonSpline(PostProcessor):
    """Course, length, curvature, ends and direction of each line.

    The longest path through the skeleton is kept, a smoothing spline is laid through it, and
    points are taken at equal distances on it (P1: 50). Curvature is the mean of its amount along
    the line, without half of `smoothing_px` at either end of an open one, which smoothing
    straightens; the steps of a mask's pixels add to it, so that straight lines of 60 px have
    0.01 / px and not 0. A closed loop begins and ends at one point; a mask of one pixel has a
    length of 0.
    An instance that has neither mask nor line keeps its place, and its values are empty.
    """

    Options = SkeletonSplineOptions
    options: SkeletonSplineOptions
    shapes = ("line",)
    columns: ClassVar[Mapping[str, str]] = {
        "x": "px",
        "y": "px",
        "length_px": "px",
        "curvature_per_px": "1/px",
        "largest_curvature_per_px": "1/px",
        "start_x_px": "px",
        "start_y_px": "px",
        "end_x_px": "px",
        "end_y_px": "px",
        "angle_deg": "deg",
    }

    def process(self, frame: Frame, instances: Instances) -> Instances:
        """Return the same instances with the columns and the splines; see the class."""
        types = self.runtime.defect_types
        n = len(instances)
        known = {
            name: np.array(instances.measurements.get(name, np.full(n, np.nan)), float)
            for name in self.columns
        }
        lines = list(instances.lines or [NOTHING] * n)
        for k in range(n):
            name = str(instances.defect_types[k])
            if not may_be_line(name, types):
                continue
            lines[k] = self._spline(instances, k, frame.shape)
            for column, value in _measured(lines[k], self.options.smoothing_px / 2).items():
                known[column][k] = value
        found = instances.with_measurements(known, self.columns)
        return found if instances.lines is None and not n else replace(found, lines=tuple(lines))

    def _spline(self, instances: Instances, k: int, shape: tuple[int, int]) -> NDArray[np.float64]:
        options = self.options
        line = NOTHING if instances.lines is None else instances.lines[k]
        mask = None if instances.masks is None else instances.masks[k]
        path = line if options.source != "mask" else NOTHING
        if not len(path) and mask is not None and options.source != "line":
            path = skeleton_path(mask, options.close_px)
        if not len(path):
            return NOTHING
        curve = smoothed_curve(path, options.smoothing_px, count=options.points)
        return np.clip(curve, 0, [shape[1], shape[0]])


def _measured(line: NDArray[np.float64], end_px: float) -> dict[str, float]:
    if not len(line):
        return {}
    bends = np.abs(curvatures_inside(line, end_px))
    # Where a closed line begins it has two points.
    closed = len(line) > 1 and np.array_equal(line[0], line[-1])
    x, y = (line[1:] if closed else line).mean(axis=0)
    return {
        "x": float(x),
        "y": float(y),
        "length_px": polyline_length(line),
        "curvature_per_px": float(bends.mean()),
        "largest_curvature_per_px": float(bends.max()),
        "start_x_px": float(line[0, 0]),
        "start_y_px": float(line[0, 1]),
        "end_x_px": float(line[-1, 0]),
        "end_y_px": float(line[-1, 1]),
        "angle_deg": chord_angle_deg(line),
    }
