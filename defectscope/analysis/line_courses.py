"""The lines of a run: course by frame and detection, and pile-ups of them."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.curvature import chord_angle_deg
from defectscope.core.geometry.curves import distance_side_by_side, normal_displacement
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.groups import joined
from defectscope.core.vertices import lines_by_detection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from defectscope import DefectType, Tables

__all__ = ["NO_COURSES", "Course", "Pileup", "courses", "pileups"]

NO_COURSES = "the run has no courses of lines; choose the post-processor skeleton-spline"


# Part of their distance from a third line by which those of two pieces of one line may differ.
SAME_LINE = 0.5


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


class Pileup(NamedTuple):
    """Lines of one frame that lie side by side.

    Parameters
    ----------
    members
        From one side to the other the positions of the pieces of each line, mostly of one.
    apart
        Mean distance, px, of each two positions where they lie side by side, in either order.
    """

    members: list[list[int]]
    apart: Mapping[tuple[int, int], float]

    @property
    def positions(self) -> list[int]:
        """Positions of all pieces, from one side to the other."""
        return [k for pieces in self.members for k in pieces]

    def distances(self) -> list[float]:
        """Return the mean distance of each line from the next one that lies beside it, px."""
        found = []
        for n, pieces in enumerate(self.members):
            for others in self.members[n + 1 :]:
                pairs = [pair for pair in product(pieces, others) if pair in self.apart]
                if pairs:
                    found.append(float(np.mean([self.apart[pair] for pair in pairs])))
                    break
        return found


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


def pileups(lines: Sequence[Course], reach_px: float, turn_deg: float) -> list[Pileup]:
    """Return the pile-ups of the lines of one frame.

    Lines belong together where they lie side by side at a mean distance of at most `reach_px` and
    their directions differ by at most `turn_deg`, directly or over others.
    """
    angles = [chord_angle_deg(line.points) for line in lines]
    apart: dict[tuple[int, int], float] = {}
    for i, j in combinations(range(len(lines)), 2):
        turn, (one, other) = abs(angles[i] - angles[j]), (lines[i].points, lines[j].points)
        # Not so where a closed loop has no direction, which is not a number.
        if min(turn, 180 - turn) <= turn_deg:
            distance = distance_side_by_side(one, other)
            if distance <= reach_px:
                apart[i, j] = apart[j, i] = distance
    groups = (group for group in joined(len(lines), apart) if len(group) > 1)
    found = (_whole_lines(lines, group, apart) for group in groups)
    return [Pileup(_across(lines, members), apart) for members in found]


def _whole_lines(
    lines: Sequence[Course], group: list[int], apart: Mapping[tuple[int, int], float]
) -> list[list[int]]:
    """Return the lines of a pile-up with the pieces of each, which do not lie side by side.

    Pieces of one line lie as far as each other, on the same side, from a third that lies beside
    both; of several the nearest tells it best.
    """

    def of_one_line(i: int, j: int) -> bool:
        if (i, j) in apart:
            return False
        beside = [k for k in group if (i, k) in apart and (j, k) in apart]
        if not beside:
            return False
        third = lines[min(beside, key=lambda k: apart[i, k] + apart[j, k])].points
        a, b = (normal_displacement(third, lines[k].points) for k in (i, j))
        return abs(a - b) <= SAME_LINE * min(abs(a), abs(b))

    places = range(len(group))
    pairs = (pair for pair in combinations(places, 2) if of_one_line(*(group[k] for k in pair)))
    return [[group[k] for k in members] for members in joined(len(group), pairs)]


def _across(lines: Sequence[Course], members: list[list[int]]) -> list[list[int]]:
    """Return the lines of a pile-up in order along their common normal.

    Where they are staggered, their middles may be farther apart along the lines than across.
    """
    middles = np.array(
        [np.concatenate([lines[k].points for k in pieces]).mean(axis=0) for pieces in members]
    )
    away = middles - middles.mean(axis=0)
    ways = np.concatenate([np.diff(lines[k].points, axis=0) for pieces in members for k in pieces])
    axis = np.linalg.svd(ways, full_matrices=False)[2][1]
    # Of the two ways along the axis, the one to the right, or downwards.
    axis = axis * (1 if (axis[0], axis[1]) > (0.0, 0.0) else -1)
    return [members[k] for k in np.argsort(away @ axis, kind="stable")]
