"""Velocity and curvature of dislocations against time (P1, section 6)."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, Options, Tables
from defectscope.analysis.axes import new_figure, series_axis, type_colour
from defectscope.analysis.line_courses import NO_COURSES, Course, courses
from defectscope.analysis.scales import untracked
from defectscope.core.geometry.curvature import curvatures_inside
from defectscope.core.geometry.curves import normal_displacement
from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LineMotion", "LineMotionOptions"]

POINTS = 50
# Lines that are drawn, those seen longest; of so many each has a colour of its own.
DRAWN, COLOURS = 12, 6


class LineMotionOptions(Options):
    """Options of the analysis ``line-motion``."""

    end_px: float = Field(
        7.0, ge=0, description="length at either end of open lines that does not count in their "
        "curvature, px: half of skeleton-spline.smoothing_px, which straightens it"
    )  # fmt: skip


class LineMotion(Analysis):
    """How fast each tracked line moves along its normal, and how its curvature changes.

    Velocity is the mean displacement along the normals since the last sighting, over the time
    between. Normals of all lines point to one side: that of their common axis which is to the
    right, as the note says in degrees. Curvature is the mean of its amount, to which the pixels of
    a mask add: a straight line of 60 px has 0.01 / px. The mean with sign, ``signed_curvature``,
    has a tenth of that; it is positive where the ends of a line lie on the side to which positive
    velocities point. Closed lines have no such side: their normals point outwards, so that a circle
    that grows has a positive velocity, and a signed curvature of -1/R.
    """

    Options = LineMotionOptions
    options: LineMotionOptions
    needs_geometry = True
    shapes = ("line",)

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where no line was tracked over two frames."""
        if tables.tracks is None:
            return []
        known = courses(tables, self.runtime.defect_types)
        # What a vote filled in moves evenly between two sightings: it was made to.
        lines = [c for c in known if c.particle >= 0 and c.origin != "interpolated"]
        if not lines:
            return []
        lines = _in_specimen(lines, tables.tracks)
        lines.sort(key=lambda line: (line.particle, line.frame))
        rows: list[dict[str, Any]] = []
        tracked = [list(own) for _, own in groupby(lines, key=lambda line: line.particle)]
        axis = _common_normal([seen[0].points for seen in tracked])
        for seen in tracked:
            rows += self._rows(seen, axis, tables)
        table = pd.DataFrame(rows)
        if table.empty or table["displacement_px"].isna().all():
            return []
        return [self._finding(table, _senses(lines, axis), tables)]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if not (said := untracked(tables)) and not courses(tables, self.runtime.defect_types):
            return NO_COURSES
        return said or "no line was tracked over two frames"

    def _rows(
        self, seen: list[Course], axis: NDArray[np.float64], tables: Tables
    ) -> list[dict[str, Any]]:
        size, known = tables.calibration.pixel_size_nm, tables.calibration
        first = seen[0].points
        if _is_closed(first):
            points = [_outwards(first)]
        else:
            points = [first if _mean_normal(first) @ axis >= 0 else first[::-1]]
        for line in seen[1:]:
            points.append(_turned_like(points[-1], line.points))
        moved = [np.nan, *(normal_displacement(a, b) for a, b in pairwise(points))]
        gaps = [1, *(b.frame - a.frame for a, b in pairwise(seen))]
        times = np.array([known.time_s(line.frame) for line in seen], float)
        rows = []
        for line, course, way, gap, apart_s in zip(
            seen, points, moved, gaps, np.diff(times, prepend=np.nan), strict=True
        ):
            bends = curvatures_inside(polyline_resample(course, POINTS), self.options.end_px)
            amount, signed = float(np.abs(bends).mean()), float(bends.mean())
            per_frame = way / gap
            rows.append(
                {
                    "particle": line.particle,
                    "frame": line.frame,
                    "displacement_px": way,
                    "velocity_px_per_frame": per_frame,
                    "velocity_nm_per_s": way * size / apart_s if size else np.nan,
                    "curvature_per_px": amount,
                    "curvature_per_nm": amount / size if size else np.nan,
                    "signed_curvature_per_px": signed,
                    "signed_curvature_per_nm": signed / size if size else np.nan,
                    "length_px": polyline_length(course),
                }
            )
        return rows

    def _finding(self, table: pd.DataFrame, note: str, tables: Tables) -> Finding:
        column, label = series_axis(tables.frames)
        if column != "frame":
            table = table.merge(tables.frames[["frame", column]], on="frame", how="left")
        figure, (left, right) = new_figure(2)
        speed = ("velocity_nm_per_s", "nm/s")
        if table[speed[0]].isna().all():
            speed = ("velocity_px_per_frame", "px a frame")
        bend = ("curvature_per_nm", "1/nm")
        if table[bend[0]].isna().all():
            bend = ("curvature_per_px", "1/px")
        counts = table.groupby("particle")["frame"].count().sort_values(ascending=False)
        for k, particle in enumerate(counts.index[:DRAWN]):
            part = table[table["particle"] == particle]
            style: dict[str, Any] = {
                "color": type_colour(k), "marker": ".", "linewidth": 0.9,
                "linestyle": "-" if k < COLOURS else "--", "label": f"{particle}",
            }  # fmt: skip
            left.plot(part[column], part[speed[0]], **style)
            right.plot(part[column], part[bend[0]], **style)
        left.axhline(0, color="0.5", linewidth=0.7)
        left.set(xlabel=label, ylabel=f"Velocity along the normal ({speed[1]})")
        right.set(xlabel=label, ylabel=f"Mean curvature ({bend[1]})")
        right.set_ylim(bottom=0)
        right.legend(title="particle", frameon=False, fontsize=7, ncols=2)
        title = "Velocity and curvature of dislocations"
        return Finding("line-motion", title, table, figure, note=note)


