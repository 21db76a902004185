"""The lines of a run: course by frame and detection, and pile-ups of them."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.curvature import chord_angle_deg
from defectscope.core.geometry.curves import mean_curve_distance
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.groups import joined
from defectscope.core.vertices import lines_by_detection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from defectscope import DefectType, Tables

__all__ = ["NO_COURSES", "Course", "courses", "neighbour_distances", "pileups"]

NO_COURSES = "the run has no courses of lines; choose the post-processor skeleton-spline"


class Course(NamedTuple):
    """One line in one frame; `particle` is -1 where it was not tracked.

    `origin` is ``interpolated`` where nobody saw it: it was filled in between two sightings.
    """

    frame: int
    detection: int
    particle: int
    points: NDArray[np.float64]
    defect_type: str
    origin: str = "detector"


def courses(tables: Tables, types: Mapping[str, DefectType]) -> list[Course]:
    """Return the lines of defects that have the shape of one, by frame and detection.

    Lines that no track has are among them. What has an unregistered type is a line where its
    length is known, for an outline has none.
    """
    geometry = tables.geometry
    if geometry is None or geometry.empty:
        return []
    table = tables.detections
    names = ["frame", "detection", "defect_type", *(["origin"] if "origin" in table else [])]
    table = table.loc[_line_shaped(table, types), names]
    if tables.tracks is not None:
        own = tables.tracks[["frame", "detection", "particle"]]
        table = table.merge(own, how="left", on=["frame", "detection"])
        table["particle"] = table["particle"].fillna(-1).astype(np.int64)
    # Outlines of what is no line are left out before their vertices are looked at.
    lines = lines_by_detection(geometry.merge(table[["frame", "detection"]]))
    found = []
    for row in table.to_dict("records"):
        place = int(row["frame"]), int(row["detection"])
        points = lines.get(place)
        if points is not None and polyline_length(points) > 0:
            particle, defect_type = int(row.get("particle", -1)), str(row["defect_type"])
            origin = str(row.get("origin", "detector"))
            found.append(Course(*place, particle, points, defect_type, origin))
    return sorted(found, key=lambda line: (line.frame, line.detection))


def _line_shaped(table: pd.DataFrame, types: Mapping[str, DefectType]) -> pd.Series:
    names = table["defect_type"].astype(str)
    shapes = names.map({name: known.shape for name, known in types.items()})
    lines = shapes == "line"
    if "length_px" in table:
        lines |= shapes.isna() & table["length_px"].notna()
    return lines


def pileups(lines: Sequence[Course], reach_px: float, turn_deg: float) -> list[list[int]]:
    """Return the positions of the lines of each pile-up of one frame, in order across it.

    Lines belong together where their mean distance is at most `reach_px` and their directions
    differ by at most `turn_deg`, directly or over others. They are ordered along the axis on
    which their middles lie.
    """
    n = len(lines)
    angles = [chord_angle_deg(line.points) for line in lines]

    def beside(i: int, j: int) -> bool:
        turn = abs(angles[i] - angles[j])
        # Not so where a closed loop has no direction, which is not a number.
        alike = min(turn, 180 - turn) <= turn_deg
        return alike and mean_curve_distance(lines[i].points, lines[j].points) <= reach_px

    found = joined(n, (pair for pair in combinations(range(n), 2) if beside(*pair)))
    return [_across([lines[k] for k in members], members) for members in found if len(members) > 1]


def _across(lines: Sequence[Course], members: list[int]) -> list[int]:
    middles = np.array([line.points.mean(axis=0) for line in lines])
    away = middles - middles.mean(axis=0)
    axis = np.linalg.svd(away, full_matrices=False)[2][0]
    # Of the two ways along the axis, the one to the right, or downwards.
    axis = axis * (1 if (axis[0], axis[1]) > (0.0, 0.0) else -1)
    return [members[k] for k in np.argsort(away @ axis, kind="stable")]


def neighbour_distances(lines: Sequence[Course], order: Sequence[int]) -> list[float]:
    """Return the mean distance of each line of a pile-up from the next, px."""
    return [mean_curve_distance(lines[a].points, lines[b].points) for a, b in pairwise(order)]