def _in_specimen(lines: Sequence[Course], tracks: pd.DataFrame) -> list[Course]:
    """Return lines without the movement of the stage, where that is known."""
    names = ["x", "y", "x_corrected", "y_corrected"]
    if not set(names) <= set(tracks.columns):
        return list(lines)
    known = tracks.drop_duplicates(["frame", "detection"]).set_index(["frame", "detection"])
    own = known[names].reindex([(line.frame, line.detection) for line in lines]).to_numpy(float)
    away = np.nan_to_num(own[:, :2] - own[:, 2:])
    return [c._replace(points=c.points - step) for c, step in zip(lines, away, strict=True)]


def _mean_normal(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chord of a line, turned to the right of who walks along it as y points down."""
    way = points[-1] - points[0]
    return np.array([-way[1], way[0]])


def _common_normal(lines: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the unit vector along which the normals lie in the mean; to the right, or down."""
    normals = np.array([_mean_normal(line) for line in lines])
    axis: NDArray[np.float64] = np.linalg.svd(normals, full_matrices=False)[2][0]
    return axis if (axis[0], axis[1]) > (0.0, 0.0) else -axis


def _senses(lines: Sequence[Course], axis: NDArray[np.float64]) -> str:
    """Return to which side positive velocities point, for the note."""
    closed = [_is_closed(line.points) for line in lines]
    if all(closed):
        return "Positive velocities point outwards: all lines are closed."
    angle = np.degrees(np.arctan2(-axis[1], axis[0]))
    return (
        f"Positive velocities point {angle:.0f}° from the x axis, counted counter-clockwise in "
        f"the image{', and those of closed lines outwards' if any(closed) else ''}."
    )


def _is_closed(line: NDArray[np.float64]) -> bool:
    return bool((line[0] == line[-1]).all())


def _outwards(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a line that runs round so that its right side, as y points down, is the outer one."""
    x, y = (line - line[0]).T
    return line if (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() <= 0 else line[::-1]


def _turned_like(before: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a line that runs the same way as it did before.

    The place at which a closed line begins is anywhere; one that opened goes round as before.
    """
    if _is_closed(line) or _is_closed(before):
        return _outwards(line)
    same = np.hypot(*(line[0] - before[0])) + np.hypot(*(line[-1] - before[-1]))
    turned = np.hypot(*(line[-1] - before[0])) + np.hypot(*(line[0] - before[-1]))
    return line if same <= turned else line[::-1]
